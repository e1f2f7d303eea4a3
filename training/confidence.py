"""Fit the numbers of `qa.confidence` on questions that the reader was not trained on.

    python -m training.confidence OUT_DIR ASKED.jsonl...

Each file of `training.asked` is a corpus, and all count alike: what holds for several kinds of text at once holds
better for another. The loss is the negative log-probability of the right candidates, or of "none is right" where none
is: the very formula of `qa.confidence`. The default threshold has the highest mean F1, where abstaining is right for
what the archive lacks; the others are the lowest that keep a precision. Prints the numbers, and writes them to
OUT_DIR/confidence.json.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize

from eval.answer_metrics import RIGHT_F1, best_over_golds, f1
from qa.confidence import N_RIVALS, Confidence, Threshold, Weights, features
from training.asked import Asked, read_asked

PULL = 1e-3
"""Of the weights, but not the bias, towards 0: they stay finite whatever the sample."""
START = Weights(
    bias=-3.0,
    log_probability=0.15,
    margin=0.2,
    retrieval_score=3.0,
    others_margin=0.0,
    others_retrieval_score=0.0,
    margin_by_others_margin=0.0,
    margin_by_others_retrieval_score=0.0,
)
N_FEATURES = len(asdict(START))
ONE_GOLD_F1 = 0.3
"""What counts as right from this F1 on where one annotator was asked. Of the best candidates that have an F1 of 0.3 to
0.5 with one of the golds of Amazon's questions that have several, 68 % are right by another; of 0.5 to 0.6, 87 %."""
THRESHOLDS = [round(0.01 * step, 2) for step in range(100)]
PRECISIONS = [round(0.01 * step, 2) for step in range(50, 100)]
MIN_ANSWERS = 100
"""A threshold above which fewer questions are answered says little: its precision may be luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The rivals of n questions: features `(n, N_RIVALS, N_FEATURES)`; which are there and right, `(n, N_RIVALS)`."""

    features: NDArray[np.float64]
    there: NDArray[np.bool_]
    right: NDArray[np.bool_]


def corpus(asked: Sequence[Asked], ranking: Weights) -> Corpus:
    """The candidates that `ranking` keeps; those it keeps depend on it, so fitting is done a few times over."""
    keeper = Confidence(weights=ranking, min_confidence=0.0, thresholds=())
    columns = np.zeros((len(asked), N_RIVALS, N_FEATURES))
    least = least_f1(asked)
    there, right = (np.zeros((len(asked), N_RIVALS), dtype=np.bool_) for _ in range(2))
    for row, one in enumerate(asked):
        for place, rival in enumerate(keeper.rivals(one.found)):
            columns[row, place] = features(rival)
            there[row, place] = True
            right[row, place] = bool(one.golds) and best_over_golds(f1, rival.text, one.golds) >= least
    return Corpus(features=columns, there=there, right=right)


def least_f1(asked: Sequence[Asked]) -> float:
    """The F1 from which on an answer to these questions counts as right: less where no question has two golds.

    One annotator's gold is one of several that are right. Confidence that is fitted to agreeing with it is too modest
    wherever more than one are asked.
    """
    return RIGHT_F1 if any(len(one.golds) > 1 for one in asked) else ONE_GOLD_F1


def fit(corpora: Sequence[Sequence[Asked]]) -> Weights:
    """The weights of least mean loss over the corpora."""
    fitted = START
    for _ in range(3):
        seen = [corpus(asked, fitted) for asked in corpora]
        best = minimize(loss, list(asdict(fitted).values()), args=(seen,), jac=True, method="L-BFGS-B").x
        fitted = Weights(**dict(zip(asdict(fitted), map(float, best), strict=True)))
    return fitted


def loss(weights: NDArray[np.float64], corpora: Sequence[Corpus]) -> tuple[float, NDArray[np.float64]]:
    """Mean negative log-probability of what is right, over corpora of equal say, with the pull; and its gradient."""
    pulled = weights * (np.arange(len(weights)) > 0)
    total, slope = PULL * float(pulled @ pulled), 2 * PULL * pulled
    for one in corpora:
        logits = np.where(one.there, one.features @ weights, -np.inf)
        none = np.zeros((len(logits), 1))
        whole = np.logaddexp.reduce(np.hstack([logits, none]), axis=1)
        wanted = np.hstack([one.right, ~one.right.any(axis=1, keepdims=True)])
        part = np.logaddexp.reduce(np.where(wanted, np.hstack([logits, none]), -np.inf), axis=1)
        due = np.exp(np.where(one.right, logits - part[:, None], -np.inf))
        pushed = np.exp(logits - whole[:, None]) - due
        total += float(np.mean(whole - part)) / len(corpora)
        slope = slope + np.einsum("nk,nkf->f", pushed, one.features) / len(logits) / len(corpora)
    return total, slope


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of the best candidates of n questions, all `(n,)`: confidence, whether right, F1, and the F1 of abstaining."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    given: NDArray[np.float64]
    withheld: NDArray[np.float64]


def outcome(confidence: Confidence, asked: Sequence[Asked]) -> Outcome:
    """What would be answered without a threshold; no candidate counts as an empty, wrong one."""
    rows, least = [], least_f1(asked)
    for one in asked:
        scored, _ = confidence.score(one.found)
        text, sure = (scored[0].candidate.text, scored[0].confidence) if scored else ("", 0.0)
        given = best_over_golds(f1, text, one.golds)
        is_right = bool(scored) and bool(one.golds) and given >= least
        rows.append((sure, is_right, given, best_over_golds(f1, "", one.golds)))
    columns = np.array(rows, dtype=np.float64).T
    return Outcome(confidence=columns[0], right=columns[1] > 0, given=columns[2], withheld=columns[3])


def best_threshold(outcomes: Sequence[Outcome]) -> float:
    """The threshold of highest F1, averaged over the corpora."""
    means = [
        np.mean([np.where(one.confidence >= threshold, one.given, one.withheld).mean() for one in outcomes])
        for threshold in THRESHOLDS
    ]
    return THRESHOLDS[int(np.argmax(means))]


def precision_thresholds(outcomes: Sequence[Outcome]) -> tuple[Threshold, ...]:
    """For each precision the lowest threshold from which on it is kept, over corpora of equal say."""
    kept = [(threshold, _precision(outcomes, threshold)) for threshold in THRESHOLDS]
    known = [(threshold, precision) for threshold, precision in kept if precision is not None]
    found = []
    for wanted in PRECISIONS:
        missed = [threshold for threshold, precision in known if precision < wanted]
        above = [threshold for threshold, _ in known if not missed or threshold > missed[-1]]
        if above:
            found.append(Threshold(precision=wanted, min_confidence=above[0]))
    return tuple(found)


def _precision(outcomes: Sequence[Outcome], threshold: float) -> float | None:
    """Share of right ones among the answers of all corpora; None where there are too few."""
    shares = [one.confidence >= threshold for one in outcomes]
    if sum(int(answered.sum()) for answered in shares) < MIN_ANSWERS:
        return None
    n_right = sum(float((answered & one.right).mean()) for answered, one in zip(shares, outcomes, strict=True))
    return n_right / sum(float(answered.mean()) for answered in shares)


def main(out_dir: Path, asked_files: list[Path]) -> None:
    """Fit, print and write."""
    corpora = [read_asked(file) for file in asked_files]
    weights = Weights(**{name: round(value, 4) for name, value in asdict(fit(corpora)).items()})
    fitted = Confidence(weights=weights, min_confidence=0.0, thresholds=())
    outcomes = [outcome(fitted, asked) for asked in corpora]
    fitted = replace(fitted, min_confidence=best_threshold(outcomes), thresholds=precision_thresholds(outcomes))
    numbers = {
        "weights": asdict(fitted.weights),
        "min_confidence": fitted.min_confidence,
        "thresholds": [[one.precision, one.min_confidence] for one in fitted.thresholds],
    }
    print(
        json.dumps({"corpora": {f.name: len(asked) for f, asked in zip(asked_files, corpora, strict=True)}, **numbers})
    )
    (out_dir / "confidence.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
