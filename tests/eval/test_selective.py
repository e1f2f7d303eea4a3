import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from eval.selective import (
    aurc,
    auroc,
    best_threshold_score,
    brier,
    calibration_bins,
    coverage_at_precision,
    ece,
    risk_coverage_curve,
    threshold_at_precision,
)

Floats = NDArray[np.float64]
Made = tuple[Floats, Floats]
TIED = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
CONFIDENCES = st.floats(0, 1) | TIED


@st.composite
def answers(draw: st.DrawFn, *, min_size: int = 0, max_size: int = 40) -> Made:
    """Confidences with ties, and whether the answers are right, at times all or none."""
    confidence = draw(st.lists(draw(st.sampled_from([TIED, CONFIDENCES])), min_size=min_size, max_size=max_size))
    possible = draw(st.sampled_from([[0, 1], [0], [1]]))
    right = [draw(st.sampled_from(possible)) for _ in confidence]
    return np.array(confidence, dtype=np.float64), np.array(right, dtype=np.float64)


def many_answers(n: int = 2000, seed: int = 7) -> Made:
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, (rng.random(n) < confidence**2).astype(np.float64)


def thresholds(confidence: Floats) -> list[float]:
    """Every threshold that answers something else than the others, from the highest, which answers the fewest."""
    return sorted(set(confidence.tolist()), reverse=True)


def answered_at(threshold: float, made: Made) -> list[float]:
    """Which of the answers given at this threshold are right."""
    return [
        right for confidence, right in zip(*(part.tolist() for part in made), strict=True) if confidence >= threshold
    ]


@pytest.mark.parametrize("metric", [ece, brier, auroc, aurc, lambda c, r: coverage_at_precision(c, r, 0.9)])
def test_without_questions_every_figure_is_nan(metric: Callable[[Floats, Floats], float]) -> None:
    assert math.isnan(metric(np.empty(0), np.empty(0)))


def test_without_questions_there_is_no_curve_bin_or_threshold() -> None:
    none = np.empty(0)
    coverage, risk = risk_coverage_curve(none, none)
    assert coverage.shape == risk.shape == (0,)
    assert calibration_bins(none, none, 5).count.tolist() == [0] * 5
    assert np.isnan(calibration_bins(none, none, 5).accuracy).all()
    assert threshold_at_precision(none, none, 0.5) is None
    score, threshold = best_threshold_score(none, none, none)
    assert math.isnan(score)
    assert threshold is None


def test_one_question() -> None:
    confidence = np.array([0.8])
    for right in (np.array([1.0]), np.array([True])):
        assert ece(confidence, right) == pytest.approx(0.2)
        assert brier(confidence, right) == pytest.approx(0.04)
        assert aurc(confidence, right) == 0.0
        assert coverage_at_precision(confidence, right, 1.0) == 1.0
        assert threshold_at_precision(confidence, right, 1.0) == 0.8
    wrong = np.array([0.0])
    assert ece(confidence, wrong) == pytest.approx(0.8)
    assert aurc(confidence, wrong) == 1.0
    assert coverage_at_precision(confidence, wrong, 0.1) == 0.0
    assert threshold_at_precision(confidence, wrong, 0.1) is None
    assert math.isnan(auroc(confidence, wrong))


@pytest.mark.parametrize(
    ("n_bins", "edge", "number"),
    [(10, 0.3, 2), (10, 0.7, 6), (10, 0.1 + 0.2, 3), (10, 0.0, 0), (10, 1.0, 9), (4, 0.5, 1)],
)
def test_a_bin_holds_its_upper_edge(n_bins: int, edge: float, number: int) -> None:
    expected = [int(i == number) for i in range(n_bins)]
    assert calibration_bins(np.array([edge]), np.array([1.0]), n_bins).count.tolist() == expected


def test_the_bins_are_those_of_scikit_learn() -> None:
    confidence, right = many_answers()
    confidence[:500] *= 0.1  # some bins nearly empty
    confidence[500:] = 0.3 + confidence[500:] / 10
    bins = calibration_bins(confidence, right, 16)  # sixteenths are exact, in scikit-learn too
    accuracy, mean = calibration_curve(right, confidence, n_bins=16)
    filled = bins.count > 0
    assert 0 < filled.sum() < 16
    assert bins.count.sum() == len(confidence)
    np.testing.assert_allclose(bins.accuracy[filled], accuracy, atol=1e-12)
    np.testing.assert_allclose(bins.confidence[filled], mean, atol=1e-12)
    assert np.isnan(bins.accuracy[~filled]).all()
    assert np.isnan(bins.confidence[~filled]).all()


@settings(max_examples=200, deadline=None)
@given(answers(min_size=1), st.integers(1, 15))
def test_ece_is_the_weighted_gap_of_the_bins(made: Made, n_bins: int) -> None:
    total = 0.0
    for i in range(n_bins):
        inside = [
            (confidence, right)
            for confidence, right in zip(*(part.tolist() for part in made), strict=True)
            if i / n_bins < confidence <= (i + 1) / n_bins or (i == 0 and confidence == 0)
        ]
        if inside:
            mean, accuracy = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(made[0]) * abs(accuracy - mean)
    assert ece(*made, n_bins) == pytest.approx(total, abs=1e-12)


def test_ece_of_a_confidence_that_means_what_it_says() -> None:
    confidence = np.repeat([0.25, 0.75], 4)
    assert ece(confidence, np.array([1, 0, 0, 0, 1, 1, 1, 0.0])) == 0.0
    assert ece(confidence, np.array([1, 1, 1, 0, 1, 0, 0, 0.0])) == 0.5


@settings(max_examples=200, deadline=None)
@given(answers(min_size=1))
def test_brier_is_that_of_scikit_learn(made: Made) -> None:
    confidence, right = made
    assert brier(confidence, right) == pytest.approx(brier_score_loss(right, confidence, labels=[0, 1]), abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(answers())
def test_auroc_is_that_of_scikit_learn(made: Made) -> None:
    confidence, right = made
    if len(set(right.tolist())) < 2:
        assert math.isnan(auroc(confidence, right))
    else:
        assert auroc(confidence, right) == pytest.approx(roc_auc_score(right, confidence), abs=1e-12)
        assert auroc(confidence, right.astype(bool)) == auroc(confidence, right)


def test_auroc_of_many_answers() -> None:
    confidence, right = many_answers()
    assert auroc(confidence, right) == pytest.approx(roc_auc_score(right, confidence), abs=1e-12)
    assert auroc(np.full(50, 0.5), right[:50]) == 0.5


@settings(max_examples=200, deadline=None)
@given(answers(min_size=1))
def test_the_curve_holds_every_threshold(made: Made) -> None:
    coverage, risk = risk_coverage_curve(*made)
    given = [answered_at(threshold, made) for threshold in thresholds(made[0])]
    assert coverage.tolist() == pytest.approx([len(rights) / len(made[0]) for rights in given])
    assert risk.tolist() == pytest.approx([1 - sum(rights) / len(rights) for rights in given])
    assert coverage[-1] == 1.0


@settings(max_examples=100, deadline=None)
@given(answers(min_size=1, max_size=6))
def test_aurc_is_the_mean_over_all_orders_of_ties(made: Made) -> None:
    areas = []
    for order in itertools.permutations(range(len(made[0]))):
        if (np.diff(made[0][list(order)]) <= 0).all():
            wrong = 1 - made[1][list(order)]
            areas.append(np.mean([wrong[:i].mean() for i in range(1, len(wrong) + 1)]))
    assert aurc(*made) == pytest.approx(float(np.mean(areas)), abs=1e-12)


def test_aurc_by_hand() -> None:
    confidence = np.array([0.2, 0.9, 0.6, 0.4])
    assert aurc(confidence, np.array([0.0, 1, 0, 1])) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert aurc(np.full(4, 0.5), np.array([0.0, 1, 0, 1])) == pytest.approx(0.5)


@settings(max_examples=300, deadline=None)
@given(answers(min_size=1), st.sampled_from([0.1, 0.5, 0.55, 2 / 3, 0.8, 0.9, 0.95, 1.0]))
def test_coverage_and_threshold_at_a_precision_are_those_of_brute_force(made: Made, precision: float) -> None:
    reached = [
        (len(rights) / len(made[0]), threshold)
        for threshold in thresholds(made[0])
        if sum(rights := answered_at(threshold, made)) / len(rights) >= precision
    ]
    coverage, threshold = max(reached, default=(0.0, None))
    assert coverage_at_precision(*made, precision) == pytest.approx(coverage)
    assert threshold_at_precision(*made, precision) == threshold


def test_a_precision_that_is_met_exactly_is_met() -> None:
    # 0.55 * 20 is 11.000000000000002.
    confidence, right = np.full(20, 0.5), np.array([1.0] * 11 + [0.0] * 9)
    assert coverage_at_precision(confidence, right, 0.55) == 1.0
    assert coverage_at_precision(confidence, right, 0.56) == 0.0


def test_equal_confidences_are_answered_together() -> None:
    confidence, right = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([1.0, 1, 1, 0, 0])
    assert coverage_at_precision(confidence, right, 0.9) == 0.2, "three of five would do, but no threshold gives three"
    assert threshold_at_precision(confidence, right, 0.9) == 0.9
    assert threshold_at_precision(confidence, right, 0.75) == 0.5


def test_a_lower_threshold_may_meet_what_a_higher_one_misses() -> None:
    confidence, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.0, 1, 1, 1])
    assert threshold_at_precision(confidence, right, 0.75) == 0.6
    assert coverage_at_precision(confidence, right, 0.75) == 1.0


@st.composite
def questions(draw: st.DrawFn, confidences: st.SearchStrategy[float], *, unique: bool) -> tuple[Floats, Floats, Floats]:
    """Confidences, and what giving and withholding score; unanswerable questions and ones without candidates occur."""
    confidence = draw(st.lists(confidences, min_size=1, max_size=30, unique=unique))
    scores = [draw(st.sampled_from([(0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.4, 0.0), (1.0, 0.0)])) for _ in confidence]
    given_score, withheld_score = zip(*scores, strict=True)
    return np.array(confidence), np.array(given_score), np.array(withheld_score)


@settings(max_examples=300, deadline=None)
@given(questions(CONFIDENCES, unique=False))
def test_the_best_threshold_is_that_of_brute_force(made: tuple[Floats, Floats, Floats]) -> None:
    confidence, given_score, withheld_score = made

    def score_at(threshold: float) -> float:
        return float(np.where(confidence >= threshold, given_score, withheld_score).mean())

    score, threshold = best_threshold_score(*made)
    assert score == pytest.approx(max(score_at(one) for one in [math.inf, *thresholds(confidence)]), abs=1e-12)
    assert score == pytest.approx(score_at(math.inf if threshold is None else threshold), abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(questions(st.integers(0, 1000).map(lambda number: number / 1000), unique=True))
def test_without_ties_the_best_score_is_that_of_walking_through_the_questions(
    made: tuple[Floats, Floats, Floats],
) -> None:
    """As the official SQuAD v2.0 script walks: by rising no-answer probability, counting what each answer changes."""
    walk = sorted(zip(*(part.tolist() for part in made), strict=True), key=lambda question: 1 - question[0])
    reached = best = made[2].sum()
    for _, given_score, withheld_score in walk:
        reached += given_score - withheld_score
        best = max(best, reached)
    assert best_threshold_score(*made)[0] == pytest.approx(best / len(walk), abs=1e-12)


def test_the_best_threshold_by_hand() -> None:
    confidence, given_score = np.array([0.9, 0.4, 0.6, 0.2]), np.array([1.0, 0.5, 0.0, 0.0])
    score, threshold = best_threshold_score(confidence, given_score, np.array([0.0, 0, 1, 1]))
    assert (score, threshold) == (0.75, 0.9)
    assert best_threshold_score(confidence, given_score, np.array([0.0, 0, 0, 1])) == (0.625, 0.4)


def test_answering_nothing_may_be_best() -> None:
    assert best_threshold_score(np.array([0.9, 1.0]), np.array([0.0, 0.0]), np.array([1.0, 0.0])) == (0.5, None)


def test_no_threshold_lies_between_equal_confidences() -> None:
    # The official script, taking the first one alone, would report 1.0.
    assert best_threshold_score(np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([0.0, 1.0])) == (0.5, None)


@settings(max_examples=100, deadline=None)
@given(answers(min_size=1), st.integers(0, 1000))
def test_no_figure_depends_on_the_order_of_the_questions(made: Made, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(made[0]))
    confidence, right = (part[order] for part in made)
    for metric in (ece, brier, auroc, aurc):
        assert metric(confidence, right) == pytest.approx(metric(*made), abs=1e-12, nan_ok=True)
    assert best_threshold_score(confidence, right, 1 - right) == best_threshold_score(*made, 1 - made[1])
    for precision in (0.5, 0.9):
        assert coverage_at_precision(confidence, right, precision) == coverage_at_precision(*made, precision)
