"""How far chance alone could have moved a number: percentile bootstrap over questions.

Efron 1979: draw as many questions as there are, with replacement, a thousand times, and compute the number on each;
the middle 95 % are the interval. Pitfall: it speaks of other questions asked of this archive, not of other archives.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.outcomes import Floats, Outcomes

N_RESAMPLES = 1000
SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval, over the `n` questions that count."""

    value: float
    low: float
    high: float
    n: int


def resamples(n: int, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> Iterator[NDArray[np.int64]]:
    """Row numbers `(n,)` of each draw; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield rng.integers(n, size=n)


def estimate_mean(column: Floats) -> Estimate | None:
    """The mean of the values that are not NaN; None of nothing."""
    values = column[~np.isnan(column)]
    if not len(values):
        return None
    means = [float(values[rows].mean()) for rows in resamples(len(values))]
    return interval(float(values.mean()), means, len(values))


def estimate(of: Callable[[Outcomes], float], outcomes: Outcomes) -> Estimate | None:
    """Any number of a run, which may be NaN where nothing counts; None if it is NaN on the whole run."""
    value = of(outcomes)
    if np.isnan(value):
        return None
    return interval(value, [of(outcomes.take(rows)) for rows in resamples(len(outcomes))], len(outcomes))


def interval(value: float, resampled: list[float], n: int) -> Estimate:
    """The middle 95 % of the resampled values; draws on which nothing counted say nothing."""
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Estimate(value=round(value, 6), low=round(float(low), 6), high=round(float(high), 6), n=n)
