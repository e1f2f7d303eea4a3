import math

import numpy as np
import pytest

from eval.bootstrap import resamples
from eval.differences import Difference, Verdict, differences, points, signed_points, unmeasured
from eval.metrics import metric
from eval.outcomes import Outcomes

NAN = math.nan


def columns(**values: list[float]) -> Outcomes:
    return Outcomes({name: np.array(column, dtype=np.float64) for name, column in values.items()})


def difference(name: str, a: Outcomes, b: Outcomes) -> Difference:
    (found,) = differences(a, b, [metric(name)])
    return found


def test_the_interval_is_that_of_a_brute_force_paired_bootstrap() -> None:
    rng = np.random.default_rng(5)
    a = rng.random(80)
    b = np.clip(a + rng.normal(0.02, 0.2, 80), 0, 1)
    found = difference("f1", Outcomes({"f1": a}), Outcomes({"f1": b}))

    by_hand = sorted(float(np.mean(b[rows]) - np.mean(a[rows])) for rows in resamples(80, 1000))
    assert [found.a, found.b] == pytest.approx([a.mean(), b.mean()])
    assert found.change.value == pytest.approx(b.mean() - a.mean(), abs=1e-6)
    assert by_hand[24] <= found.change.low <= by_hand[25]
    assert by_hand[974] <= found.change.high <= by_hand[975]
    assert found.change.n == 80
    assert (found.only_a, found.only_b) == (None, None)


def test_right_or_wrong_metrics_have_mcnemars_p_and_count_who_alone_is_right() -> None:
    found = difference("em", columns(em=[1, 1, 1, 1, 0, 1, 0, NAN]), columns(em=[0, 0, 0, 1, 1, 1, 0, NAN]))

    assert (found.only_a, found.only_b, found.change.n) == (3, 1, 7)
    assert found.p == 2 * (1 + 4) / 16


def test_where_lower_is_better_the_lower_one_is_right_and_a_fall_is_better() -> None:
    refused, answered = [1.0] * 20 + [0.0] * 20, [0.0] * 40
    better = difference("wrongly_refused", columns(wrongly_refused=refused), columns(wrongly_refused=answered))
    worse = difference("wrongly_refused", columns(wrongly_refused=answered), columns(wrongly_refused=refused))

    assert (better.only_a, better.only_b, better.verdict) == (0, 20, Verdict.BETTER)
    assert (better.change.value, better.loss) == (-0.5, -0.5)
    assert (worse.only_a, worse.only_b, worse.verdict) == (20, 0, Verdict.WORSE)
    assert (worse.change.value, worse.loss) == (0.5, 0.5)
    assert worse.least_loss(0.025) > 0 > better.least_loss(0.025)


def test_where_higher_is_better_a_fall_is_worse() -> None:
    right, wrong = [1.0] * 40, [0.0] * 20 + [1.0] * 20
    assert difference("em", columns(em=right), columns(em=wrong)).verdict is Verdict.WORSE
    assert difference("em", columns(em=wrong), columns(em=right)).verdict is Verdict.BETTER


def test_four_lost_questions_convince_the_bootstrap_but_not_the_test() -> None:
    found = difference("em", columns(em=[1.0] * 100), columns(em=[0.0] * 4 + [1.0] * 96))

    assert found.change.high < 0
    assert found.p == 0.125
    assert found.verdict is Verdict.UNCLEAR


def test_where_other_questions_count_the_means_are_compared_and_the_test_is_the_swap_test() -> None:
    a = columns(citation_correct=[1, 1, 1, NAN, 0, 1])
    b = columns(citation_correct=[1, 0, NAN, 1, 0, NAN])
    found = difference("citation_correct", a, b)

    assert (found.a, found.b, found.change.value) == (0.8, 0.5, -0.3)
    assert (found.only_a, found.only_b, found.change.n) == (None, None, 6)
    assert 0.2 < found.p <= 1
    more = difference("citation_correct", a, columns(citation_correct=[1, 1, 0, 1, 0, 1]))
    assert (more.only_a, more.only_b, more.change.n) == (None, None, 6)


def test_equal_runs_and_single_questions_show_no_difference() -> None:
    equal = difference("em", columns(em=[1, 0, 1]), columns(em=[1, 0, 1]))
    assert (equal.change.low, equal.change.value, equal.change.high, equal.p) == (0, 0, 0, 1)
    assert equal.verdict is Verdict.UNCLEAR
    single = difference("f1", columns(f1=[1.0]), columns(f1=[0.5]))
    assert (single.change.low, single.change.high, single.p) == (-0.5, -0.5, 1)
    assert single.verdict is Verdict.UNCLEAR


def test_metrics_that_one_run_lacks_are_left_out_and_named() -> None:
    a = columns(em=[1, 0], rightly_refused=[NAN, NAN], f1=[1, 1])
    b = columns(em=[NAN, NAN], rightly_refused=[NAN, NAN], f1=[1, 1])
    metrics = [metric("em"), metric("rightly_refused"), metric("f1")]

    assert [found.metric.name for found in differences(a, b, metrics)] == ["f1"]
    assert unmeasured(a, b, metrics) == ["em"]


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        (0.4725, "47.2", "+47.2"),
        (0, "0.0", "0.0"),
        (-0.0004, "0.0", "0.0"),
        (-0.0306, "-3.1", "-3.1"),
        (1, "100.0", "+100.0"),
    ],
)
def test_points(value: float, plain: str, signed: str) -> None:
    assert (points(value), signed_points(value)) == (plain, signed)
