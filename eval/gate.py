"""The gate: is B surely worse than A, by more than is tolerated, on a metric that was named?

Surely means that the whole one-sided bootstrap interval of the loss lies beyond the tolerance, and that a test which
few questions cannot fool (see `eval.chance`) agrees that A and B differ. The chance of a false alarm, `FALSE_ALARMS`,
is shared among the gated metrics (Bonferroni), so that naming more does not make an unchanged system fail more often.
Pitfall: a gate that holds has not shown that B is as good as A, only that these questions do not show that it is worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.differences import Difference, points, signed_points
from index.errors import DatasetError

FALSE_ALARMS = 0.025
"""One-sided, of all gated metrics together: how often a gate may fail a B that is exactly as good as A."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """The gate's word on one metric.

    `least_loss`, in [-1, 1], is the low end of the loss's one-sided interval, which holds with the certainty `sure`;
    `tolerance` is the loss that is put up with; `too_few` says that the loss lies beyond it, but that so few questions
    differ that chance could do the same.
    """

    difference: Difference
    least_loss: float
    sure: float
    tolerance: float
    worse: bool
    too_few: bool


def gate(compared: Sequence[Difference], names: Sequence[str], tolerance: float) -> list[Gated]:
    """The gate's word on each named metric; `tolerance` in [0, 1].

    Raises:
        DatasetError: a metric has no value in one of the runs.
    """
    by_name = {difference.metric.name: difference for difference in compared}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise DatasetError(
            f"the metric {missing[0]!r} cannot be gated: no question counts for it in A, in B, or in both"
        )
    share = FALSE_ALARMS / max(1, len(names))
    return [_gated(by_name[name], share, tolerance) for name in names]


def reason(gated: Gated) -> str:
    """The word on one metric as a sentence, in points (hundredths)."""
    found, tolerance = gated.difference, f"{100 * gated.tolerance:g} points"
    change = found.change
    sentence = (
        f"{found.metric.name} {'is worse' if gated.worse else 'holds'}: {points(found.a)} in A, {points(found.b)} in B,"
        f" a difference of {signed_points(change.value)} (95 % interval {signed_points(change.low)} to"
        f" {signed_points(change.high)})"
    )
    if gated.worse:
        least = f"at least {100 * gated.least_loss:.2f} points at {100 * gated.sure:.1f} % certainty"
        return f"{sentence}; the loss is {least}, more than the tolerance of {tolerance}."
    if gated.too_few:
        return f"{sentence}; too few questions differ to be sure of a loss (p = {found.p:.2g})."
    return f"{sentence}; no loss beyond the tolerance of {tolerance} is sure."


def _gated(difference: Difference, share: float, tolerance: float) -> Gated:
    least_loss = difference.least_loss(share)
    beyond, sure = least_loss > tolerance + _ROUNDING, difference.p <= 2 * share
    return Gated(
        difference=difference,
        least_loss=least_loss,
        sure=1 - share,
        tolerance=tolerance,
        worse=beyond and sure,
        too_few=beyond and not sure,
    )
