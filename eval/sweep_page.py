"""A sweep as one HTML file for people: a chart and a table for each setting. It needs no network."""

from collections.abc import Sequence

from eval.differences import points
from eval.metrics import METRICS
from eval.page import page_template
from eval.svg import MAIN, MUTED, SECOND, Chart, drawing
from eval.sweep import THRESHOLD, SettingSweep

_LABELS = {
    "passage_tokens": "tokens of a passage",
    "overlap_tokens": "tokens that neighbouring passages share",
    "dense_weight": "share of the cosine in what a passage weighs",
    "passages": "passages read for a question",
    THRESHOLD: "confidence from which Quoth answers",
}
_BESIDE = {THRESHOLD: "answered"}
"""What is drawn beside the metric that decides; success@5 where nothing else is said."""


def sweep_page(name: str, n_questions: int, sweeps: Sequence[SettingSweep]) -> str:
    """The page, in HTML: the same bytes for the same sweep."""
    return page_template("sweep.html.jinja").render(
        name=name,
        n_questions=n_questions,
        sweeps=[(sweep, _LABELS[sweep.setting], _chart(sweep)) for sweep in sweeps],
        meanings={m.name: m.meaning for m in METRICS},
        explained=list(dict.fromkeys(name for sweep in sweeps for name in sweep.metrics)),
    )


def _chart(sweep: SettingSweep) -> str:
    """The deciding metric with its interval, and another beside it, by value; the shipped value marked."""
    values = [point.value for point in sweep.points]
    beside = _BESIDE.get(sweep.setting, "success@5")
    with drawing():
        chart = Chart()
        axes = chart.axes
        decides = [point.scores[sweep.decides] for point in sweep.points]
        low, high = ([100 * e.low for e in decides], [100 * e.high for e in decides])
        axes.fill_between(values, low, high, color=MAIN, alpha=0.15, linewidth=0)
        axes.plot(values, [100 * e.value for e in decides], color=MAIN, marker="o", label=sweep.decides)
        others = [100 * point.scores[beside].value for point in sweep.points if beside in point.scores]
        if len(others) == len(values):
            axes.plot(values, others, color=SECOND, marker="s", linestyle=(0, (5, 2)), label=beside)
        shipped = next(point.value for point in sweep.points if point.is_shipped)
        axes.axvline(shipped, color=MUTED, linewidth=1, linestyle=":", label=f"shipped: {shipped:g}")
        axes.set_xlabel(_LABELS[sweep.setting])
        axes.set_ylabel("%")
        axes.grid(visible=True, axis="y")
        axes.legend(loc="best", frameon=False)
        told = ", ".join(f"{p.value:g}: {points(p.scores[sweep.decides].value)}" for p in sweep.points)
        return chart.svg(sweep.setting, f"{sweep.decides} in % by {_LABELS[sweep.setting]}. {told}.")
