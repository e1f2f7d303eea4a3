import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from eval import charts
from eval.bootstrap import Estimate
from eval.selective import calibration_bins
from eval.svg import Chart, drawing

LOSSES = {"retrieval missed": 0.02, "reader missed": 0.2, "wrongly refused": 0.0, "wrongly answered": 0.08}
MS = {"retrieve_ms": np.array([8.0, 10.0, 12.0]), "read_ms": np.array([100.0, 200.0, 300.0])}
GROUPS = {"who": Estimate(value=0.8, low=0.7, high=0.95, n=1200), "why": Estimate(value=0.0, low=0.0, high=0.0, n=1)}
CONFIDENCE = np.array([0.1, 0.15, 0.55, 0.58, 0.9])
FLAGS = np.array([0.0, 0.0, 1.0, 0.0, 1.0])
COVERAGE, RISK = np.array([0.2, 0.5, 1.0]), np.array([0.0, 0.1, 0.4])

ALL = {
    "waterfall": charts.waterfall(LOSSES),
    "risk": charts.risk_coverage(COVERAGE, RISK, (0.5, 0.1)),
    "reliability": charts.reliability(calibration_bins(CONFIDENCE, FLAGS)),
    "success": charts.success_by_k(np.array([0.6, 0.8, 0.9]), np.array([0.7, 0.8, 1.0])),
    "latency": charts.latency(MS),
    "groups": charts.f1_by_group("question-word", GROUPS, 0.6),
}


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 (our own)


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(svg).iter("text")]


def paths(svg: str, style: str) -> list[NDArray[np.float64]]:
    """The corners, `(n, 2)`, of each path drawn in a style like "stroke: var(--main", in drawing order."""
    found = [path for path in parsed(svg).iter("path") if style in path.attrib.get("style", "")]
    return [np.array(re.findall(r"[ML] (\S+) (\S+)", path.attrib["d"]), dtype=np.float64) for path in found]


def boxes(svg: str, colour: str) -> list[tuple[float, float, float]]:
    """Left, right and height of the boxes filled with a colour, as far as they are wide and high."""
    corners = [c for c in paths(svg, f"fill: var(--{colour}") if len(c) == 4]
    spans = [(*c.min(axis=0), *c.max(axis=0)) for c in corners]
    return [(left, right, low - top) for left, top, right, low in spans if right > left and low > top]


def x_axis(svg: str, label: str, other: str) -> tuple[float, float]:
    """Where the tick `label` stands, and how far it is from there to the tick `other`."""
    axis = next(group for group in parsed(svg).iter("g") if group.attrib.get("id", "").endswith("matplotlib.axis_1"))
    places = {"".join(text.itertext()): float(text.attrib["x"]) for text in axis.iter("text")}
    return places[label], places[other] - places[label]


@pytest.mark.parametrize("svg", ALL.values(), ids=ALL)
def test_a_chart_is_one_element_that_describes_itself_and_asks_for_nothing(svg: str) -> None:
    root = parsed(svg)
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 30
    assert root.attrib["width"] == "100%"
    assert "http" not in svg
    assert "<style" not in svg  # it would hold for the whole page
    # Colours are the page's own, so that they follow it into the dark.
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", re.sub(r"var\(--\w+, #\w+\)", "var", svg))) <= {"var", "none"}
    assert min(map(float, re.findall(r"font-size: ([\d.]+)px", svg))) >= 8


def test_charts_are_the_same_every_time_and_share_no_ids() -> None:
    assert charts.waterfall(LOSSES) == ALL["waterfall"]
    assert charts.latency(MS) == ALL["latency"]
    ids = [name for svg in ALL.values() for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)) > 50
    for svg in ALL.values():
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)) != set()
        used = {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)}
        assert used <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_descriptions_and_labels_are_data_and_never_markup() -> None:
    with drawing():
        chart = Chart()
        chart.axes.set_xlabel("<b> & $x^2$")
        svg = chart.svg("evil", '"><script>alert(1)</script>')
    assert parsed(svg).attrib["aria-label"] == '"><script>alert(1)</script>'
    assert "<b> & $x^2$" in texts(svg)
    assert not list(parsed(svg).iter("script"))


def test_the_waterfall_steps_down_from_all_right_to_f1() -> None:
    svg = ALL["waterfall"]
    assert texts(svg)[-6:] == ["100.0", "−2.0", "−20.0", "0.0", "−8.0", "70.0"]
    assert {"all right", *LOSSES, "F1", "F1 (%)"} <= set(texts(svg))
    zero, unit = x_axis(svg, "0", "100")
    steps = [((left - zero) / unit, (right - zero) / unit) for left, right, _ in boxes(svg, "second")]
    assert steps == [pytest.approx(step, abs=1e-3) for step in [(0.98, 1.0), (0.78, 0.98), (0.7, 0.78)]]
    ends = [((left - zero) / unit, (right - zero) / unit) for left, right, _ in boxes(svg, "soft")]
    assert ends == [pytest.approx(step, abs=1e-3) for step in [(0.0, 1.0), (0.0, 0.7)]]
    assert "F1 70.0 %" in parsed(svg).attrib["aria-label"]


def test_a_waterfall_down_to_nothing_keeps_its_labels_on_the_page() -> None:
    svg = charts.waterfall({"reader missed": 1.0})
    width = float(parsed(svg).attrib["viewBox"].split()[2])
    assert all(0 <= float(text.attrib["x"]) <= width for text in parsed(svg).iter("text"))
    assert texts(svg)[-3:] == ["100.0", "−100.0", "0.0"]


def test_the_risk_curve_goes_through_its_points_and_marks_the_threshold_in_use() -> None:
    svg = ALL["risk"]
    zero, unit = x_axis(svg, "0", "100")
    [curve] = paths(svg, "stroke: var(--main")
    np.testing.assert_allclose((curve[:, 0] - zero) / unit, COVERAGE, atol=1e-3)
    heights = curve[0, 1] - curve[:, 1]
    np.testing.assert_allclose(heights / heights[-1], RISK / RISK[-1], atol=1e-3)
    assert texts(svg)[-2:] == ["in use: 50.0 % answered,", "10.0 % of them wrong"]
    assert {"coverage: questions answered (%)", "selective risk: wrong answers (%)"} <= set(texts(svg))
    assert "in use" not in charts.risk_coverage(COVERAGE, RISK, None)


def test_a_long_risk_curve_is_thinned_and_keeps_its_ends() -> None:
    n = 10_000
    coverage = np.arange(1, n + 1) / n
    svg = charts.risk_coverage(coverage, np.tile([0.2, 0.3], n // 2), None)
    assert len(svg) < 40_000
    zero, unit = x_axis(svg, "0", "100")
    [curve] = paths(svg, "stroke: var(--main")
    assert (curve[-1, 0] - zero) / unit == pytest.approx(1.0, abs=1e-3)
    assert (curve[0, 0] - zero) / unit == pytest.approx(0.0, abs=1e-3)


def test_reliability_bars_are_as_high_as_the_share_that_is_right() -> None:
    svg = ALL["reliability"]
    zero, unit = x_axis(svg, "0", "100")
    bars = [((left - zero) / unit, height) for left, _, height in boxes(svg, "soft")]
    # Bins: two of 0.1 and 0.15 (none right), two above 0.5 (one right), one at 0.9 (right).
    assert [left for left, _ in bars] == pytest.approx([0.5, 0.8], abs=1e-3)
    assert bars[0][1] / bars[1][1] == pytest.approx(0.5, abs=1e-3)
    assert texts(svg)[-5:] == ["1", "1", "2", "1", "questions in each bin"]
    assert "90 % sure, 100 % right of 1" in parsed(svg).attrib["aria-label"]


def test_success_by_k_says_what_is_found() -> None:
    svg = ALL["success"]
    assert {"k: passages looked at", "questions (%)", "success@k: a gold passage"} <= set(texts(svg))
    label = parsed(svg).attrib["aria-label"]
    assert "success@k: a gold passage, 60.0 % at 1, 90.0 % at 3" in label
    assert "answer recall@k: a gold text, 70.0 % at 1, 100.0 % at 3" in label
    alone = charts.success_by_k(np.array([0.5]), np.zeros(0))
    assert "answer recall" not in alone
    assert "50.0 % at 1" in alone


def test_latency_has_a_log_axis_and_the_percentiles_of_each_stage() -> None:
    svg = ALL["latency"]
    assert {"time of one question (ms, log axis)", "retrieve: p50 10 · p90 12 · p99 12 ms"} <= set(texts(svg))
    assert "read: p50 200 · p90 280 · p99 298 ms" in texts(svg)
    ten, decade = x_axis(svg, "10", "100")
    assert x_axis(svg, "10", "20")[1] / decade == pytest.approx(np.log10(2), abs=1e-3)
    # The solid line of the median of `read`, at 200 ms.
    median = paths(svg, "stroke: var(--main")[1][0, 0]
    assert (median - ten) / decade == pytest.approx(np.log10(200 / 10), abs=1e-3)


@pytest.mark.parametrize("times", [[5.0], [0.0, 0.0], [3.0] * 10, [0.01, 60_000.0]])
def test_latency_of_odd_times(times: list[float]) -> None:
    svg = charts.latency({"total_ms": np.array(times)})
    assert "total: p50" in svg
    assert "nan" not in svg.lower()


def test_groups_have_their_value_interval_and_size() -> None:
    svg = ALL["groups"]
    assert {"who", "why", "80.0", "n = 1,200", "0.0", "n = 1", "F1 (%); dashed: all questions, 60.0"} <= set(texts(svg))
    zero, unit = x_axis(svg, "0", "100")
    [(left, right, _)] = boxes(svg, "soft")  # that of "why" has no width
    assert ((left - zero) / unit, (right - zero) / unit) == pytest.approx((0.0, 0.8), abs=1e-3)
    whiskers = [sorted((path[:, 0] - zero) / unit) for path in paths(svg, "stroke: var(--ink")]
    assert pytest.approx([0.7, 0.95], abs=1e-3) in whiskers
