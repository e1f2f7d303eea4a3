import re
from html.parser import HTMLParser

from eval.report import report
from eval.scores import score
from tests.eval.made import predicted

RIGHT = predicted("right", ["33"], [("33", 0.9)], passages_gold=[True], question_type="how many", split="tune")
PARTLY = predicted("partly", ["33"], [("at least 33", 0.8)], passages_gold=[True])
WRONG = predicted("wrong", ["Ankara", "in Ankara"], [("Istanbul", 0.71)], passages_gold=[True])
UNFOUND = predicted("unfound", ["Lima"], [("Quito", 0.55)], passages_gold=[False])
REFUSED = predicted("refused", ["Suez"], [("Panama", 0.12)], passages_gold=[True])
EMPTY = predicted("empty", ["Kiel"], [])
INVENTED = predicted("invented", [], [("Corinth", 0.95)])
SILENT = predicted("silent", [], [("Bonn", 0.1)])
ALL = [RIGHT, PARTLY, WRONG, UNFOUND, REFUSED, EMPTY, INVENTED, SILENT]


class Text(HTMLParser):
    """The words of a page, item by item."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)
        if tag in {"li", "td", "th", "title", "h1", "h2", "p"}:
            self.items.append("")

    def handle_data(self, data: str) -> None:
        if self.items:
            self.items[-1] += data


def parsed(page: str) -> Text:
    text = Text()
    text.feed(page)
    return text


def wrong_items(page: str) -> list[str]:
    return [" ".join(item.split()) for item in parsed(page[page.index("<ol>") :]).items]


def test_wrong_answers_are_listed_most_confident_first() -> None:
    page = report("dev", ALL, score(ALL, 0.5))
    assert "Wholly wrong, most confident first (5)" in page
    assert wrong_items(page) == [
        "invented?Corinth instead of no answerinvented, confidence 0.95.",
        "wrong?Istanbul instead of Ankara / in Ankarawrong, confidence 0.71.",
        "unfound?Quito instead of Limaunfound, confidence 0.55. The gold passage was not retrieved.",
        "refused?no answer instead of Suezrefused, confidence 0.12.",
        "empty?no answer instead of Kielempty, confidence –. The gold passage was not retrieved.",
    ]


def test_tables_hold_the_scores_with_their_intervals() -> None:
    scores = score(ALL, 0.5)
    page = report("dev", ALL, scores)
    em = scores.everything.values["em"]
    assert em is not None
    assert em.mean == 25.0
    items = parsed(page).items
    row = items.index("all")
    assert items[row + 1 : row + 3] == ["8", f"25.0{em.low:.1f} to {em.high:.1f}"]
    row = items.index("tune")
    assert items[row + 1 : row + 3] == ["1", "100.0100.0 to 100.0"]
    assert "–" in items[row + 3 : row + 12]  # no unanswerable question in this group
    assert "8 questions, answered at confidence ≥ 0.500." in page
    assert "By what makes them hard" not in page


EVIL = "<script>alert('x')</script>&\"<img src=x>"


def test_everything_that_comes_from_outside_is_escaped() -> None:
    evil = predicted(EVIL, ["<b>gold</b>"], [(EVIL, 0.9)], question_type=EVIL, hard=[EVIL], split=EVIL)
    page = report(EVIL, [evil], score([evil], 0.5))
    assert "<script" not in page
    assert "<img" not in page
    # title, heading, three groups, question, answer, id
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;&lt;img src=x&gt;") == 8
    assert "&lt;b&gt;gold&lt;/b&gt;" in page
    assert not {"script", "img", "b"} & set(parsed(page).tags)
    assert EVIL in parsed(page).items


def test_the_page_needs_no_network() -> None:
    page = report("dev", ALL, score(ALL, 0.5))
    assert not re.search(r"https?:|//|\bsrc=|\bhref=|@import|url\(|<link|<script|<iframe", page)
    assert page.startswith("<!doctype html>")


def test_an_empty_run_has_a_page() -> None:
    page = report("dev", [], score([], 0.5))
    assert "0 questions" in page
    assert wrong_items(page) == []
