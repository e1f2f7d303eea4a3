import pytest

from index.passages import CharSpan
from index.records import StoredPassage
from index.retriever import RetrievedPassage
from qa.candidates import Candidate, candidates, merge
from qa.reader import ReadSpan


def place(text: str, part: str) -> CharSpan:
    start = text.index(part)
    return CharSpan(start, start + len(part))


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


@pytest.mark.parametrize(
    ("one", "other"), [("$5bn", "-$5bn"), ("9/11", "911"), ("3:30", "330"), ("5'11", "511"), ("3.6", "36"), ("A", "An")]
)
def test_what_says_something_else_is_kept(one: str, other: str) -> None:
    both = [candidate(one, 0), candidate(other, 90, "two")]
    assert merge(both) == both


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
