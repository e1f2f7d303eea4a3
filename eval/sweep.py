"""One setting at a time moved away from what is shipped: which value is best, and whether chance can explain it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.bootstrap import Estimate, estimate, estimate_mean
from eval.differences import Verdict, differences
from eval.metrics import Metric, metric
from eval.outcomes import Outcomes

THRESHOLD = "min_confidence"
_SHOWN = ("best_f1", "f1", "always_f1", "success@1", "success@5", "success@10", "answered")
_MOVED_BY_THRESHOLD = ("f1", "em", "answered", "precision", "rightly_refused", "wrongly_refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one setting moved; `is_shipped` marks the value that Quoth ships."""

    setting: str
    value: float
    is_shipped: bool
    outcomes: Outcomes
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The scores of one value of a setting.

    `change` is its difference to the shipped value on the metric that decides, with its paired interval, and `verdict`
    what can be said of it; both None for the shipped value itself. `total_ms` is the median time of a question.
    """

    value: float
    is_shipped: bool
    scores: Mapping[str, Estimate]
    change: Estimate | None
    verdict: Verdict | None
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSweep:
    """All values of a setting, in their order, and the metric that decides between them."""

    setting: str
    decides: str
    points: tuple[Point, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that its points have, as they are shown."""
        return tuple(name for name in _shown(self.setting) if any(name in point.scores for point in self.points))

    @property
    def winner(self) -> Point:
        """The point of the highest deciding score; the shipped one among equals."""
        return max(self.points, key=lambda p: (p.scores[self.decides].value, p.is_shipped))

    @property
    def beats_shipped(self) -> tuple[Point, ...]:
        """Points that are better than the shipped value by more than chance explains."""
        return tuple(p for p in self.points if p.verdict is Verdict.BETTER)


def setting_sweep(tried: Sequence[Tried], decides: str) -> SettingSweep:
    """The sweep of one setting; the same questions must have been asked at each value, and the shipped one be there."""
    shipped = next(one.outcomes for one in tried if one.is_shipped)
    points = [_point(one, shipped, metric(decides)) for one in tried]
    return SettingSweep(setting=tried[0].setting, decides=decides, points=tuple(sorted(points, key=lambda p: p.value)))


def sweep_document(sweeps: Sequence[SettingSweep]) -> list[dict[str, Any]]:
    """What `sweep.json` holds."""
    return [asdict(sweep) | {"winner": sweep.winner.value} for sweep in sweeps]


def _shown(setting: str) -> tuple[str, ...]:
    return _MOVED_BY_THRESHOLD if setting == THRESHOLD else _SHOWN


def _point(one: Tried, shipped: Outcomes, decides: Metric) -> Point:
    compared = None if one.is_shipped else differences(shipped, one.outcomes, [decides])[0]
    return Point(
        value=one.value,
        is_shipped=one.is_shipped,
        scores={name: scored for name in _shown(one.setting) if (scored := _estimate(metric(name), one.outcomes))},
        change=compared.change if compared else None,
        verdict=compared.verdict if compared else None,
        total_ms=round(one.total_ms, 1),
    )


def _estimate(wanted: Metric, found: Outcomes) -> Estimate | None:
    return estimate_mean(found[wanted.column]) if wanted.column else estimate(wanted.of, found)
