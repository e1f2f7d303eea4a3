"""A finished run with its scores under one threshold: what is shown to people, in the terminal and in a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.outcomes import Floats, Outcomes, outcomes
from eval.run_folder import (
    PassageInText,
    PassageRef,
    PredictedQuestion,
    RunFacts,
    read_passages,
    read_predictions,
    read_run,
    read_timings,
    write_json,
)
from eval.scores import (
    Latency,
    RunScores,
    latency,
    latency_document,
    score,
    scores_document,
    squad_predictions,
)
from index.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """Everything of a run; `timings` are milliseconds by stage, `(n_questions,)` each."""

    name: str
    facts: RunFacts
    predicted: Sequence[PredictedQuestion]
    outcomes: Outcomes
    scores: RunScores
    passages: Mapping[PassageRef, PassageInText]
    timings: Mapping[str, Floats]
    latency: Latency


def scored_run(run_folder: Path, min_confidence: float | None = None) -> ScoredRun:
    """Read a finished run and score it under a threshold, by default its own; no model runs.

    Raises:
        DatasetError: the folder holds no finished run, or a damaged one.
    """
    facts = read_run(run_folder)
    threshold = facts.min_confidence if min_confidence is None else min_confidence
    predicted, timings = read_predictions(run_folder), read_timings(run_folder)
    if any(len(values) != len(predicted) for values in timings.values()):
        raise DatasetError(f"{run_folder}: timings.jsonl is not of the questions of predictions.jsonl; run it again")
    return ScoredRun(
        name=run_folder.resolve().name,
        facts=facts,
        predicted=predicted,
        outcomes=outcomes(predicted, threshold),
        scores=score(predicted, threshold),
        passages=read_passages(run_folder),
        timings=timings,
        latency=latency(timings),
    )


def write_scores(run: ScoredRun, run_folder: Path) -> None:
    """Write `scores.json`, `latency.json` and, where answers are scored, `squad_predictions.json`."""
    write_json(run_folder / "scores.json", scores_document(run.scores))
    write_json(run_folder / "latency.json", latency_document(run.latency))
    if not np.isnan(run.outcomes["em"]).all():
        write_json(run_folder / "squad_predictions.json", squad_predictions(run.predicted, run.scores.min_confidence))
