"""What became of each question of a load, and what follows from it."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LIMIT_MS = 500
MOST_REFUSED = 0.01
WINDOW_S = 2.0
_GRID_S = 0.1
WARM_UP_S = 120
REFUSED_CONNECTION = "connecting: ConnectionRefusedError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One question. Times are seconds on the monotonic clock; `status` is 0 where no whole answer came."""

    due: float
    sent: float
    done: float
    status: int
    error: str

    @property
    def latency_ms(self) -> float:
        """From the moment when it was due."""
        return (self.done - self.due) * 1000

    @property
    def is_answered(self) -> bool:
        """Whether it was accepted and answered."""
        return self.status == 200

    @property
    def is_shed(self) -> bool:
        """Whether it was refused because too many wait."""
        return self.status == 503 and self.error == "busy"

    @property
    def what(self) -> str:
        """The kind of outcome, for counting."""
        return f"{self.status} {self.error}".strip() if self.status else self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the generator recorded: from when, for how long, and the processor time that it took itself."""

    began: float
    s: float
    cpu_s: float
    records: Sequence[Record]

    def between(self, begin_s: float, end_s: float) -> Sequence[Record]:
        """The questions due in these seconds after the beginning."""
        return [record for record in self.records if begin_s <= record.due - self.began < end_s]


def read_traffic(file: Path) -> Traffic:
    """The generator's file."""
    document = json.loads(file.read_text(encoding="utf-8"))
    records = sorted((Record(**record) for record in document.pop("records")), key=lambda record: record.due)
    return Traffic(**document, records=records)


def quantile_ms(records: Sequence[Record], q: float) -> float | None:
    """A quantile of the latencies; None of no records."""
    return round(float(np.quantile([record.latency_ms for record in records], q)), 1) if records else None


def facts_of(records: Sequence[Record]) -> dict[str, Any]:
    """Counts, shares and latencies of these questions. `others` are neither answered nor shed: there should be none.
    Answers a second are counted until the last answer, not until the last question.
    """
    answered = [record for record in records if record.is_answered]
    shed = [record for record in records if record.is_shed]
    seconds = max((record.done for record in answered), default=0.0) - min((r.due for r in records), default=0.0)
    late_ms = [(record.sent - record.due) * 1000 for record in records]
    return {
        "questions": len(records),
        "answered": len(answered),
        "answered_per_s": round(len(answered) / seconds, 2) if answered else 0.0,
        "shed": len(shed),
        "shed_share": round(len(shed) / max(1, len(records)), 4),
        "others": dict(Counter(record.what for record in records if not (record.is_answered or record.is_shed))),
        "p50_ms": quantile_ms(answered, 0.5),
        "p99_ms": quantile_ms(answered, 0.99),
        "max_ms": quantile_ms(answered, 1),
        "shed_p50_ms": quantile_ms(shed, 0.5),
        "shed_p99_ms": quantile_ms(shed, 0.99),
        "shed_max_ms": quantile_ms(shed, 1),
        "sent_late_p99_ms": round(float(np.quantile(late_ms, 0.99)), 1) if late_ms else None,
        "sent_late_max_ms": round(max(late_ms), 1) if late_ms else None,
    }


def is_within(records: Sequence[Record]) -> bool:
    """Whether this rate can be served: p99 of the answered within the limit, hardly any shed, nothing else."""
    answered_ms = quantile_ms([record for record in records if record.is_answered], 0.99)
    shed = sum(record.is_shed for record in records)
    others = sum(not (record.is_answered or record.is_shed) for record in records)
    return answered_ms is not None and answered_ms <= LIMIT_MS and shed <= MOST_REFUSED * len(records) and not others


def recovery(records: Sequence[Record], stopped: float, limit_ms: float) -> dict[str, float | None]:
    """After an overload that ended at `stopped`: seconds until the first answer within the limit was there; until the
    first window of two seconds (of questions due in it) whose p99 is within; and after which every window is. A
    question that was not answered counts as infinitely late.
    """
    after = [record for record in records if record.due >= stopped]
    due = np.array([record.due - stopped for record in after])
    took = np.array([record.latency_ms if record.is_answered else np.inf for record in after])
    good = [record.done - stopped for record in after if record.is_answered and record.latency_ms <= limit_ms]
    begins = np.arange(0, max(0.0, due.max(initial=0) - WINDOW_S), _GRID_S)
    windows = [took[(due >= begin) & (due < begin + WINDOW_S)] for begin in begins]
    within = [not window.size or np.quantile(window, 0.99, method="higher") <= limit_ms for window in windows]
    over = [begin for begin, is_good in zip(begins, within, strict=True) if not is_good]
    back = [begin for begin, is_good in zip(begins, within, strict=True) if is_good]
    stays = None if not within or not within[-1] else max(over) + _GRID_S if over else 0.0
    return {
        "first_answer_s": round(min(good), 2) if good else None,
        "back_s": round(float(back[0]), 1) if back else None,
        "stays_s": None if stays is None else round(float(stays), 1),
    }


def longest_gap_s(records: Sequence[Record], begin: float, end: float) -> float:
    """The longest time between these moments in which no question was answered."""
    done = sorted(record.done for record in records if record.is_answered and begin < record.done < end)
    moments = [begin, *done, end]
    return round(max(later - earlier for earlier, later in itertools.pairwise(moments)), 2)


def slope_per_hour(samples: Sequence[tuple[float, float]]) -> float | None:
    """By least squares, of (seconds, megabytes), without the first two minutes; None of fewer than four samples."""
    used = np.array([sample for sample in samples if sample[0] >= WARM_UP_S])
    return round(float(np.polyfit(used[:, 0] / 3600, used[:, 1], 1)[0]), 2) if len(used) >= 4 else None
