"""What the charts of a report show of a run: each with its finding in a sentence, and how to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval import charts
from eval.bootstrap import estimate_mean
from eval.losses import (
    ANSWER_LENGTHS,
    QUESTION_WORDS,
    READER_MISSED,
    RETRIEVAL_MISSED,
    WRONGLY_ANSWERED,
    WRONGLY_REFUSED,
    answer_length,
    question_word,
)
from eval.outcomes import Floats, Outcomes
from eval.run_folder import PredictedQuestion
from eval.selective import calibration_bins, ece, risk_coverage_curve

_CAUSE_IN_A_SENTENCE = {
    RETRIEVAL_MISSED: "retriever found no gold passage",
    READER_MISSED: "reader had a gold passage and missed the answer",
    WRONGLY_REFUSED: "best candidate was held back",
    WRONGLY_ANSWERED: "archive holds no answer and one was given",
}
_FEW = 30  # a group of fewer questions is drawn, with its interval, but not called the best or the worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart, as an `<svg>` element, between its finding and how to read it."""

    finding: str
    svg: str
    reading: str


def loss_figure(losses: Mapping[str, float]) -> Figure:
    """Where F1 is lost, by cause; the fractions sum to 1 - F1."""
    worst, total = max(losses, key=lambda cause: losses[cause]), sum(losses.values())
    finding = "Nothing was lost."
    if total > 0:
        lost = f"{_points(losses[worst])} of {_points(total)} points of F1"
        finding = f"Most is lost where the {_CAUSE_IN_A_SENTENCE[worst]}: {lost}."
    return Figure(
        finding=finding,
        svg=charts.waterfall(losses),
        reading="From a perfect score down to F1. The steps add up exactly.",
    )


def answer_figures(predicted: Sequence[PredictedQuestion], columns: Outcomes) -> list[Figure]:
    """How far the confidence can be trusted, and which questions are hard; `predicted` is not empty."""
    return [_risk_coverage(columns), _reliability(columns), _by_question_word(predicted, columns),
            _by_answer_length(predicted, columns)]  # fmt: skip


def retrieval_figure(predicted: Sequence[PredictedQuestion]) -> Figure | None:
    """What is found among the first k passages; None where no question has a gold passage or a gold text."""
    grades = _found_by_k([[passage.grade > 0 for passage in p.passages] for p in predicted if p.gold_grades])
    texts = _found_by_k([[passage.holds_answer for passage in p.passages] for p in predicted if p.question.answers])
    name, found = ("gold passage", grades) if len(grades) else ("gold text", texts)
    if not len(found):
        return None
    return Figure(
        finding=f"A {name} comes first for {_percent(found[0])} of the questions, and is among the first {len(found)}"
        f" for {_percent(found[-1])}.",
        svg=charts.success_by_k(grades, texts),
        reading="What is not found cannot be quoted: the right end bounds what a reader can reach.",
    )


def latency_figure(timings: Mapping[str, Floats]) -> Figure:
    """How long questions take, by stage; arrays of milliseconds, not empty."""
    p50, p99 = np.percentile(timings["total_ms"], [50, 99])
    return Figure(
        finding=f"Half of the questions take up to {p50:,.0f} ms, 99 % up to {p99:,.0f} ms.",
        svg=charts.latency(timings),
        reading="Solid line: p50, the median. Dashed: p90. Dotted: p99. Each stage is drawn to the same height.",
    )


def _risk_coverage(columns: Outcomes) -> Figure:
    coverage, risk = risk_coverage_curve(columns["confidence"], columns["right"])
    half = int(np.searchsorted(coverage, 0.5))
    given = columns["given"] == 1
    chosen = (float(given.mean()), float(1 - columns["right"][given].mean())) if given.any() else None
    return Figure(
        finding=f"Of the surest half of the answers, {_percent(risk[half])} are wrong; of all, {_percent(risk[-1])}.",
        svg=charts.risk_coverage(coverage, risk, chosen),
        reading="Answering only above a threshold: the higher it is, the further left. Low and rising is good; a flat"
        " line would mean that the confidence knows nothing. The far left rests on few questions.",
    )


def _reliability(columns: Outcomes) -> Figure:
    confidence, right = columns["confidence"], columns["right"]
    error = ece(confidence, right)
    gap = float((confidence - right).mean())
    leaning = "too sure" if gap > 0 else "too modest"
    return Figure(
        finding=f"The confidence is off by {_points(error)} points (ECE), on balance {leaning} by {_points(abs(gap))}.",
        svg=charts.reliability(calibration_bins(confidence, right)),
        reading="On the dashed line, what is said to be 70 % sure is right in 70 % of cases. Above it Quoth is right"
        " more often than it says, below it less often. Dots: the mean confidence of each bin.",
    )


def _by_question_word(predicted: Sequence[PredictedQuestion], columns: Outcomes) -> Figure:
    words = [question_word(p.question.question) for p in predicted]
    return _by_group("question-word", "question word", QUESTION_WORDS, words, columns["f1"])


def _by_answer_length(predicted: Sequence[PredictedQuestion], columns: Outcomes) -> Figure:
    lengths = [_in_words(answer_length(p.question.answers)) for p in predicted]
    return _by_group(
        "answer-length", "length of the gold answer", [*map(_in_words, ANSWER_LENGTHS)], lengths, columns["f1"]
    )


def _by_group(name: str, what: str, order: Sequence[str], groups: Sequence[str], f1: Floats) -> Figure:
    of = np.array(groups)
    estimates = {group: e for group in order if (e := estimate_mean(f1[of == group])) is not None}
    large = {group: e.value for group, e in estimates.items() if e.n >= _FEW}
    finding = f"F1 by {what}."
    if len(large) > 1:
        best, worst = max(large, key=lambda g: large[g]), min(large, key=lambda g: large[g])
        finding = (
            f"F1 by {what}: best for “{best}” ({_points(large[best])}), worst for “{worst}” ({_points(large[worst])})."
        )
    return Figure(
        finding=finding,
        svg=charts.f1_by_group(name, estimates, float(f1.mean())),
        reading="Whiskers: 95 % bootstrap intervals; where they are long, the number says little."
        + (f" Best and worst of those with {_FEW} questions or more." if len(large) > 1 else ""),
    )


def _in_words(length: str) -> str:
    return length if length == "no answer" else f"{length} word{'s' * (length != '1')}"


def _found_by_k(flags: Sequence[Sequence[bool]]) -> Floats:
    """The share of questions with a true flag among the first k, for k = 1, 2, ...; `(n_passages,)`, maybe empty."""
    longest = max(map(len, flags), default=0)
    padded = np.array([[*row, *[False] * (longest - len(row))] for row in flags], dtype=np.bool_)
    if not padded.size:
        return np.zeros(0)
    found: Floats = np.maximum.accumulate(padded, axis=1).mean(axis=0, dtype=np.float64)
    return found


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
