import dataclasses
import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import ModelError, QuestionError
from index.passages import CharSpan
from qa.candidates import Candidate
from qa.confidence import N_RIVALS, Confidence, Threshold, Weights, features, load_confidence

FITTED = Confidence(
    weights=Weights(
        bias=-0.5,
        log_probability=1.0,
        margin=0.25,
        retrieval_score=3.0,
        others_margin=-0.125,
        others_retrieval_score=-1.0,
        margin_by_others_margin=0.1,
        margin_by_others_retrieval_score=-0.2,
    ),
    min_confidence=0.2,
    thresholds=(
        Threshold(precision=0.5, min_confidence=0.03),
        Threshold(precision=0.8, min_confidence=0.4),
        Threshold(precision=0.9, min_confidence=0.7),
    ),
)


def candidate(
    number: int,
    log_probability: float,
    margin: float = 0.0,
    retrieval_score: float = 0.0,
    others: tuple[float, float] = (0.0, 0.0),
) -> Candidate:
    """A candidate that neither overlaps nor repeats one of another number."""
    return Candidate(
        article_id=f"article {number}",
        span=CharSpan(0, 1),
        text=f"text{number}",
        margin=margin,
        log_probability=log_probability,
        retrieval_score=retrieval_score,
        others_margin=others[0],
        others_retrieval_score=others[1],
    )


def candidates(limit: float) -> st.SearchStrategy[list[Candidate]]:
    others = st.tuples(st.floats(-20, 20), st.floats(0, 1))
    scores = st.tuples(st.floats(-limit, 0), st.floats(-limit, limit), st.floats(0, 1), others)
    return st.lists(scores, max_size=8).map(lambda made: [candidate(i, *scores) for i, scores in enumerate(made)])


@settings(max_examples=200, deadline=None)
@given(candidates(20.0))
def test_confidences_are_the_formula_of_the_module(found: list[Candidate]) -> None:
    scored, none_right = FITTED.score(found)
    odds = {}
    for c in found:
        slope = 0.25 + 0.1 * c.others_margin / 10 - 0.2 * c.others_retrieval_score
        others = -0.125 * c.others_margin - 1.0 * c.others_retrieval_score
        odds[c.text] = math.exp(-0.5 + c.log_probability + slope * c.margin + 3.0 * c.retrieval_score + others)
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
    odds = [FITTED.weights.log_odds(s.candidate) for s in scored]
    assert odds == sorted(odds, reverse=True)


@pytest.mark.parametrize(
    ("log_probability", "expected"),
    [(-1e9, (0.0, 1.0)), (1e9, (1.0, 0.0)), (0.5, (0.5, 0.5))],
)
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
        seen.append((by_text["text0"], -by_text["text1"], -none_right))
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
    same = dataclasses.replace(candidate(2, -0.2), text="The Text0.")
    assert FITTED.score([same, best, other]) == FITTED.score([best, other])


def test_only_the_best_rivals_share() -> None:
    found = [candidate(i, -i / 10) for i in range(N_RIVALS + 5)]
    assert FITTED.score(found[::-1]) == FITTED.score(found[:N_RIVALS])
    assert len(FITTED.score(found)[0]) == N_RIVALS
    assert FITTED.rivals(found[::-1]) == found[:N_RIVALS]


@pytest.mark.parametrize(
    ("precision", "threshold"), [(0.0, 0.03), (0.5, 0.03), (0.51, 0.4), (0.8, 0.4), (0.8001, 0.7), (0.9, 0.7)]
)
def test_the_threshold_for_a_precision_is_the_lowest_that_keeps_it(precision: float, threshold: float) -> None:
    assert FITTED.threshold_for(precision) == threshold


@pytest.mark.parametrize("precision", [0.91, 1.0, math.nan])
def test_a_precision_that_no_threshold_keeps_is_refused_with_the_highest(precision: float) -> None:
    with pytest.raises(QuestionError, match=rf"precision of {precision:g} on held-out questions: 0\.9 is the highest"):
        FITTED.threshold_for(precision)


def test_without_thresholds_no_precision_can_be_asked_for() -> None:
    with pytest.raises(QuestionError, match=r"precision of 0\.1 .*: none is known"):
        dataclasses.replace(FITTED, thresholds=()).threshold_for(0.1)


def test_the_shipped_numbers_make_better_spans_more_probable() -> None:
    shipped = load_confidence()
    assert 0 <= shipped.min_confidence <= 1
    for others in itertools.product((-15.0, -8.0, 0.0, 8.0), (0.0, 0.5, 1.0)):
        better, worse = candidate(0, -0.1, 5.0, 1.0, others), candidate(0, -5.0, -5.0, 0.0, others)
        assert shipped.weights.log_odds(better) > shipped.weights.log_odds(worse)


def test_a_feature_adds_its_weight_times_itself() -> None:
    found = candidate(0, -1.5, 4.0, 0.75, (-6.0, 0.25))
    weights = dataclasses.astuple(FITTED.weights)
    assert len(features(found)) == len(weights)
    assert FITTED.weights.log_odds(found) == pytest.approx(
        sum(w * f for w, f in zip(weights, features(found), strict=True))
    )


def test_the_shipped_thresholds_rise_with_the_precision_they_keep() -> None:
    shipped = load_confidence().thresholds
    for numbers in ([t.precision for t in shipped], [t.min_confidence for t in shipped]):
        assert numbers == sorted(numbers)
        assert 0 <= numbers[0] < numbers[-1] <= 1
    assert len({t.precision for t in shipped}) == len(shipped)
    assert {0.8, 0.9} <= {t.precision for t in shipped}


GOOD = {
    "weights": {**dataclasses.asdict(FITTED.weights), "log_probability": 1},
    "min_confidence": 0.2,
    "thresholds": [[0.5, 0.03], [0.8, 0.4], [0.9, 0.7]],
}


def test_numbers_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "confidence.json").write_text(json.dumps(GOOD))
    assert load_confidence(tmp_path) == FITTED
    (tmp_path / "confidence.json").write_text(json.dumps({**GOOD, "thresholds": []}))
    assert load_confidence(tmp_path) == dataclasses.replace(FITTED, thresholds=())


def weights(**changed: object) -> str:
    kept: dict[str, object] = {**dataclasses.asdict(FITTED.weights), **changed}
    return json.dumps({**GOOD, "weights": {name: value for name, value in kept.items() if value != "left out"}})


def thresholds(value: object) -> str:
    return json.dumps({**GOOD, "thresholds": value})


DAMAGED = {
    "empty": "",
    "not JSON": "{",
    "a list": "[1, 2]",
    "null": "null",
    "the form of before": json.dumps({**dataclasses.asdict(FITTED.weights), "min_confidence": 0.2}),
    "no weights": json.dumps({name: value for name, value in GOOD.items() if name != "weights"}),
    "no threshold": json.dumps({name: value for name, value in GOOD.items() if name != "min_confidence"}),
    "no thresholds": json.dumps({name: value for name, value in GOOD.items() if name != "thresholds"}),
    "an unknown field": json.dumps({**GOOD, "extra": 1}),
    "a weight missing": weights(margin="left out"),
    "an unknown weight": weights(extra=1),
    "weights as a list": json.dumps({**GOOD, "weights": [1, 2, 3, 4, 5]}),
    "not a number": weights(bias="high"),
    "a number as text": weights(bias="1"),
    "a truth value": weights(bias=True),
    "a null": weights(bias=None),
    "NaN": json.dumps({**GOOD, "min_confidence": math.nan}),
    "infinite": weights(bias=math.inf),
    "beyond all floats": weights(bias=10**400),
    "thresholds as a number": thresholds(0.5),
    "thresholds as numbers": thresholds([0.5, 0.6]),
    "a threshold alone": thresholds([[0.5]]),
    "a threshold of three": thresholds([[0.5, 0.6, 0.7]]),
    "a threshold of NaN": thresholds([[0.5, math.nan]]),
    "a threshold as text": thresholds([[0.5, "0.6"]]),
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "confidence.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ModelError, match=r"confidence\.json: cannot be read .*; reinstall quoth"):
        load_confidence(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"confidence\.json: cannot be read"):
        load_confidence(tmp_path)
