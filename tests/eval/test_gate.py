import math
from collections.abc import Sequence

import numpy as np
import pytest

from eval.chance import swapped
from eval.differences import differences
from eval.gate import Gated, gate, reason
from eval.metrics import metric
from eval.outcomes import Outcomes
from index.errors import DatasetError


def columns(**values: Sequence[float]) -> Outcomes:
    return Outcomes({name: np.array(column, dtype=np.float64) for name, column in values.items()})


def gated(a: Outcomes, b: Outcomes, *names: str, tolerance: float = 0.0) -> list[Gated]:
    return gate(differences(a, b, [metric(name) for name in names]), names, tolerance)


def lost(n_lost: int, n_won: int, n: int = 200) -> tuple[Outcomes, Outcomes]:
    """Two runs of which one is wrong on `n_lost` questions that the other has right, and the reverse on `n_won`."""
    rest = n - n_lost - n_won
    return (
        columns(em=[1.0] * n_lost + [0.0] * n_won + [1.0] * rest),
        columns(em=[0.0] * n_lost + [1.0] * n_won + [1.0] * rest),
    )


def test_a_sure_loss_is_worse_and_the_reason_has_the_numbers() -> None:
    (found,) = gated(*lost(40, 4), "em", tolerance=0.005)

    assert found.worse
    assert 0.1 < found.least_loss < 0.18
    sentence = reason(found)
    assert sentence.startswith("em is worse: 98.0 in A, 80.0 in B, a difference of -18.0 (95 % interval -24")
    assert sentence.endswith(
        f"at least {100 * found.least_loss:.2f} points at 97.5 % certainty, more than the tolerance of 0.5 points."
    )


def test_a_gain_and_no_change_hold() -> None:
    a, b = lost(40, 4)
    assert not gated(b, a, "em")[0].worse
    (same,) = gated(a, a, "em")
    assert (same.worse, same.least_loss, same.too_few) == (False, 0.0, False)
    assert reason(same) == (
        "em holds: 98.0 in A, 98.0 in B, a difference of 0.0 (95 % interval 0.0 to 0.0); no loss beyond the tolerance"
        " of 0 points is sure."
    )


def test_where_lower_is_better_a_rise_is_worse() -> None:
    few, many = columns(wrongly_refused=[0.0] * 100), columns(wrongly_refused=[1.0] * 30 + [0.0] * 70)
    assert gated(few, many, "wrongly_refused")[0].worse
    assert not gated(many, few, "wrongly_refused")[0].worse


@pytest.mark.parametrize(("tolerance", "worse"), [(0.2499, True), (0.25, False), (0.2501, False)])
def test_a_loss_that_is_just_the_tolerance_holds(tolerance: float, *, worse: bool) -> None:
    a, b = columns(f1=[0.75] * 30), columns(f1=[0.5] * 30)
    assert gated(a, b, "f1", tolerance=tolerance)[0].worse is worse


def test_few_questions_that_differ_do_not_fail_the_gate_though_the_bootstrap_would() -> None:
    (found,) = gated(*lost(4, 0), "em")

    assert found.least_loss > 0
    assert (found.worse, found.too_few) == (False, True)
    assert reason(found).endswith("; too few questions differ to be sure of a loss (p = 0.12).")


def test_few_questions_do_not_fail_the_gate_of_graded_metrics_either() -> None:
    (found,) = gated(columns(f1=[0.9] * 100), columns(f1=[0.3] * 4 + [0.9] * 96), "f1")
    assert (found.least_loss > 0, found.worse, found.too_few) == (True, False, True)


def test_one_question_never_fails_the_gate() -> None:
    a = columns(em=[1], f1=[1], confidence=[1], right=[1])
    b = columns(em=[0], f1=[0], confidence=[1], right=[0])
    assert [found.worse for found in gated(a, b, "em", "f1", "brier", "ece")] == [False] * 4


def test_the_chance_of_a_false_alarm_is_shared_among_the_metrics() -> None:
    a, b = lost(7, 0)
    em_a, em_b = a["em"], b["em"]
    others = {name: np.ones(len(a)) for name in ("f1", "has_answer_em", "has_answer_f1")}
    wide_a, wide_b = Outcomes({"em": em_a, **others}), Outcomes({"em": em_b, **others})

    assert gated(a, b, "em")[0].worse  # p = 2 / 128 <= 0.05
    assert gated(wide_a, wide_b, "em", "f1", "has_answer_em")[0].worse  # <= 0.05 / 3
    assert not gated(wide_a, wide_b, "em", "f1", "has_answer_em", "has_answer_f1")[0].worse  # > 0.05 / 4


def test_a_metric_without_a_value_cannot_be_gated() -> None:
    a, b = columns(em=[1, 1], rightly_refused=[math.nan, math.nan]), columns(em=[1, 1], rightly_refused=[1, math.nan])
    with pytest.raises(DatasetError, match="'rightly_refused' cannot be gated"):
        gated(a, b, "em", "rightly_refused")


def test_runs_that_are_equally_good_rarely_fail_and_worse_ones_do() -> None:
    rng = np.random.default_rng(2)
    n, metrics = 150, [metric("em"), metric("f1")]
    f1_a, f1_b = rng.random(n), rng.random(n)
    a = Outcomes({"f1": f1_a, "em": np.round(f1_a)})
    b = Outcomes({"f1": f1_b, "em": np.round(f1_b)})

    alarms = 0
    for _ in range(60):
        found = differences(*swapped(a, b, rng.random(n) < 0.5), metrics, n_resamples=400)
        alarms += any(one.worse for one in gate(found, ("em", "f1"), 0.0))
    assert alarms <= 4

    worse = Outcomes({"f1": f1_a * 0.6, "em": np.round(f1_a * 0.6)})
    assert all(one.worse for one in gate(differences(a, worse, metrics), ("em", "f1"), 0.05))
