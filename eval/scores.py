"""Scores of a run, computed from its saved predictions alone: no model runs here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eval.bootstrap import Estimate, estimate, estimate_mean, interval, resamples
from eval.metrics import METRICS
from eval.outcomes import Floats, Outcomes, outcomes
from eval.run_folder import PredictedQuestion

HEADLINE = (
    "em", "f1", "always_em", "always_f1", "rightly_refused", "wrongly_refused", "success@1", "success@5", "success@10"
)  # fmt: skip
"""What a table of groups shows; the whole run has every metric."""
PERCENTILES = (50, 90, 99)
INVALID = "citation_valid"
Latency = Mapping[str, Mapping[str, Estimate]]
"""By stage, then "p50", "p90" and "p99": milliseconds a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of a group of `n` questions by metric, fractions in [0, 1]; without those that nothing counts for."""

    n: int
    values: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScores:
    """Scores of a run under one threshold: of all questions, and by split, type and what makes them hard."""

    min_confidence: float
    everything: Scores
    by_split: Mapping[str, Scores]
    by_type: Mapping[str, Scores]
    by_hard: Mapping[str, Scores]

    def groups(self) -> list[tuple[str, Mapping[str, Scores]]]:
        """Titled tables of groups, without those that have nothing to tell apart."""
        tables = [("By split", self.by_split), ("By type", self.by_type), ("By what makes them hard", self.by_hard)]
        return [(title, groups) for title, groups in tables if len(groups) > 1]

    @property
    def all_citations_valid(self) -> bool:
        """Whether every answer given is in its article where it says; anything else is a fault of Quoth."""
        valid = self.everything.values.get(INVALID)
        return valid is None or valid.value == 1


def score(predicted: Sequence[PredictedQuestion], min_confidence: float) -> RunScores:
    """All scores of a run."""
    whole = outcomes(predicted, min_confidence)
    everything = {m.name: estimate_mean(whole[m.column]) if m.column else estimate(m.of, whole) for m in METRICS}
    return RunScores(
        min_confidence=min_confidence,
        everything=Scores(n=len(predicted), values={name: e for name, e in everything.items() if e}),
        by_split=_grouped(predicted, whole, lambda p: (p.question.split,)),
        by_type=_grouped(predicted, whole, lambda p: (p.question.type,)),
        by_hard=_grouped(predicted, whole, lambda p: p.question.hard),
    )


def latency(timings: Mapping[str, Floats]) -> Latency:
    """Milliseconds a question by stage: p50, p90 and p99 with their intervals."""
    return {
        stage: {f"p{percent}": _percentile(values, percent) for percent in PERCENTILES}
        for stage, values in timings.items()
    }


def scores_document(scores: RunScores) -> dict[str, Any]:
    """What `scores.json` holds."""
    return asdict(scores)


def latency_document(found: Latency) -> dict[str, Any]:
    """What `latency.json` holds."""
    return {stage: {name: asdict(value) for name, value in values.items()} for stage, values in found.items()}


def squad_predictions(predicted: Sequence[PredictedQuestion], min_confidence: float) -> dict[str, str]:
    """`{question id: answer text}`, empty for abstaining, as the official SQuAD scripts take it."""
    return {p.question.question_id: p.given(min_confidence) for p in predicted}


def _grouped(
    predicted: Sequence[PredictedQuestion], whole: Outcomes, names: Callable[[PredictedQuestion], Sequence[str]]
) -> dict[str, Scores]:
    groups: dict[str, list[int]] = {}
    for row, p in enumerate(predicted):
        for name in names(p):
            if name:
                groups.setdefault(name, []).append(row)
    return {name: _headline(whole.take(np.array(groups[name], dtype=np.int64))) for name in sorted(groups)}


def _headline(group: Outcomes) -> Scores:
    estimates = {name: estimate_mean(group[name]) for name in HEADLINE}
    return Scores(n=len(group), values={name: e for name, e in estimates.items() if e})


def _percentile(values: Floats, percent: int) -> Estimate:
    resampled = [float(np.percentile(values[rows], percent)) for rows in resamples(len(values))]
    return interval(float(np.percentile(values, percent)), resampled, len(values))
