import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.passages import CharSpan
from index.records import StoredPassage
from index.retriever import RetrievedPassage
from qa.candidates import Candidate, candidates, merge, tidy_span
from qa.reader import ReadSpan
from tests.qa.texts import hard_texts

# A text, the part of it that the reader marked, and what stays of it.
TIDY = [
    # whole words
    ("The Turkish army", "urki", "Turkish"),
    ("The Turkish army", "army", "army"),
    ("in the cafe\u0301 today", "cafe", "cafe\u0301"),
    ("हिन्दी भाषा", "ह", "हिन्दी"),
    ("東京 is a city", "東", "東京"),
    # numbers
    ("It cost 3.6 million.", "6", "3.6"),
    ("It cost 3.6 million.", "3", "3.6"),
    ("It cost 3.6 million.", "3.6 million.", "3.6 million"),
    ("with 3,600 people", "600", "3,600"),
    ("with 18,300,250 people", "300", "18,300,250"),
    ("for $87, he said", "87", "$87"),
    ("for $87, he said", "$87,", "$87"),
    ("a $3.6 million deal", "3.6 million", "$3.6 million"),
    ("£1.5bn was paid", "5bn", "£1.5bn"),
    ("at -40 °C today", "40 °C", "-40 °C"),
    ("at −40 °C today", "−40 °C", "−40 °C"),
    ("at 40°C.", "40", "40°C"),
    ("some 10% of it", "10", "10%"),
    ("is 5'11 tall", "11", "5'11"),
    ("from 2019-20 on", "-20", "20"),
    ("from 2019-20 on", "2019-20", "2019-20"),
    ("in 2019, 33 died", "2019", "2019"),
    # dates and abbreviations
    ("on Feb. 28, 2020, it", "Feb. 28, 2020,", "Feb. 28, 2020"),
    ("on Feb. 28, 2020.", "Feb. 28, 2020.", "Feb. 28, 2020"),
    ("the U.S. said", "U.S.", "U.S."),
    ("in the U.S., he", "U.S.,", "U.S."),
    ("George Jr. said", "George Jr.", "George Jr."),
    ("at 9 a.m. sharp", "9 a.m.", "9 a.m."),
    ("He scored 3.", "3.", "3"),
    ("He left.", "left.", "left"),
    # quotes and brackets
    ("“yes” he said", "yes”", "yes"),
    ("“yes” he said", "“yes”", "“yes”"),
    ('"yes" he said', 'yes"', "yes"),
    ('said "yes"', '"yes"', '"yes"'),
    ("the (BBC) said", "BBC)", "BBC"),
    ("the (BBC) said", "(BBC)", "(BBC)"),
    ("the (BBC) said", "the (BBC", "the (BBC)"),
    ("news [sic]", "sic]", "sic"),
    ("« non » dit-il", "« non", "non"),
    ("«\u202fnon\u202f» dit-il", "«\u202fnon", "non"),
    ("((x)", "((x)", "(x)"),
    ("(“no", "(“no", "no"),
    # stray punctuation
    ("—yes— he", "—yes—", "yes"),
    ("• Ankara;", "• Ankara;", "Ankara"),
    ("Ankara!?…", "Ankara!?…", "Ankara"),
    ("a\u3000b ,c", " ,c", "c"),
    # hyphens and apostrophes
    ("twenty-one people", "twenty-one", "twenty-one"),
    ("the US-led force", "US", "US"),
    ("- Ankara -", "- Ankara -", "Ankara"),
    ("O’Brien spoke", "O’Brien", "O’Brien"),
    ("Erdoğan's party", "Erdoğan", "Erdoğan"),
    ("Erdoğan's party", "Erdoğan's", "Erdoğan's"),
]


def place(text: str, part: str) -> CharSpan:
    start = text.index(part)
    return CharSpan(start, start + len(part))


@pytest.mark.parametrize(("text", "part", "expected"), TIDY)
def test_spans_are_tidied(text: str, part: str, expected: str) -> None:
    tidy = tidy_span(text, place(text, part))
    assert tidy is not None
    assert tidy.of(text) == expected


@pytest.mark.parametrize("text", ["…", "—", "()", "“”", "' '", ". , ;", "👍🏽", "$", "°"])
def test_a_span_without_letter_or_digit_is_none(text: str) -> None:
    assert tidy_span(text, CharSpan(0, len(text))) is None


@st.composite
def spans(draw: st.DrawFn) -> tuple[str, CharSpan]:
    text = draw(hard_texts())
    start = draw(st.integers(0, len(text) - 1))
    return text, CharSpan(start, draw(st.integers(start + 1, min(len(text), start + 40))))


@settings(max_examples=300, deadline=None)
@given(spans())
def test_a_tidy_span_is_within_the_text_without_blank_ends_and_tidy(made: tuple[str, CharSpan]) -> None:
    text, span = made
    tidy = tidy_span(text, span)
    if tidy is None:
        return
    assert tidy.end <= len(text)
    assert any(char.isalnum() for char in tidy.of(text))
    assert tidy.of(text) == tidy.of(text).strip()
    assert tidy_span(text, tidy) == tidy
    for cut in (tidy.start, tidy.end):
        assert not (0 < cut < len(text) and text[cut - 1].isalnum() and text[cut].isalnum())


def candidate(text: str, start: int, article_id: str = "one", score: float = 0.0) -> Candidate:
    return Candidate(
        article_id=article_id,
        span=CharSpan(start, start + len(text)),
        text=text,
        margin=score,
        log_probability=score,
        retrieval_score=1.0,
    )


def test_merging_drops_what_overlaps_a_better_candidate_of_the_same_article() -> None:
    best, longer, other = candidate("Suez Canal", 10), candidate("in the Suez Canal", 3), candidate("Suez", 10, "two")
    assert merge([best, longer, other]) == [best, other]
    assert merge([longer, best, other]) == [longer, other]


def test_merging_keeps_candidates_that_only_touch() -> None:
    left, right = candidate("Suez", 0), candidate("Canal", 4)
    assert merge([left, right]) == [left, right]


def test_an_overlap_with_a_dropped_candidate_does_not_count() -> None:
    best, middle, last = candidate("ab", 0), candidate("bcd", 1), candidate("de", 3)
    assert merge([best, middle, last]) == [best, last]


@pytest.mark.parametrize("same", ["The Suez Canal", "suez canal", "SUEZ CANAL.", "a Suez  Canal"])
def test_merging_drops_what_says_the_same_anywhere(same: str) -> None:
    best = candidate("Suez Canal", 0)
    assert merge([best, candidate(same, 90), candidate(same, 0, "two")]) == [best]


def test_merging_keeps_what_says_something_else() -> None:
    kept = [candidate("33", 0), candidate("34", 10), candidate("33 soldiers", 20), candidate("33", 0, "two")]
    assert merge(kept) == kept[:3]
    assert merge([]) == []


def test_candidates_hold_places_in_the_article() -> None:
    article = "Long before. It cost $3.6 million, she said. … And later."
    passage = CharSpan(13, len(article))
    stored = StoredPassage(key=1, article_id="one", title="", span=passage, text=passage.of(article))
    read = [
        ReadSpan(span=place(stored.text, "6 million,"), margin=2.0, log_probability=-0.5),
        ReadSpan(span=place(stored.text, "…"), margin=1.0, log_probability=-1.5),
    ]
    (found,) = candidates([RetrievedPassage(passage=stored, retrieval_score=0.7)], [read])
    assert found.text == found.span.of(article) == "$3.6 million"
    assert (found.article_id, found.margin, found.log_probability, found.retrieval_score) == ("one", 2.0, -0.5, 0.7)


def test_a_passage_without_its_reading_is_an_error() -> None:
    stored = StoredPassage(key=1, article_id="one", title="", span=CharSpan(0, 1), text="a")
    with pytest.raises(ValueError, match="shorter"):
        candidates([RetrievedPassage(passage=stored, retrieval_score=1.0)], [])
