"""Slow and obvious oracles."""

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float:
    """The value at that place of the sorted ones, in a straight line between its neighbours."""
    ranked = sorted(values)
    place = percent / 100 * (len(ranked) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])
