import re
from html import unescape
from html.parser import HTMLParser

import pytest

from eval.bootstrap import Estimate
from eval.differences import Verdict
from eval.sweep import Point, SettingSweep
from eval.sweep_page import sweep_page

EVIL = """<script>alert("x")</script>&'<img src=x onerror=alert(1)>"""
VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Fails where an element is closed out of order, or not at all."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.ids: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.05, high=value + 0.05, n=200)


def point(value: float, score: float, change: float | None, verdict: Verdict | None, **scores: float) -> Point:
    """A point with this `best_f1`; the shipped one has no change."""
    return Point(
        value=value,
        is_shipped=change is None,
        scores={name: estimate(fraction) for name, fraction in {"best_f1": score, "f1": score, **scores}.items()},
        change=None if change is None else estimate(change),
        verdict=verdict,
        total_ms=61.4,
    )


def passages(*others: Point) -> SettingSweep:
    shipped = point(10, 0.6, None, None, **{"success@5": 0.9})
    return SettingSweep(setting="passages", decides="best_f1", points=(*others, shipped))


UNCLEAR = point(3, 0.62, 0.02, Verdict.UNCLEAR, **{"success@5": 0.8})
WORSE = point(1, 0.4, -0.2, Verdict.WORSE, **{"success@5": 0.5})
BETTER = point(5, 0.8, 0.2, Verdict.BETTER, **{"success@5": 0.85})
THRESHOLDS = SettingSweep(
    setting="min_confidence",
    decides="f1",
    points=(
        point(0.32, 0.6, None, None, answered=0.7, precision=0.8),
        point(0.9, 0.3, -0.3, Verdict.WORSE, answered=0.0),
    ),
)


@pytest.fixture(scope="module")
def page() -> str:
    return sweep_page("dev.jsonl", 12_345, [passages(WORSE, UNCLEAR), THRESHOLDS])


def rows(page: str) -> list[list[str]]:
    """The words of every row of every table."""
    found = re.findall(r"<tr>(.*?)</tr>", page, flags=re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in found]
    return [[" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in row] for row in cells]


def test_each_value_has_a_row_with_its_scores_in_percent(page: str) -> None:
    found = rows(page)
    assert found[:4] == [
        ["value", "best_f1 against shipped", "best_f1", "f1", "success@5", "ms"],
        ["1", "-20.0 (-25.0 to -15.0) worse", "40.0", "40.0", "50.0", "61"],
        ["3", "+2.0 (-3.0 to +7.0)", "62.0", "62.0", "80.0", "61"],
        ["10", "shipped", "60.0", "60.0", "90.0", "61"],
    ]
    assert found[4:7] == [
        ["value", "f1 against shipped", "f1", "answered", "precision", "ms"],
        ["0.32", "shipped", "60.0", "70.0", "80.0", "61"],
        ["0.9", "-30.0 (-35.0 to -25.0) worse", "30.0", "0.0", "–", "61"],
    ]
    explained = dict(found[7:])
    assert list(explained) == ["best_f1", "f1", "success@5", "answered", "precision", "ms"]
    assert explained["success@5"] == "a gold passage is among the first 5"
    assert "12,345 questions" in page
    assert "<h2>Confidence from which Quoth answers</h2>" in page


def captions(*others: Point) -> list[str]:
    found = re.findall(r"<figcaption>(.*?)</figcaption>", sweep_page("x", 9, [passages(*others)]), flags=re.DOTALL)
    return [caption.strip() for caption in found]


def test_the_caption_says_whether_chance_explains_a_lead() -> None:
    assert captions(WORSE) == ["No value scores higher than what is shipped."]
    assert captions(UNCLEAR) == ["3 scores highest; chance explains its lead over what is shipped."]
    assert captions(UNCLEAR, BETTER) == ["Better than what is shipped by more than chance explains: 5."]


def test_every_setting_has_a_chart_that_is_read_aloud(page: str) -> None:
    assert re.findall(r'<svg role="img" aria-label="([^"]*)"', page) == [
        "best_f1 in % by passages read for a question. 1: 40.0, 3: 62.0, 10: 60.0.",
        "f1 in % by confidence from which Quoth answers. 0.32: 60.0, 0.9: 30.0.",
    ]
    assert all(words in page for words in ("shipped: 10", "shipped: 0.32", ">success@5<", ">answered<"))


def test_a_setting_with_the_shipped_value_alone_and_no_success_to_draw() -> None:
    alone = SettingSweep(setting="dense_weight", decides="best_f1", points=(point(0.5, 0.6, None, None),))
    page = sweep_page("nq.jsonl", 1, [alone])
    Balanced(page)
    assert rows(page)[1] == ["0.5", "shipped", "60.0", "60.0", "61"]
    assert "success@5" not in page


def test_the_name_is_text_and_never_markup() -> None:
    page = sweep_page(EVIL, 1, [passages()])
    Balanced(page)
    assert EVIL not in page
    assert page.count("&lt;script&gt;") == 2
    assert "<script" not in page


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    assert page.startswith("<!doctype html>")
    ids = Balanced(page).ids
    assert len(ids) == len(set(ids)) > 0
    assert not re.search(r"https?:|//[a-z]|\bsrc=|@import|url\((?!#)|<link|<script|<iframe", page)


def test_wide_tables_scroll_in_a_box_of_their_own(page: str) -> None:
    assert page.count('<div class="scroll"><table class="groups">') == 2


def test_the_same_sweep_gives_the_same_bytes(page: str) -> None:
    assert sweep_page("dev.jsonl", 12_345, [passages(WORSE, UNCLEAR), THRESHOLDS]) == page
