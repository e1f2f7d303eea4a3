"""The scores of a run, as people read them in the terminal."""

from collections.abc import Mapping

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.bootstrap import Estimate
from eval.losses import CAUSES, loss_parts
from eval.metrics import METRICS
from eval.outcomes import Floats
from eval.scored_run import ScoredRun
from eval.scores import HEADLINE, Latency, RunScores, Scores

SHORT = dict(zip(HEADLINE, ("EM", "F1", "EM+", "F1+", "R+", "R-", "s@1", "s@5", "s@10"), strict=True))
LEGEND = (
    "EM+ and F1+: answerable questions, always answered. R+ and R-: the share of unanswerable and of answerable"
    " questions refused. s@k: success@k."
)
_BAR_WIDTH = 40


def show_scores(console: Console, run: ScoredRun) -> None:
    """Every metric of the whole run, the groups side by side, where the loss comes from, and how long it took."""
    console.print(_metrics(run.scores.everything))
    for title, groups in run.scores.groups():
        console.print(_groups(title, groups))
    if not np.isnan(run.outcomes["f1"]).all():
        console.print(_losses(loss_parts(run.predicted, run.outcomes)))
    console.print(_latency(run.latency))
    console.print(_notes(run.scores), style="dim")


def _notes(scores: RunScores) -> str:
    threshold = f"Answered at confidence >= {scores.min_confidence:.3f}." if "f1" in scores.everything.values else ""
    legend = LEGEND if scores.groups() else ""
    return " ".join(note for note in (threshold, legend, "report.html says what each metric means.") if note)


def _metrics(scores: Scores) -> Table:
    table = Table(title=f"All {scores.n} questions, in %", title_justify="left", box=box.SIMPLE)
    for name in ("", "", "95 % interval", "of"):
        table.add_column(name, justify="left" if name == "95 % interval" else "right" if name else "left")
    for metric in METRICS:
        value = scores.values.get(metric.name)
        if value is not None:
            table.add_row(metric.name, _percent(value.value), _interval(value), str(value.n))
    return table


def _groups(title: str, groups: Mapping[str, Scores]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("n", justify="right")
    for name in HEADLINE:
        table.add_column(SHORT[name], justify="right", no_wrap=True)
    for name, scores in groups.items():
        values = (scores.values.get(column) for column in HEADLINE)
        table.add_row(
            escape(name), str(scores.n), *("–" if value is None else _percent(value.value) for value in values)
        )
    return table


def _losses(losses: Mapping[str, Floats]) -> Table:
    table = Table(title="Where F1 is lost, in points", title_justify="left", box=box.SIMPLE, show_header=False)
    for cause in CAUSES:
        lost = float(np.nanmean(losses[cause]))
        table.add_row(cause, _percent(lost), "█" * round(lost * _BAR_WIDTH))
    return table


def _latency(latency: Latency) -> Table:
    table = Table(title="Milliseconds a question", title_justify="left", box=box.SIMPLE)
    table.add_column("")
    for name in next(iter(latency.values())):
        table.add_column(name, justify="right")
    for stage, percentiles in latency.items():
        table.add_row(stage.removesuffix("_ms"), *(f"{value.value:.1f}" for value in percentiles.values()))
    return table


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _interval(value: Estimate) -> str:
    return f"{_percent(value.low)} to {_percent(value.high)}"
