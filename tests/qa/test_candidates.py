import pytest

from index.passages import CharSpan
from index.records import StoredPassage
from index.retriever import RetrievedPassage
from qa.candidates import TYPICAL_MARGIN, TYPICAL_RETRIEVAL_SCORE, Candidate, candidates, merge
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
        others_margin=0.0,
        others_retrieval_score=0.0,
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
    held = StoredPassage(key=1, article_id="one", title="", span=passage, text=passage.of(article))
    read = [
        ReadSpan(span=place(held.text, "6 million,"), margin=2.0, log_probability=-0.5),
        ReadSpan(span=place(held.text, "…"), margin=1.0, log_probability=-1.5),
    ]
    (found,) = candidates([RetrievedPassage(passage=held, retrieval_score=0.7)], [read])
    assert found.text == found.span.of(article) == "$3.6 million"
    assert (found.article_id, found.margin, found.log_probability, found.retrieval_score) == ("one", 2.0, -0.5, 0.7)


def stored(number: int, text: str = "It was 33.") -> StoredPassage:
    return StoredPassage(key=number, article_id=str(number), title="", span=CharSpan(0, len(text)), text=text)


def others(margins: list[float | None], scores: list[float]) -> list[tuple[float, float]]:
    """What is said of the others in each passage's one candidate; None is a passage in which nothing is found."""
    passages = [RetrievedPassage(passage=stored(i), retrieval_score=score) for i, score in enumerate(scores)]
    readings = [
        [] if margin is None else [ReadSpan(span=CharSpan(7, 9), margin=margin, log_probability=-1.0)]
        for margin in margins
    ]
    return [(c.others_margin, c.others_retrieval_score) for c in candidates(passages, readings)]


def test_of_ten_passages_the_nine_others_are_told_of() -> None:
    margins, scores = [float(i * i) for i in range(10)], [1 - i / 10 for i in range(10)]
    expected = [((sum(margins) - m) / 9, (sum(scores) - s) / 9) for m, s in zip(margins, scores, strict=True)]
    found = others([*margins], scores)
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected])
    assert [one[1] for one in found] == pytest.approx([one[1] for one in expected])


def test_of_more_passages_the_best_retrieved_others_count() -> None:
    margins, scores = [float(i) for i in range(12)], [1.0] * 9 + [0.5, 0.4, 0.3]
    found = others([*margins], scores)
    assert found[0] == pytest.approx((sum(range(1, 10)) / 9, 8.5 / 9))
    assert found[9] == found[10] == found[11] == pytest.approx((sum(range(9)) / 9, 1.0))


def test_passages_that_lack_count_as_typical() -> None:
    typical = TYPICAL_MARGIN, TYPICAL_RETRIEVAL_SCORE
    assert others([5.0], [1.0]) == [pytest.approx(typical)]
    first, last = others([5.0, None, -1.0], [1.0, 0.9, 0.8])
    assert first == pytest.approx(((-1 + 8 * typical[0]) / 9, (0.8 + 8 * typical[1]) / 9))
    assert last == pytest.approx(((5 + 8 * typical[0]) / 9, (1 + 8 * typical[1]) / 9))


def test_the_best_margin_of_a_passage_is_what_is_told() -> None:
    passages = [RetrievedPassage(passage=stored(i), retrieval_score=0.5) for i in range(2)]
    spans = [
        ReadSpan(span=CharSpan(i, 9), margin=float(margin), log_probability=-1.0) for i, margin in ((7, 1), (3, 4))
    ]
    first, *_ = candidates(passages, [spans[:1], spans])
    assert first.others_margin == pytest.approx((4 + 8 * TYPICAL_MARGIN) / 9)


def test_a_passage_without_its_reading_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        candidates([RetrievedPassage(passage=stored(1), retrieval_score=1.0)], [])
