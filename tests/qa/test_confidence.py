import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import ModelError
from index.passages import CharSpan
from qa.candidates import Candidate
from qa.confidence import N_RIVALS, Confidence, load_confidence

FITTED = Confidence(bias=-0.5, log_probability=1.0, margin=0.25, retrieval_score=3.0, min_confidence=0.2)


def candidate(number: int, log_probability: float, margin: float = 0.0, retrieval_score: float = 0.0) -> Candidate:
    """A candidate that neither overlaps nor repeats one of another number."""
    return Candidate(
        article_id=f"article {number}",
        span=CharSpan(0, 1),
        text=f"text {number}",
        margin=margin,
        log_probability=log_probability,
        retrieval_score=retrieval_score,
    )


def candidates(limit: float) -> st.SearchStrategy[list[Candidate]]:
    scores = st.tuples(st.floats(-limit, 0), st.floats(-limit, limit), st.floats(0, 1))
    return st.lists(scores, max_size=8).map(lambda made: [candidate(i, *three) for i, three in enumerate(made)])


@settings(max_examples=200, deadline=None)
@given(candidates(20.0))
def test_confidences_are_the_formula_of_the_module(found: list[Candidate]) -> None:
    scored, none_right = FITTED.score(found)
    odds = {
        c.text: math.exp(-0.5 + c.log_probability + 0.25 * c.margin + 3.0 * c.retrieval_score) for c in found
    }  # fmt: skip
    total = 1 + sum(odds.values())
    assert none_right == pytest.approx(1 / total)
    assert {s.candidate.text: s.confidence for s in scored} == pytest.approx({t: o / total for t, o in odds.items()})


@settings(max_examples=200, deadline=None)
@given(candidates(1e6))
def test_probabilities_sum_to_one_and_fall_with_the_log_odds_however_extreme(found: list[Candidate]) -> None:
    scored, none_right = FITTED.score(found)
    confidences = [s.confidence for s in scored]
    assert len(scored) == len(found)
    assert sum(confidences) + none_right == pytest.approx(1)
    assert all(0 <= confidence <= 1 for confidence in [*confidences, none_right])
    assert confidences == sorted(confidences, reverse=True)
    odds = [FITTED.log_odds(s.candidate) for s in scored]
    assert odds == sorted(odds, reverse=True)


@pytest.mark.parametrize(("log_probability", "expected"), [(-1e9, (0.0, 1.0)), (1e9, (1.0, 0.0)), (0.5, (0.5, 0.5))])
def test_one_candidate_against_none(log_probability: float, expected: tuple[float, float]) -> None:
    (scored,), none_right = FITTED.score([candidate(0, log_probability)])
    assert (scored.confidence, none_right) == pytest.approx(expected)


@pytest.mark.parametrize("feature", ["log_probability", "margin", "retrieval_score"])
def test_a_better_feature_gives_more_confidence_and_leaves_less_to_rivals(feature: str) -> None:
    rival = candidate(1, -1.0)
    seen = []
    for value in (-2.0, -1.0, 0.0, 0.5, 1.0):
        better = dataclasses.replace(candidate(0, 0.0), **{feature: value})  # type: ignore[arg-type]
        scored, none_right = FITTED.score([better, rival])
        by_text = {s.candidate.text: s.confidence for s in scored}
        seen.append((by_text["text 0"], -by_text["text 1"], -none_right))
    assert seen == sorted(seen)
    assert len(set(seen)) == len(seen)


def test_without_candidates_none_is_right() -> None:
    assert FITTED.score([]) == ([], 1.0)


def test_equal_candidates_share_alike_in_order_of_article() -> None:
    scored, _ = FITTED.score([candidate(2, -1.0), candidate(0, -1.0), candidate(1, -1.0)])
    assert [s.candidate.article_id for s in scored] == ["article 0", "article 1", "article 2"]
    assert len({s.confidence for s in scored}) == 1


def test_repetitions_of_a_better_candidate_take_no_share() -> None:
    best, other = candidate(0, -0.1), candidate(1, -2.0)
    same = dataclasses.replace(candidate(2, -0.2), text="The Text 0.")
    assert FITTED.score([same, best, other]) == FITTED.score([best, other])


def test_only_the_best_rivals_share() -> None:
    found = [candidate(i, -i / 10) for i in range(N_RIVALS + 5)]
    assert FITTED.score(found[::-1]) == FITTED.score(found[:N_RIVALS])
    assert len(FITTED.score(found)[0]) == N_RIVALS


def test_the_shipped_numbers_make_better_spans_more_probable() -> None:
    shipped = load_confidence()
    assert 0 <= shipped.min_confidence <= 1
    assert shipped.log_odds(candidate(0, -0.1, 5.0, 1.0)) > shipped.log_odds(candidate(0, -5.0, -5.0, 0.0))


def test_numbers_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "confidence.json").write_text(json.dumps(dataclasses.asdict(FITTED)))
    assert load_confidence(tmp_path) == FITTED


GOOD = dataclasses.asdict(FITTED)
DAMAGED = {
    "empty": "",
    "not JSON": "{",
    "a list": "[1, 2]",
    "null": "null",
    "a field missing": json.dumps({name: value for name, value in GOOD.items() if name != "margin"}),
    "an unknown field": json.dumps({**GOOD, "extra": 1}),
    "not a number": json.dumps({**GOOD, "bias": "high"}),
    "a null": json.dumps({**GOOD, "bias": None}),
    "NaN": json.dumps({**GOOD, "min_confidence": math.nan}),
    "infinite": json.dumps({**GOOD, "bias": math.inf}),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "confidence.json").write_text(text)
    with pytest.raises(ModelError, match=r"confidence\.json: cannot be read"):
        load_confidence(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"confidence\.json: cannot be read"):
        load_confidence(tmp_path)
