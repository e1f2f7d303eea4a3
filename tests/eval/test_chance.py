import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from eval.bootstrap import resamples
from eval.chance import mcnemar, resampled_differences, swap_p, swapped
from eval.metrics import Metric, metric
from eval.outcomes import Floats, Outcomes

NAN = math.nan
F1, EM, RECALL, BRIER = metric("f1"), metric("em"), metric("recall@5"), metric("brier")
N_RESAMPLES = 50


def columns(**values: list[float]) -> Outcomes:
    return Outcomes({name.replace("_at_", "@"): np.array(column, dtype=np.float64) for name, column in values.items()})


def slow_mean(column: Floats, rows: list[int]) -> float:
    counting = [float(column[row]) for row in rows if not math.isnan(column[row])]
    return sum(counting) / len(counting) if counting else NAN


def exact_swap_p(a: Outcomes, b: Outcomes, of: Metric) -> float:
    """By trying every way of swapping."""
    observed = abs(of.of(b) - of.of(a))
    ways = [swapped(a, b, np.array(swap)) for swap in product((False, True), repeat=len(a))]
    as_far = [abs(of.of(other_b) - of.of(other_a)) >= observed - 1e-12 for other_a, other_b in ways]
    return sum(as_far) / len(as_far)


@pytest.mark.parametrize("only_a", range(9))
@pytest.mark.parametrize("only_b", [0, 1, 2, 5, 17])
def test_mcnemar_is_a_fair_coins_test(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand_and_with_many_questions() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(4, 0) == 2 / 16
    assert mcnemar(3, 1) == mcnemar(1, 3) == 2 * (1 + 4) / 16
    assert mcnemar(900, 1000) == pytest.approx(binomtest(900, 1900).pvalue, rel=1e-9)
    assert mcnemar(0, 10_000) == 0.0


values = st.sampled_from([0.0, 0.25, 0.5, 1.0, NAN])


@given(st.lists(st.tuples(values, values, values, values), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_resampled_differences_are_those_of_the_same_rows(rows: list[tuple[float, float, float, float]]) -> None:
    f1_a, f1_b, recall_a, recall_b = (list(column) for column in zip(*rows, strict=True))
    a, b = columns(f1=f1_a, recall_at_5=recall_a), columns(f1=f1_b, recall_at_5=recall_b)

    found = resampled_differences(a, b, [F1, RECALL], N_RESAMPLES)

    for name in ("f1", "recall@5"):
        drawn = [list(r) for r in resamples(len(rows), N_RESAMPLES)]
        expected = [slow_mean(b[name], r) - slow_mean(a[name], r) for r in drawn]
        np.testing.assert_allclose(found[name], expected, atol=1e-11)


def test_a_metric_that_is_no_mean_is_resampled_with_the_same_rows() -> None:
    a = columns(f1=[1, 0, 1, 0], confidence=[0.9, 0.8, 0.4, 0.1], right=[1, 0, 1, 0])
    b = columns(f1=[1, 0, 0, 0], confidence=[0.7, 0.9, 0.4, 0.3], right=[1, 0, 0, 0])

    found = resampled_differences(a, b, [BRIER, F1], N_RESAMPLES)

    def squares(of: Outcomes, rows: list[int]) -> float:
        return sum(float(of["confidence"][row] - of["right"][row]) ** 2 for row in rows) / len(rows)

    expected = [squares(b, list(rows)) - squares(a, list(rows)) for rows in resamples(4, N_RESAMPLES)]
    np.testing.assert_allclose(found["brier"], expected, atol=1e-11)
    np.testing.assert_allclose(found["f1"], [-np.mean(rows == 2) for rows in resamples(4, N_RESAMPLES)], atol=1e-11)


def test_equal_runs_differ_by_exactly_nothing() -> None:
    rng = np.random.default_rng(3)
    f1 = rng.random(1000).tolist()
    a, b = columns(f1=f1), columns(f1=list(f1))

    assert not resampled_differences(a, b, [F1], N_RESAMPLES)["f1"].any()
    assert swap_p(a, b, [F1]) == {"f1": 1.0}


def test_one_question_proves_nothing() -> None:
    a = columns(f1=[1.0], confidence=[1.0], right=[1.0])
    b = columns(f1=[0.0], confidence=[1.0], right=[0.0])

    assert swap_p(a, b, [F1, BRIER]) == {"f1": 1.0, "brier": 1.0}


@pytest.mark.parametrize(
    ("f1_a", "f1_b"),
    [
        ([0.9, 0.8, 0.7, 1.0, 0.6, 0.9, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5, 0.0, 0.4]),
        ([0.9, 0.1, 0.7, 0.2, 0.6, 0.9, 0.5], [0.1, 0.9, 0.3, 0.4, 0.9, 0.6, 0.4]),
        ([0.9, NAN, 0.7, 0.2, NAN, 0.9, 0.5], [NAN, 0.9, 0.3, 0.4, NAN, 0.6, 0.4]),
    ],
)
def test_the_swap_test_is_near_the_exact_one(f1_a: list[float], f1_b: list[float]) -> None:
    right = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
    a = columns(f1=f1_a, confidence=[0.9, 0.8, 0.9, 0.8, 0.7, 0.9, 0.3], right=right)
    b = columns(f1=f1_b, confidence=[0.5, 0.9, 0.6, 0.5, 0.8, 0.5, 0.9], right=right)

    found = swap_p(a, b, [F1, BRIER])

    assert found["f1"] == pytest.approx(exact_swap_p(a, b, F1), abs=0.04)
    assert found["brier"] == pytest.approx(exact_swap_p(a, b, BRIER), abs=0.04)


def test_where_answers_are_right_or_wrong_the_swap_test_is_mcnemars() -> None:
    a = columns(em=[1.0] * 12 + [0.0] * 4 + [1.0] * 40)
    b = columns(em=[0.0] * 12 + [1.0] * 4 + [1.0] * 40)

    assert swap_p(a, b, [EM])["em"] == pytest.approx(mcnemar(12, 4), abs=0.03)


def test_swapped_exchanges_whole_questions() -> None:
    a, b = columns(em=[1, 1, 1], f1=[0.1, 0.2, 0.3]), columns(em=[0, 0, 0], f1=[0.7, 0.8, 0.9])

    new_a, new_b = swapped(a, b, np.array([True, False, True]))

    assert (new_a["em"].tolist(), new_a["f1"].tolist()) == ([0, 1, 0], [0.7, 0.2, 0.9])
    assert (new_b["em"].tolist(), new_b["f1"].tolist()) == ([1, 0, 1], [0.1, 0.8, 0.3])
