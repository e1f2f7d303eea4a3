import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from eval.metrics import METRICS
from eval.outcomes import outcomes
from eval.report import MAX_LISTED, report
from eval.run_folder import PassageInText, PredictedQuestion, RunFacts
from eval.scored_run import ScoredRun
from eval.scores import Scores, latency, score
from tests.eval.made_report import ALL, INVENTED, PASSAGES, PLACES, RIGHT, asked

VOID = {"meta", "input", "br", "hr", "img", "link"}
EVIL = """<script>alert("x")</script>&'<img src=x onerror=alert(1)>"""


class Page(HTMLParser):
    """The elements of a page: their attributes, the words in them, and whether all were closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        self.words.setdefault(tag, []).append("")
        if tag in {"td", "th"}:
            self.words["tr"][-1] += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.words[tag][-1] += data

    def texts(self, tag: str) -> list[str]:
        return [" ".join(words.split()) for words in self.words.get(tag, [])]

    def attributes(self, tag: str, name: str) -> list[str]:
        return [attributes[name] or "" for found, attributes in self.elements if found == tag and name in attributes]


def data(predicted: list[PredictedQuestion], min_confidence: float = 0.5, name: str = "dev") -> ScoredRun:
    settings = {"min_confidence": min_confidence, "seed": 7}
    document = {"dataset": {"name": "dev.jsonl"}, "settings": settings}
    times = np.linspace(10, 20, len(predicted))
    timings = {"retrieve_ms": times / 5, "read_ms": times, "total_ms": times * 1.2}
    return ScoredRun(
        name=name,
        facts=RunFacts(dataset="dev.jsonl", min_confidence=min_confidence, settings=settings, document=document),
        predicted=predicted,
        scores=score(predicted, min_confidence),
        passages=PASSAGES,
        timings=timings,
        outcomes=outcomes(predicted, min_confidence),
        latency=latency(timings),
    )


@pytest.fixture(scope="module")
def run() -> ScoredRun:
    return data(ALL)


@pytest.fixture(scope="module")
def page(run: ScoredRun) -> str:
    return report(run)


def test_the_headline_has_values_with_their_intervals(run: ScoredRun, page: str) -> None:
    parsed = Page(page)
    f1 = run.scores.everything.values["f1"]
    assert f1.value == pytest.approx((1 + 0.5 + 1) / 9, abs=1e-6)  # right, partly, silent
    assert parsed.texts("dt")[:2] == ["F1", "EM"]
    assert parsed.texts("dd")[0] == f"27.8 {100 * f1.low:.1f} to {100 * f1.high:.1f}"
    assert parsed.texts("p")[1] == (
        "9 questions of dev.jsonl, 7 of which have an answer in the archive. Answered at a confidence of 0.500 or more."
        " Numbers are in %, with 95 % bootstrap intervals, unless they say otherwise."
    )


def test_every_metric_that_counts_is_in_the_table_with_its_meaning(run: ScoredRun, page: str) -> None:
    rows = Page(page).texts("tr")
    assert "recall@100" not in run.scores.everything.values
    for metric in METRICS:
        found = [row for row in rows if row.startswith(f"{metric.name} ")]
        estimate = run.scores.everything.values.get(metric.name)
        if estimate is None:
            assert found == []
            continue
        [row] = found
        assert row.startswith(f"{metric.name} {100 * estimate.value:.1f} ")
        assert f" {estimate.n} {metric.meaning}" in row
        assert row.endswith("(lower is better)") != metric.higher_is_better


def test_the_loss_adds_up_to_what_is_lacking(page: str) -> None:
    parsed = Page(page)
    rows = [row for row in parsed.texts("tr") if row.startswith(("retrieval missed", "reader missed", "wrongly"))]
    numbers = [re.findall(r"\d+\.\d|\d+$", row)[:2] for row in rows[:4]]
    assert numbers == [["11.1", "1"], ["38.9", "4"], ["11.1", "1"], ["11.1", "1"]]
    assert "in all 72.2" in parsed.texts("tr")
    assert "Most is lost where the reader had a gold passage and missed the answer: 38.9 of 72.2 points of F1." in page


def test_seven_charts_of_a_run_with_answers(page: str) -> None:
    parsed = Page(page)
    assert parsed.attributes("svg", "role") == ["img"] * 7
    ids = [value for _, attributes in parsed.elements if (value := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    links = [href.removeprefix("#") for href in parsed.attributes("a", "href")]
    assert links
    assert set(links) <= set(ids)


def test_wrong_answers_are_listed_in_two_lists_most_confident_first(page: str) -> None:
    parsed = Page(page)
    assert "Wholly wrong (6)" in parsed.texts("h3")
    assert "Partly right (1)" in parsed.texts("h3")
    assert [float(value) for value in parsed.attributes("li", "data-confidence")] == [
        0.95, 0.71, 0.6, 0.55, 0.12, 0.0, 0.8
    ]  # fmt: skip
    summaries = parsed.texts("summary")
    assert summaries[0] == (
        "What of invented? given Ever Given gold no answer"
        " 0.95 confidence · F1 0.0 · wrongly answered: the archive holds no answer"
    )
    assert summaries[4].startswith("What of refused? given no answer gold Sunday held back Sunday 0.12 confidence")
    assert "wrong partly" in parsed.attributes("section", "class")


def test_passages_show_their_text_with_both_spans_marked(page: str) -> None:
    assert '<mark class="given ">Quito</mark> did so a week before' in page
    assert "tugs.</p>" in page
    assert '<mark class="given gold">33</mark> soldiers' in page
    # Text as it is, without blanks of the template around it.
    assert '<p class="text">Lima went to the polls' in page
    assert "Not among those read" in page
    assert "Number 2 of those read" in page


def test_everything_from_outside_is_text_and_never_markup() -> None:
    evil = asked(
        EVIL, [EVIL, "Suez Canal"], ("Cairo", "suez", 0.9), gold_in=["suez"], question=EVIL, question_type=EVIL
    )
    other = asked("other", ["Lima"], ("Cairo", "suez", 0.4), gold_in=["lima"], question_type="plain")
    run = data([evil, other], name=EVIL)
    facts = replace(run.facts, dataset=EVIL, document={EVIL: {"x": EVIL}})
    passages = {
        **PASSAGES,
        PLACES["suez"]: PassageInText(place=PLACES["suez"], title=EVIL, text=PASSAGES[PLACES["suez"]].text + EVIL),
    }
    page = report(replace(run, facts=facts, passages=passages))
    parsed = Page(page)
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("script") == 1  # our own
    assert "img" not in tags
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert EVIL not in page
    assert parsed.texts("h1") == [EVIL]
    assert parsed.texts("title") == [f"Quoth: {EVIL}"]
    assert EVIL in parsed.texts("h4")
    assert any(text.endswith(EVIL) for text in parsed.texts("p"))
    assert f"{EVIL} · x" in parsed.texts("th")
    # Name twice, dataset, group, question, gold, id, run.json's name and value; the title and the passage twice.
    assert page.count("&lt;script&gt;") == 13


def test_the_page_needs_nothing_else(page: str) -> None:
    assert page.lstrip().startswith("<!doctype html>")
    assert not re.search(r"https?:|//[a-z]|\bsrc=|@import|url\((?!#)|<link|<iframe|fetch\(|XMLHttpRequest", page)
    assert all(href.startswith("#") for _, a in Page(page).elements if (href := a.get("href")) is not None)


def test_the_list_reads_without_the_script(page: str) -> None:
    controls = next(attributes for tag, attributes in Page(page).elements if tag == "form")
    assert "hidden" in controls  # shown by the script, which does nothing else that matters
    without = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert len(Page(without).texts("li")) == 7
    assert not re.search(r"<li[^>]* hidden", page)


def test_the_same_run_gives_the_same_bytes(run: ScoredRun, page: str) -> None:
    assert report(run) == page
    assert not re.search(r"20\d\d-\d\d-\d\dT", page)


def test_wide_tables_scroll_in_a_box_of_their_own(page: str) -> None:
    before = [
        page[: match.start()].rstrip()[-80:] for match in re.finditer(r'<table class="(?:metrics|groups|narrow)"', page)
    ]
    assert len(before) >= 2
    assert all('<div class="scroll"' in html or "aria-label=" in html for html in before)


def test_a_long_list_is_cut_and_says_so() -> None:
    wrong = [asked(f"q{i:03}", [], ("Lima", "lima", 0.5 + i / 2000), read=["lima"]) for i in range(MAX_LISTED + 3)]
    page = report(data(wrong))
    parsed = Page(page)
    assert len(parsed.texts("li")) == MAX_LISTED
    assert f"Wholly wrong ({MAX_LISTED + 3})" in parsed.texts("h3")
    assert (
        f"The {MAX_LISTED} most confident are listed; 3 were left out. All are in predictions.jsonl."
        in parsed.texts("p")
    )
    assert parsed.attributes("li", "data-confidence")[0] == "0.751"
    assert "What of q003?" in page
    assert "What of q002?" not in page


def test_an_answer_that_is_not_where_it_says_raises_the_alarm(page: str) -> None:
    broken = report(data([replace(INVENTED, citation_valid=False), RIGHT]))
    assert "This run does not count" in broken
    assert "This run does not count" not in page


def test_a_run_for_retrieval_alone_has_no_answers_to_show() -> None:
    ranked = [asked("found", gold_in=["suez"]), asked("unfound", gold_in=["idlib"])]
    page = report(data(ranked))
    parsed = Page(page)
    assert parsed.texts("dt") == ["success@1", "success@5", "success@10"]
    assert len(parsed.attributes("svg", "role")) == 2
    assert "A gold passage comes first for 50.0 % of the questions" in page
    assert not {"loss", "wrong"} & set(parsed.attributes("section", "id"))
    assert "script" not in parsed.words
    assert parsed.texts("p")[1].startswith("2 questions of dev.jsonl. Numbers")


def test_a_run_without_a_fault_has_empty_lists() -> None:
    page = report(data([RIGHT]))
    assert "Nothing was lost." in page
    assert Page(page).texts("li") == []
    assert "Wholly wrong (0)" in page


def test_groups_are_shown_where_there_is_something_to_tell_apart(run: ScoredRun) -> None:
    f1 = run.scores.everything.values["f1"]
    grouped = replace(
        run,
        scores=replace(
            run.scores,
            by_split={"tune": Scores(n=4, values={"f1": f1}), "report": Scores(n=5, values={})},
        ),
    )
    parsed = Page(report(grouped))
    assert "By split" in parsed.texts("h3")
    [tune] = [row for row in parsed.texts("tr") if row.startswith("tune")]
    assert "27.8" in tune
    [other] = [row for row in parsed.texts("tr") if row.startswith("report")]
    assert json.dumps(re.findall(r"[\d.]+|–", other)[:3], ensure_ascii=False) == '["5", "–", "–"]'
    assert "By type" not in parsed.texts("h3")
