"""How far the confidence can be trusted: whether it means what it says, and whether it puts right answers first.

Each question brings the confidence of its best candidate and whether that candidate is right. Arrays are (n,) in the
order of the questions: `confidence` float64 in [0, 1], `right` 1 or 0 (float64 or bool), neither with NaN. A question
without candidates has confidence 0 and is not right. Every figure is in [0, 1], and NaN where no question counts.
Convention: a threshold gives every answer whose confidence is at least as high, so questions of equal confidence are
answered together, or none of them is; no figure depends on their order.
Pitfall: calibration (ECE, Brier) and ranking (AUROC, AURC) are different virtues. Give every answer the mean accuracy
as its confidence and ECE is 0, but nothing can be refused by it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.float64] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBins:
    """The reliability diagram: bin i, from 0, takes confidences in (i / n_bins, (i + 1) / n_bins], the first also 0.

    `confidence` and `accuracy` are the means of the questions in each bin, (n_bins,) float64, NaN in an empty one;
    `count` is their number, (n_bins,) int64.
    """

    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]


def calibration_bins(confidence: Floats, right: Flags, n_bins: int = 10) -> CalibrationBins:
    """The questions in `n_bins` bins of equal width."""
    bins = _bin_numbers(confidence, n_bins)
    count = np.bincount(bins, minlength=n_bins)
    filled = np.where(count, count, np.nan)
    return CalibrationBins(
        confidence=np.bincount(bins, weights=confidence, minlength=n_bins) / filled,
        accuracy=np.bincount(bins, weights=right, minlength=n_bins) / filled,
        count=count,
    )


def ece(confidence: Floats, right: Flags, n_bins: int = 10) -> float:
    """Expected calibration error, lower is better: |accuracy - mean confidence| of each bin, weighted by its questions.

    Convention: bins of equal width, closed above (Guo et al. 2017, with 15; here 10). Pitfalls: errors inside a bin
    cancel out; with few questions a bin is off by chance, so even a perfect confidence has an ECE above 0, and a
    bootstrap resample tends to have a higher one than its sample. Compare only the same bins and numbers of questions.
    """
    if len(confidence) == 0:
        return math.nan
    gaps = np.bincount(_bin_numbers(confidence, n_bins), weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def _bin_numbers(confidence: Floats, n_bins: int) -> NDArray[np.intp]:
    # 3 / 10 is the float that "0.3" is; np.linspace(0, 1, 11)[3] is the next one.
    edges = np.arange(1, n_bins) / n_bins
    return np.searchsorted(edges, confidence, side="left")


def brier(confidence: Floats, right: Flags) -> float:
    """Brier score, lower is better: the mean of (confidence - right)^2 (Brier 1950).

    Pitfall: it falls as answers get more accurate, even if the confidence is no better; saying the mean accuracy a of
    every answer scores a (1 - a).
    """
    return float(np.mean((confidence - right) ** 2)) if len(confidence) else math.nan


def auroc(confidence: Floats, right: Flags) -> float:
    """The probability that a right answer has a higher confidence than a wrong one, ties counting half; 0.5 is chance.

    Formula: Mann and Whitney's U over its maximum (Hanley and McNeil 1982). NaN unless there are both right and wrong
    ones. Pitfall: it knows only the order, so it can be 1 for a confidence that is far too high throughout.
    """
    by_threshold = _by_threshold(confidence, right)
    n_right = np.diff(by_threshold.total, prepend=0.0)
    n_wrong = np.diff(by_threshold.n_answered, prepend=0) - n_right
    pairs = n_right.sum() * n_wrong.sum()
    if pairs == 0:
        return math.nan
    n_wrong_below = n_wrong.sum() - np.cumsum(n_wrong)
    return float(np.sum(n_right * (n_wrong_below + n_wrong / 2)) / pairs)


def risk_coverage_curve(confidence: Floats, right: Flags) -> tuple[Floats, Floats]:
    """Coverage and selective risk of every threshold, from the highest: two (n_thresholds,) arrays.

    Coverage is the share of questions answered, rising to 1; selective risk the share of wrong ones among the answered.
    Source: El-Yaniv and Wiener 2010. Pitfall: the left end rests on few questions and jumps.
    """
    by_threshold = _by_threshold(confidence, right)
    n_answered = by_threshold.n_answered
    return n_answered / len(confidence), (n_answered - by_threshold.total) / n_answered


def aurc(confidence: Floats, right: Flags) -> float:
    """Area under the risk-coverage curve, lower is better.

    Formula: (1 / n) x sum over i = 1..n of the selective risk of the i most confident answers (Geifman, Uziel and
    El-Yaniv 2019). Convention: among equal confidences the expectation over all their orders, which is to take a tied
    group's wrong answers in equal steps. Pitfall: how many answers are wrong bounds it from below, so between two
    readers it compares the readers as much as their confidence.
    """
    if len(confidence) == 0:
        return math.nan
    by_threshold = _by_threshold(confidence, right)
    n_answered = np.concatenate(([0], by_threshold.n_answered))
    n_wrong = n_answered - np.concatenate(([0.0], by_threshold.total))
    steps = np.arange(1, len(confidence) + 1)
    return float(np.mean(np.interp(steps, n_answered, n_wrong) / steps))


def coverage_at_precision(confidence: Floats, right: Flags, precision: float) -> float:
    """The largest share of questions a threshold can answer while `precision` of those answers are right; 0.0 if none.

    Pitfall: the threshold is picked on the very answers that are counted, so this is what could be had, not what a
    threshold fixed beforehand will keep; with few questions, luck at the top decides.
    """
    if len(confidence) == 0:
        return math.nan
    by_threshold = _by_threshold(confidence, right)
    row = _last_at_precision(by_threshold, precision)
    return 0.0 if row is None else float(by_threshold.n_answered[row] / len(confidence))


def threshold_at_precision(confidence: Floats, right: Flags, precision: float) -> float | None:
    """The lowest threshold at which `precision` of the answers given are right; None if there is none.

    Pitfall: precision does not always rise with the threshold; a higher one may miss it. Choose it on other questions
    than those reported on.
    """
    by_threshold = _by_threshold(confidence, right)
    row = _last_at_precision(by_threshold, precision)
    return None if row is None else float(by_threshold.threshold[row])


def best_threshold_score(confidence: Floats, given_score: Floats, withheld_score: Floats) -> tuple[float, float | None]:
    """The best mean score that any threshold reaches, and that threshold; None for it means answering nothing.

    `given_score` (n,) is the EM or F1 of giving the best candidate, `withheld_score` (n,) that of abstaining: 1 for an
    unanswerable question, else 0. Where there is no candidate to give, both must be the latter. Among equally good
    thresholds the highest is returned.
    Convention: best_exact and best_f1 of the official SQuAD v2.0 script (Rajpurkar et al. 2018), as a fraction, with
    1 - confidence as the no-answer probability. That script takes questions one by one, so where confidences are equal
    it may report a score that no threshold reaches and that depends on the order of its file. And where answering
    nothing is best it reports 0.0, a threshold at which it would answer questions of no-answer probability 0.
    Pitfall: the threshold is fitted to the questions that are scored. It is a bound, not a result.
    """
    if len(confidence) == 0:
        return math.nan, None
    by_threshold = _by_threshold(confidence, given_score - withheld_score)
    gains = np.concatenate(([0.0], by_threshold.total))
    best = int(np.argmax(gains))
    score = float((withheld_score.sum() + gains[best]) / len(confidence))
    return score, None if best == 0 else float(by_threshold.threshold[best - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByThreshold:
    """What each threshold answers, from the highest: all arrays (n_thresholds,), one row a distinct confidence."""

    threshold: Floats
    n_answered: NDArray[np.int64]
    total: Floats
    """The sum of the values of the questions answered."""


def _by_threshold(confidence: Floats, values: Flags) -> _ByThreshold:
    order = np.argsort(confidence)[::-1]
    falling = confidence[order]
    last = np.flatnonzero(np.diff(falling, append=-np.inf))
    total = np.cumsum(values[order], dtype=np.float64)
    return _ByThreshold(threshold=falling[last], n_answered=last + 1, total=total[last])


def _last_at_precision(by_threshold: _ByThreshold, precision: float) -> int | None:
    # Divided, not multiplied out: 11 / 20 is the float that "0.55" is, while 0.55 * 20 is above 11.
    rows = np.flatnonzero(by_threshold.total / by_threshold.n_answered >= precision)
    return int(rows[-1]) if rows.size else None
