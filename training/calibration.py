"""Test the confidence on a corpus that it was not fitted on, beside plain softmax.

    python -m training.calibration ASKED.jsonl READER_DIR

Plain softmax is what a reader without `qa.confidence` has: the best span by its probability in its own window, which is
its confidence too (MaxProb in Kamath et al. 2020, "Selective Question Answering under Domain Shift"). Both are scored
on the same candidates. Prints one JSON line for each, with 95 % bootstrap intervals over the questions, and what each
of `--precision` 0.8 and 0.9 would have answered and kept.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from eval.answer_metrics import RIGHT_F1, best_over_golds, f1
from eval.bootstrap import interval, resamples
from eval.selective import aurc, auroc, brier, calibration_bins, coverage_at_precision, ece
from index.errors import QuestionError
from qa.confidence import load_confidence
from training.asked import Asked, read_asked
from training.confidence import outcome

Floats = NDArray[np.float64]
Metric = Callable[[Floats, Floats], float]
METRICS: dict[str, Metric] = {
    "right": lambda _, right: float(right.mean()),
    "ece": ece,
    "brier": brier,
    "auroc": auroc,
    "aurc": aurc,
    "coverage@80": lambda confidence, right: coverage_at_precision(confidence, right, 0.8),
    "coverage@90": lambda confidence, right: coverage_at_precision(confidence, right, 0.9),
}


def plain_softmax(asked: Sequence[Asked]) -> tuple[Floats, Floats]:
    """Probability of the best span, and 1 where it is right, both `(n,)`."""
    rows = []
    for one in asked:
        best = max(one.found, key=lambda c: c.log_probability, default=None)
        is_right = best is not None and bool(one.golds) and best_over_golds(f1, best.text, one.golds) >= RIGHT_F1
        rows.append((np.exp(best.log_probability) if best else 0.0, float(is_right)))
    columns = np.array(rows, dtype=np.float64).T
    return columns[0], columns[1]


def estimates(confidence: Floats, right: Floats) -> dict[str, list[float]]:
    """Each metric in % with its interval: value, low, high. AUROC is left out where all are right, or none."""
    found = {}
    for name, metric in METRICS.items():
        value = metric(confidence, right)
        if np.isnan(value):
            continue
        drawn = [metric(confidence[rows], right[rows]) for rows in resamples(len(right))]
        one = interval(value, drawn, len(right))
        found[name] = [round(100 * number, 1) for number in (one.value, one.low, one.high)]
    return found


def bins(confidence: Floats, right: Floats) -> list[list[float]]:
    """The bins that are not empty: mean confidence and share of right ones in %, and how many."""
    made = calibration_bins(confidence, right)
    rows = zip(made.confidence, made.accuracy, made.count, strict=True)
    return [[round(100 * float(c), 1), round(100 * float(a), 1), int(n)] for c, a, n in rows if n]


def main(asked_file: Path, reader_dir: Path) -> None:
    """Print the comparison."""
    asked, confidence = read_asked(asked_file), load_confidence(reader_dir)
    shipped = outcome(confidence, asked)
    right = shipped.right.astype(np.float64)
    n_lacking = sum(not one.golds for one in asked)
    print(json.dumps({"questions": len(asked), "lacking": n_lacking}))
    for name, (sure, is_right) in {"quoth": (shipped.confidence, right), "softmax": plain_softmax(asked)}.items():
        print(json.dumps({"confidence": name, **estimates(sure, is_right), "bins": bins(sure, is_right)}))
    for precision in (0.8, 0.9):
        try:
            threshold = confidence.threshold_for(precision)
        except QuestionError as error:
            print(json.dumps({"precision": precision, "none": str(error)}))
            continue
        given = shipped.confidence >= threshold
        kept = round(100 * float(right[given].mean()), 1) if given.any() else None
        answered = round(100 * float(given.mean()), 1)
        print(json.dumps({"precision": precision, "threshold": threshold, "answered": answered, "kept": kept}))


if __name__ == "__main__":
    typer.run(main)
