import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.bootstrap import Estimate, estimate, estimate_mean, interval, resamples
from eval.metrics import metric
from eval.outcomes import Floats, Outcomes
from tests.eval.slow import percentile

NAN = math.nan


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def of(found: Estimate | None) -> tuple[float, float, float, int]:
    assert found is not None
    return found.value, found.low, found.high, found.n


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(0, 1) | st.just(NAN), min_size=1, max_size=30))
def test_the_interval_of_a_mean_is_that_of_a_slow_bootstrap_on_the_same_rows(values: list[float]) -> None:
    counting = [value for value in values if not math.isnan(value)]
    found = estimate_mean(column(*values))
    if not counting:
        assert found is None
        return
    drawn = [[counting[row] for row in rows] for rows in resamples(len(counting))]
    means = [math.fsum(draw) / len(draw) for draw in drawn]
    expected = (math.fsum(counting) / len(counting), percentile(means, 2.5), percentile(means, 97.5), len(counting))
    assert of(found) == pytest.approx(expected, abs=1e-6)
    assert estimate_mean(column(*values)) == found


def test_the_interval_of_any_number_is_that_of_a_slow_bootstrap_on_the_same_rows() -> None:
    rng = np.random.default_rng(3)
    confidence, right = rng.random(40), (rng.random(40) < 0.4).astype(np.float64)
    right[:5] = NAN  # of these only retrieval counts
    found = estimate(metric("brier").of, Outcomes({"confidence": confidence, "right": right}))
    resampled = []
    for rows in resamples(40):
        squares = [(confidence[row] - right[row]) ** 2 for row in rows if not math.isnan(right[row])]
        resampled.append(math.fsum(squares) / len(squares))
    whole = float(np.mean((confidence[5:] - right[5:]) ** 2))
    assert of(found) == pytest.approx((whole, percentile(resampled, 2.5), percentile(resampled, 97.5), 40), abs=1e-6)


def test_resamples_are_rows_drawn_with_replacement_the_same_every_time() -> None:
    one, same, other = (list(resamples(50, 200, seed)) for seed in (7, 7, 8))
    assert len(one) == 200
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    counts = np.bincount(np.concatenate(one), minlength=50)
    assert counts.sum() == 50 * 200
    assert len(counts) == 50
    # Each row is drawn 200 times on average, with a standard deviation of 14.
    assert 130 < counts.min() < counts.max() < 270
    distinct = np.mean([len(set(rows.tolist())) for rows in one])
    assert distinct == pytest.approx(50 * (1 - (1 - 1 / 50) ** 50), abs=0.6)
    assert len(list(resamples(3))) == 1000


@pytest.mark.parametrize(("n", "share"), [(150, 0.5), (400, 0.8)])
def test_of_a_hundred_samples_about_ninety_five_have_the_truth_in_their_interval(n: int, share: float) -> None:
    rng = np.random.default_rng(n)
    n_samples, holding = 150, 0
    for _ in range(n_samples):
        _, low, high, _ = of(estimate_mean((rng.random(n) < share).astype(np.float64)))
        holding += low <= share <= high
    # 142 are expected; the standard deviation is 2.7.
    assert 0.895 * n_samples < holding < n_samples


@pytest.mark.parametrize(("n", "n_right"), [(100, 50), (400, 300), (400, 40)])
def test_the_interval_of_a_share_is_that_of_the_normal_approximation(n: int, n_right: int) -> None:
    value, low, high, _ = of(estimate_mean(column(*[1.0] * n_right, *[0.0] * (n - n_right))))
    half = NormalDist().inv_cdf(0.975) * math.sqrt(value * (1 - value) / n)
    assert value == n_right / n
    assert (value - low, high - value) == pytest.approx((half, half), rel=0.12)


def test_one_question_has_no_spread_and_none_no_estimate() -> None:
    assert of(estimate_mean(column(0.3))) == (0.3, 0.3, 0.3, 1)
    assert of(estimate_mean(column(NAN, 0.3, NAN))) == (0.3, 0.3, 0.3, 1)
    assert of(estimate(metric("f1").of, Outcomes({"f1": column(0.3)}))) == (0.3, 0.3, 0.3, 1)
    assert estimate_mean(column()) is None
    assert estimate_mean(column(NAN, NAN)) is None
    assert estimate(metric("f1").of, Outcomes({"f1": column(NAN)})) is None


def test_draws_on_which_nothing_counts_say_nothing_and_warn_of_nothing() -> None:
    # One question in fifty counts: 36 % of the draws are without it. Warnings are errors in these tests.
    few = column(*[NAN] * 49, 0.25)
    assert any(49 not in rows for rows in resamples(50))
    assert of(estimate(metric("f1").of, Outcomes({"f1": few}))) == (0.25, 0.25, 0.25, 50)
    # A draw without a right, or without a wrong answer has no AUROC.
    tied = Outcomes({"confidence": column(0.9, 0.8, 0.1), "right": column(1, 0, 0)})
    assert of(estimate(metric("auroc").of, tied)) == (1.0, 1.0, 1.0, 3)
    for name in ("ece", "brier", "aurc", "coverage@90"):
        found = estimate(metric(name).of, Outcomes({"confidence": few, "right": few}))
        assert found is not None
        assert found.low == found.value == found.high


def test_the_interval_is_the_middle_of_the_values_rounded_to_six_digits() -> None:
    found = interval(1 / 3, [NAN, *(i / 7000 for i in range(1001)), NAN], 12)
    assert of(found) == (0.333333, round(25 / 7000, 6), round(975 / 7000, 6), 12)
