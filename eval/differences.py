"""The difference between two runs on each metric: its interval, its test, and what can be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from eval.bootstrap import N_RESAMPLES, Estimate, interval
from eval.chance import mcnemar, resampled_differences, swap_p
from eval.metrics import METRICS, Metric
from eval.outcomes import Floats, Outcomes


class Verdict(StrEnum):
    """What can be said of B on one metric, at 95 %."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "no clear difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric of both runs, in [0, 1]; `change` is B - A, whichever direction is better.

    `p` is two-sided: McNemar's where each question is right or wrong (`only_a` and `only_b` count those that one run
    alone has right), else the swap test's (both are None). `resampled`, (n_resamples,), is the change in each paired
    resample.
    """

    metric: Metric
    a: float
    b: float
    change: Estimate
    p: float
    only_a: int | None
    only_b: int | None
    resampled: Floats = field(repr=False, compare=False)

    @property
    def loss(self) -> float:
        """By how much B is worse; negative where it is better."""
        return -self.change.value if self.metric.higher_is_better else self.change.value

    def least_loss(self, share: float) -> float:
        """The loss that all but this share of the resamples exceed: the low end of its one-sided interval."""
        losses = -self.resampled if self.metric.higher_is_better else self.resampled
        return float(np.nanquantile(losses, share))

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where the interval leaves out 0 and the test agrees."""
        if self.p > 0.05 or self.change.low <= 0 <= self.change.high:
            return Verdict.UNCLEAR
        return Verdict.WORSE if self.loss > 0 else Verdict.BETTER


def differences(
    a: Outcomes, b: Outcomes, metrics: Sequence[Metric] = METRICS, *, n_resamples: int = N_RESAMPLES
) -> list[Difference]:
    """The difference of each metric that both runs have; row i of both is the same question."""
    values = {m.name: (m.of(a), m.of(b)) for m in metrics}
    measured = [m for m in metrics if not np.isnan(values[m.name]).any()]
    resampled = resampled_differences(a, b, measured, n_resamples)
    discordant = {m.name: _discordant(a, b, m) for m in measured}
    p = swap_p(a, b, [m for m in measured if discordant[m.name] is None])
    return [_difference(m, a, b, values[m.name], resampled[m.name], discordant[m.name], p) for m in measured]


def unmeasured(a: Outcomes, b: Outcomes, metrics: Sequence[Metric] = METRICS) -> list[str]:
    """The names of the metrics that only one of the runs has."""
    return [m.name for m in metrics if np.isnan(m.of(a)) != np.isnan(m.of(b))]


def _difference(
    metric: Metric,
    a: Outcomes,
    b: Outcomes,
    values: tuple[float, float],
    resampled: Floats,
    discordant: tuple[int, int] | None,
    swap_tests: Mapping[str, float],
) -> Difference:
    only_a, only_b = discordant or (None, None)
    return Difference(
        metric=metric,
        a=values[0],
        b=values[1],
        change=interval(values[1] - values[0], resampled.tolist(), _n_counting(a, b, metric)),
        p=mcnemar(*discordant) if discordant else swap_tests[metric.name],
        only_a=only_a,
        only_b=only_b,
        resampled=resampled,
    )


def _n_counting(a: Outcomes, b: Outcomes, metric: Metric) -> int:
    """How many questions count for the metric in either run."""
    if metric.column is None:
        return len(a)
    return int(np.count_nonzero(~np.isnan(a[metric.column]) | ~np.isnan(b[metric.column])))


def _discordant(a: Outcomes, b: Outcomes, metric: Metric) -> tuple[int, int] | None:
    """How many questions only A, and only B, has right; None unless each that counts is right or wrong in both."""
    if metric.column is None:
        return None
    of_a, of_b = a[metric.column], b[metric.column]
    counts = ~np.isnan(of_a)
    if not np.array_equal(counts, ~np.isnan(of_b)) or not np.isin([of_a[counts], of_b[counts]], (0, 1)).all():
        return None
    higher_in_a, higher_in_b = int(np.count_nonzero(of_a > of_b)), int(np.count_nonzero(of_b > of_a))
    return (higher_in_a, higher_in_b) if metric.higher_is_better else (higher_in_b, higher_in_a)


def points(value: float) -> str:
    """A value in [0, 1] as people read it: times 100, one decimal."""
    return f"{round(100 * value, 1) + 0.0:.1f}"


def signed_points(change: float) -> str:
    """A difference as people read it; "0.0" has no sign."""
    rounded = round(100 * change, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"
