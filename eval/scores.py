"""Scores of a run, computed from its saved predictions alone: no model runs here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eval.answer_metrics import best_over_golds, exact_match, f1
from eval.retrieval_metrics import success_at
from eval.runs import PredictedQuestion

SUCCESS_AT = (1, 5, 10)
COLUMNS = (
    "em", "f1", "always em", "always f1", "refused right", "refused wrong", *(f"success@{k}" for k in SUCCESS_AT)
)  # fmt: skip
_N_RESAMPLES = 1000
_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean in % with its 95 % bootstrap interval (percentiles of resampled means), over `n` questions."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of values in [0, 1], in %; None of nothing."""
    if not values:
        return None
    array = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(_SEED)
    means = np.array([array[rng.integers(len(array), size=len(array))].mean() for _ in range(_N_RESAMPLES)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(
        mean=round(100 * float(array.mean()), 2),
        low=round(100 * float(low), 2),
        high=round(100 * float(high), 2),
        n=len(array),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of a group of `n` questions, by column; None where the group has no question that counts.

    `em` and `f1` follow the official SQuAD v2.0 script: abstaining is right exactly where the archive has no answer.
    `always em` and `always f1` are those of the answerable questions when every one is answered, without a threshold.
    `refused right` is the share of unanswerable questions, `refused wrong` that of answerable ones, left unanswered.
    """

    n: int
    values: Mapping[str, Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScores:
    """Scores of a run under one threshold: of all questions, and by split, type and what makes them hard."""

    min_confidence: float
    everything: Scores
    by_split: Mapping[str, Scores]
    by_type: Mapping[str, Scores]
    by_hard: Mapping[str, Scores]

    def groups(self) -> list[tuple[str, Mapping[str, Scores]]]:
        """Titled tables, without empty ones."""
        tables = [("All questions", {"all": self.everything}), ("By split", self.by_split)]
        tables += [("By type", self.by_type), ("By what makes them hard", self.by_hard)]
        return [(title, groups) for title, groups in tables if groups]


def score(predicted: Sequence[PredictedQuestion], min_confidence: float) -> RunScores:
    """All scores of a run."""
    return RunScores(
        min_confidence=min_confidence,
        everything=_scores(predicted, min_confidence),
        by_split=_grouped(predicted, min_confidence, lambda p: (p.question.split,)),
        by_type=_grouped(predicted, min_confidence, lambda p: (p.question.type,)),
        by_hard=_grouped(predicted, min_confidence, lambda p: p.question.hard),
    )


def scores_document(scores: RunScores) -> dict[str, Any]:
    """What `scores.json` holds."""
    return asdict(scores)


def squad_predictions(predicted: Sequence[PredictedQuestion], min_confidence: float) -> dict[str, str]:
    """`{question id: answer text}`, empty for abstaining, as the official SQuAD scripts take it."""
    return {p.question.question_id: p.given(min_confidence) for p in predicted}


def _grouped(
    predicted: Sequence[PredictedQuestion], threshold: float, names: Callable[[PredictedQuestion], Sequence[str]]
) -> dict[str, Scores]:
    groups: dict[str, list[PredictedQuestion]] = {}
    for p in predicted:
        for name in names(p):
            if name:
                groups.setdefault(name, []).append(p)
    return {name: _scores(groups[name], threshold) for name in sorted(groups)}


def _scores(predicted: Sequence[PredictedQuestion], threshold: float) -> Scores:
    answerable = [p for p in predicted if p.question.is_answerable]
    unanswerable = [p for p in predicted if not p.question.is_answerable]
    values = {
        "em": estimate([_best(exact_match, p, threshold) for p in predicted]),
        "f1": estimate([_best(f1, p, threshold) for p in predicted]),
        "always em": estimate([_best(exact_match, p, 0.0) for p in answerable]),
        "always f1": estimate([_best(f1, p, 0.0) for p in answerable]),
        "refused right": estimate([float(not p.given(threshold)) for p in unanswerable]),
        "refused wrong": estimate([float(not p.given(threshold)) for p in answerable]),
    }
    for k in SUCCESS_AT:
        values[f"success@{k}"] = estimate([success_at(k, p.passages_gold) for p in answerable])
    return Scores(n=len(predicted), values=values)


def _best(metric: Callable[[str, str], float], p: PredictedQuestion, threshold: float) -> float:
    return best_over_golds(metric, p.given(threshold), p.question.answers)
