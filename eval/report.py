"""A run as one HTML file for people: what was scored, where the loss comes from, and the wrong answers to look at.

The file needs nothing else: no network, no script but a few lines of its own, without which it reads as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.figures import answer_figures, latency_figure, loss_figure, retrieval_figure
from eval.losses import CAUSES, loss_parts
from eval.metrics import METRICS
from eval.outcomes import Outcomes
from eval.page import page_template
from eval.run_folder import PredictedQuestion
from eval.scored_run import ScoredRun
from eval.scores import HEADLINE as GROUP_METRICS
from eval.wrong_answers import WrongAnswer, wrong_answers

MAX_LISTED = 500
"""Of the wholly and of the partly wrong answers each, the most confident: more would make a page too heavy to open."""

_HEADLINE = {
    "f1": "F1", "em": "EM", "answered": "answered", "precision": "right, if answered",
    "citation_valid": "citations that hold", "success@1": "success@1", "success@5": "success@5",
    "success@10": "success@10", "ece": "ECE, lower is better", "auroc": "AUROC, 50 is chance",
}  # fmt: skip
_MEANINGS = {
    CAUSES[0]: "No gold passage was among those read.",
    CAUSES[1]: "A gold passage was read; the best candidate lacks the gold answer, or a part of it.",
    CAUSES[2]: "The best candidate was right, or partly, and was held back.",
    CAUSES[3]: "The archive holds no answer, and one was given.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one cause costs: `points` of F1, a fraction, spread over `n_questions`."""

    cause: str
    meaning: str
    points: float
    n_questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongList:
    """Wrong answers of one kind, the most confident first: of `n`, those that are listed."""

    title: str
    n: int
    listed: Sequence[WrongAnswer]


def report(run: ScoredRun) -> str:
    """The page, in HTML: the same bytes for the same run."""
    columns = run.outcomes
    counts = ~np.isnan(columns["f1"])  # the others ask for articles alone
    asked = [p for p, one_counts in zip(run.predicted, counts, strict=True) if one_counts]
    answered = columns.take(np.flatnonzero(counts))
    values = run.scores.everything.values
    found = retrieval_figure(run.predicted)
    losses = _losses(asked, answered) if asked else []
    return page_template("report.html.jinja").render(
        run=run,
        n_answerable=sum(p.question.is_answerable for p in run.predicted),
        headline=[(label, values[name]) for name, label in _HEADLINE.items() if name in values],
        metrics=[(metric, values[metric.name]) for metric in METRICS if metric.name in values],
        group_metrics=GROUP_METRICS,
        losses=losses,
        loss_figure=loss_figure({loss.cause: loss.points for loss in losses}) if losses else None,
        figures=[
            *(answer_figures(asked, answered) if asked else []),
            *([found] if found else []),
            latency_figure(run.timings),
        ],
        latency=run.latency,
        wrong=_wrong_lists(wrong_answers(asked, answered, run.passages, run.scores.min_confidence)) if asked else [],
        causes=CAUSES,
        facts=_lines(run.facts.document),
    )


def _losses(predicted: Sequence[PredictedQuestion], columns: Outcomes) -> list[Loss]:
    parts = loss_parts(predicted, columns)
    return [
        Loss(
            cause=cause,
            meaning=_MEANINGS[cause],
            points=float(parts[cause].mean()),
            n_questions=int((parts[cause] > 0).sum()),
        )
        for cause in CAUSES
    ]


def _wrong_lists(wrong: Sequence[WrongAnswer]) -> list[WrongList]:
    wholly, partly = [w for w in wrong if w.f1 == 0], [w for w in wrong if w.f1 > 0]
    return [
        WrongList(title=title, n=len(answers), listed=answers[:MAX_LISTED])
        for title, answers in (("Wholly wrong", wholly), ("Partly right", partly))
    ]


def _lines(document: Mapping[str, object], path: str = "") -> list[tuple[str, str]]:
    """The values of a JSON document with the names that lead to each: `("settings · seed", "7")`."""
    lines: list[tuple[str, str]] = []
    for name, value in document.items():
        place = f"{path} · {name}" if path else name
        lines += _lines(value, place) if isinstance(value, Mapping) else [(place, str(value))]
    return lines
