"""The charts of a report. Values come in as fractions and are drawn in %; nothing is told by colour alone.

Each function gives an `<svg>` element for the page, with a description for those who do not see it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from eval.bootstrap import Estimate
from eval.outcomes import Floats
from eval.selective import CalibrationBins
from eval.svg import INK, MAIN, MUTED, SECOND, SOFT, Chart, drawing

_MAX_POINTS = 240
_STAGES = {"retrieve_ms": "retrieve", "read_ms": "read", "total_ms": "total"}
PERCENTILES = (50, 90, 99)


def waterfall(losses: Mapping[str, float]) -> str:
    """From a perfect score down to F1, a step for each cause; `losses` are fractions and sum to 1 - F1."""
    f1 = 1 - sum(losses.values())
    names = ["all right", *losses, "F1"]
    ends = 100 * (1 - np.cumsum([0.0, *losses.values()]))
    starts = np.array([0.0, *ends[:-1], 0.0])
    ends = np.array([*ends, 100 * f1])
    with drawing():
        chart = Chart(0.5 + 0.34 * len(names))
        axes = chart.axes
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            is_loss = 0 < row < len(names) - 1
            style = {"color": SECOND} if is_loss else {"color": SOFT, "edgecolor": MAIN, "linewidth": 0.8}
            axes.barh(row, abs(end - start), left=min(start, end), height=0.62, **style)
            _step_label(axes, row, start, end, is_loss=is_loss)
            if row < len(names) - 1:
                axes.plot([end, end], [row, row + 1], color=MUTED, linewidth=0.8, zorder=0)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("F1 (%)")
        _percent(axes, "x")
        told = ", ".join(f"{name} {100 * loss:.1f}" for name, loss in losses.items())
        return chart.svg("loss", f"Waterfall from 100 % to F1 {100 * f1:.1f} %. Points of F1 lost: {told}.")


def _step_label(axes: Axes, row: int, start: float, end: float, *, is_loss: bool) -> None:
    if not is_loss:
        axes.text(end / 2, row, f"{end:.1f}", ha="center", va="center", fontweight="bold")
        return
    lost = f"{start - end:.1f}"
    lost = lost if float(lost) == 0 else f"−{lost}"
    beside = (end - 1.5, "right") if end > 15 else (start + 1.5, "left")
    axes.text(beside[0], row, lost, ha=beside[1], va="center")


def risk_coverage(coverage: Floats, risk: Floats, chosen: tuple[float, float] | None) -> str:
    """Selective risk over coverage, arrays (n_thresholds,); `chosen` is the point of the threshold in use."""
    rows = np.unique(np.linspace(0, len(coverage) - 1, _MAX_POINTS).round().astype(np.int64))
    with drawing():
        chart = Chart()
        axes = chart.axes
        axes.plot(100 * coverage[rows], 100 * risk[rows], color=MAIN, linewidth=1.8)
        axes.fill_between(100 * coverage[rows], 100 * risk[rows], color=SOFT, linewidth=0, alpha=0.6)
        if chosen is not None:
            x, y = 100 * chosen[0], 100 * chosen[1]
            axes.plot(x, y, "o", color=SECOND, markersize=7, clip_on=False)
            left = x > 50
            axes.annotate(
                f"in use: {x:.1f} % answered,\n{y:.1f} % of them wrong", (x, y), (-8 if left else 8, 10),
                textcoords="offset points", ha="right" if left else "left", va="bottom",
            )  # fmt: skip
        axes.set_xlabel("coverage: questions answered (%)")
        axes.set_ylabel("selective risk: wrong answers (%)")
        _percent(axes, "x")
        # The left end rests on few questions and may jump to 100 %: it must not set the scale.
        top = 100 * max(float(risk[len(risk) // 20 :].max()), chosen[1] if chosen else 0.0, 0.01)
        axes.set_ylim(0, min(105.0, 1.35 * top))
        axes.grid(visible=True, axis="y")
        return chart.svg("risk", f"Risk-coverage curve: answering everything, {100 * risk[-1]:.1f} % are wrong.")


def reliability(bins: CalibrationBins) -> str:
    """The share of right answers by confidence, with the diagonal of a confidence that means what it says."""
    n_bins = len(bins.count)
    left, width = 100 * np.arange(n_bins) / n_bins, 100 / n_bins
    filled = bins.count > 0
    with drawing():
        chart = Chart()
        axes = chart.axes
        accuracy = 100 * bins.accuracy[filled]
        axes.bar(left[filled], accuracy, width=width, align="edge", color=SOFT, edgecolor=MAIN, linewidth=0.8)
        axes.plot([0, 100], [0, 100], color=INK, linewidth=1.1, linestyle=(0, (5, 3)))
        axes.plot(100 * bins.confidence[filled], accuracy, "o", color=SECOND, markersize=5)
        for x, n in zip(left[filled], bins.count[filled], strict=True):
            axes.text(x + width / 2, 102, _short(int(n)), ha="center", va="bottom", color=MUTED, fontsize=8)
        axes.text(0, 111, "questions in each bin", color=MUTED, fontsize=9, va="bottom")
        axes.set_xlabel("confidence (%)")
        axes.set_ylabel("right answers (%)")
        _percent(axes, "x")
        _percent(axes, "y")
        axes.set_ylim(0, 119)
        axes.spines["left"].set_bounds(0, 100)
        told = "; ".join(
            f"{100 * c:.0f} % sure, {a:.0f} % right of {n}"
            for c, a, n in zip(bins.confidence[filled], accuracy, bins.count[filled], strict=True)
        )
        return chart.svg("reliability", f"Reliability diagram: {told}.")


def success_by_k(success: Floats, answer_recall: Floats) -> str:
    """success@k and answer recall@k for k = 1, 2, ...: arrays (n_passages,), empty where nothing counts."""
    lines = [
        ("success@k: a gold passage", success, MAIN, "o", "-"),
        ("answer recall@k: a gold text", answer_recall, SECOND, "s", (0, (5, 2))),
    ]
    with drawing():
        chart = Chart()
        axes = chart.axes
        drawn = [line for line in lines if len(line[1])]
        for label, values, colour, marker, line in drawn:
            k = np.arange(1, len(values) + 1)
            size = 5 if len(k) <= 20 else 0
            axes.plot(k, 100 * values, color=colour, marker=marker, linestyle=line, markersize=size, label=label)
        axes.set_xlabel("k: passages looked at")
        axes.set_ylabel("questions (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        lowest = min((100 * float(values.min()) for _, values, *_ in drawn), default=0.0)
        axes.set_ylim(max(0.0, 10 * np.floor((lowest - 12) / 10)), 101)
        axes.grid(visible=True, axis="y")
        axes.legend(loc="lower right", frameon=False, handlelength=2.8)
        told = "; ".join(
            f"{label}, {100 * values[0]:.1f} % at 1, {100 * values[-1]:.1f} % at {len(values)}"
            for label, values, *_ in drawn
        )
        return chart.svg("success", f"Found among the first k passages. {told}.")


def latency(stages: Mapping[str, Floats]) -> str:
    """How the milliseconds of each stage, `(n_questions,)`, are spread, on a log axis, with p50, p90 and p99."""
    times = {_STAGES.get(name, name): np.maximum(values, 0.01) for name, values in stages.items()}
    low, high = min(float(v.min()) for v in times.values()), max(float(v.max()) for v in times.values())
    edges = np.geomspace(low / 1.2, high * 1.2, 70)
    told = []
    with drawing():
        chart = Chart()
        axes = chart.axes
        for row, (name, values) in enumerate(times.items()):
            heights, _ = np.histogram(values, edges)
            base = float(row)
            axes.stairs(base - 0.62 * heights / heights.max(), edges, baseline=base, fill=True, color=SOFT)
            axes.axhline(base, color=MUTED, linewidth=0.8)
            marks = np.percentile(values, PERCENTILES)
            for mark, colour, line in zip(marks, (MAIN, INK, SECOND), ("-", "--", ":"), strict=True):
                axes.plot([mark, mark], [base - 0.62, base], color=colour, linestyle=line, linewidth=1.5)
            text = " · ".join(f"p{p} {_ms(x)}" for p, x in zip(PERCENTILES, marks, strict=True))
            axes.text(0.0, base - 0.66, f"{name}: {text} ms", transform=axes.get_yaxis_transform(), va="bottom")
            told.append(f"{name}: {text} ms")
        axes.set_xscale("log")
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(len(times) - 0.9, -0.95)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda x, _: _ms(x))
        axes.set_xlabel("time of one question (ms, log axis)")
        return chart.svg("latency", f"Distribution of time by stage. {'; '.join(told)}.")


def f1_by_group(name: str, groups: Mapping[str, Estimate], everything: float) -> str:
    """F1 of each group with its interval and size, beside the F1 of all questions; `name` is a word for the chart."""
    with drawing():
        chart = Chart(0.6 + 0.23 * max(len(groups), 4))
        axes = chart.axes
        rows = range(len(groups))
        values = [100 * e.value for e in groups.values()]
        below = [max(0.0, 100 * (e.value - e.low)) for e in groups.values()]
        above = [max(0.0, 100 * (e.high - e.value)) for e in groups.values()]
        axes.barh(rows, values, height=0.66, color=SOFT, edgecolor=MAIN, linewidth=0.8)
        axes.errorbar(values, rows, xerr=(below, above), fmt="none", color=INK, elinewidth=1.2, capsize=2.5)
        beside = axes.get_yaxis_transform()
        for row, estimate in zip(rows, groups.values(), strict=True):
            value, size = f"{100 * estimate.value:.1f}", f"n = {estimate.n:,}"
            axes.text(1.17, row, value, transform=beside, ha="right", va="center", fontsize=9, fontweight="bold")
            axes.text(1.2, row, size, transform=beside, ha="left", va="center", fontsize=9, color=MUTED)
        axes.axvline(100 * everything, color=SECOND, linestyle=(0, (5, 3)), linewidth=1.1)
        axes.set_yticks(rows, list(groups))
        axes.invert_yaxis()
        axes.set_xlabel(f"F1 (%); dashed: all questions, {100 * everything:.1f}")
        _percent(axes, "x")
        told = "; ".join(f"{g} {100 * e.value:.1f} (n = {e.n})" for g, e in groups.items())
        return chart.svg(f"f1-{name}", f"F1 by {name.replace('-', ' ')}: {told}.")


def _percent(axes: Axes, which: str) -> None:
    ticks: Sequence[int] = range(0, 101, 20)
    if which == "x":
        axes.set_xlim(0, 100)
        axes.set_xticks(ticks)
    else:
        axes.set_yticks(ticks)


def _short(n: int) -> str:
    """At most four characters, so that ten stand side by side on a phone."""
    return str(n) if n < 10_000 else f"{n / 1000:.0f}k"


def _ms(milliseconds: float) -> str:
    if milliseconds >= 99.5:
        return f"{milliseconds:,.0f}"
    return f"{milliseconds:.1f}" if milliseconds < 9.95 else f"{milliseconds:.0f}"
