"""Every metric that is reported, compared and gated, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from eval.outcomes import DEPTHS, Floats, Outcomes
from eval.selective import aurc, auroc, best_threshold_score, brier, coverage_at_precision, ece
from index.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number of a run, in [0, 1], NaN where nothing counts; `column` is what it is the mean of, if it is a mean."""

    name: str
    meaning: str
    higher_is_better: bool
    of: Callable[[Outcomes], float]
    column: str | None


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        DatasetError: there is none.
    """
    for known in METRICS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in METRICS)
    raise DatasetError(f"no metric is called {name!r}; there are {names}")


def mean_of(column: str, outcomes: Outcomes) -> float:
    """The mean of a column over the questions that count."""
    values = outcomes[column]
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _mean(name: str, meaning: str, *, column: str | None = None, higher_is_better: bool = True) -> Metric:
    column = column or name
    of = partial(mean_of, column)
    return Metric(name=name, meaning=meaning, higher_is_better=higher_is_better, of=of, column=column)


def _number(name: str, meaning: str, of: Callable[[Outcomes], float], *, higher_is_better: bool = True) -> Metric:
    return Metric(name=name, meaning=meaning, higher_is_better=higher_is_better, of=of, column=None)


def _best(column: str, outcomes: Outcomes) -> float:
    counting = _answering(outcomes)
    return best_threshold_score(counting["confidence"], counting[column], counting["withheld"])[0]


def _selective(of: Callable[[Floats, Floats], float], outcomes: Outcomes) -> float:
    counting = _answering(outcomes)
    return of(counting["confidence"], counting["right"])


def _coverage(precision: float) -> Callable[[Floats, Floats], float]:
    return lambda confidence, right: coverage_at_precision(confidence, right, precision)


def _answering(outcomes: Outcomes) -> Outcomes:
    """Without the questions that only retrieval counts for."""
    return outcomes.take(np.flatnonzero(~np.isnan(outcomes["right"])))


METRICS: tuple[Metric, ...] = (
    _mean("em", "exact match of what was given; abstaining is right where there is no answer"),
    _mean("f1", "F1 of what was given; abstaining is right where there is no answer"),
    _mean("squad1_em", "EM as the SQuAD v1.1 script has it, where every question has an answer"),
    _mean("squad1_f1", "F1 as the SQuAD v1.1 script has it, where every question has an answer"),
    _mean("has_answer_em", "EM of answerable questions under the threshold"),
    _mean("has_answer_f1", "F1 of answerable questions under the threshold"),
    _mean("rightly_refused", "share of unanswerable questions that were refused"),
    _mean("wrongly_refused", "share of answerable questions that were refused", higher_is_better=False),
    _mean("always_em", "EM of answerable questions when every one is answered"),
    _mean("always_f1", "F1 of answerable questions when every one is answered"),
    _number("best_em", "EM at the threshold that is best on these questions (optimistic)", partial(_best, "best_em")),
    _number("best_f1", "F1 at the threshold that is best on these questions (optimistic)", partial(_best, "best_f1")),
    _mean("answered", "share of questions that were answered", column="given"),
    _mean("precision", "share of given answers that are right"),
    *(_mean(f"success@{k}", f"a gold passage is among the first {k}") for k in DEPTHS),
    _mean("recall@5", "share of the gold passages among the first 5"),
    _mean("recall@10", "share of the gold passages among the first 10"),
    _mean("recall@100", "share of the gold passages among the first 100"),
    _mean("mrr@10", "1 / rank of the first gold passage, 0 beyond 10"),
    _mean("ndcg@10", "discounted gain of the first 10 passages, of the best possible"),
    *(_mean(f"answer_recall@{k}", f"a passage with a gold text is among the first {k}") for k in DEPTHS),
    _mean("citation_valid", "share of given answers that are in the article where they say"),
    _mean("citation_correct", "share of given answers whose article or a copy is a gold one, answerable questions"),
    _number("ece", "gap between confidence and the share that is right, ten bins", partial(_selective, ece),
            higher_is_better=False),
    _number("brier", "mean squared error of the confidence", partial(_selective, brier), higher_is_better=False),
    _number("auroc", "chance that a right answer has more confidence than a wrong one", partial(_selective, auroc)),
    _number("aurc", "mean share of wrong answers over all coverages", partial(_selective, aurc),
            higher_is_better=False),
    *(
        _number(f"coverage@{percent}", f"share that can be answered with {percent} % of the answers right",
                partial(_selective, _coverage(percent / 100)))
        for percent in (80, 90, 95)
    ),
)  # fmt: skip
