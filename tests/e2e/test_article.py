"""The article: its marked place, what is selected, and articles that mean harm."""

import time
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from api.view_links import article_link
from index.articles import Article, make_article
from index.library import Library
from tests.api.serving import Server
from tests.e2e.parts import DOTS, HUGE, shoot, tell

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)><b>bold</b> **stars** [x](javascript:alert(1)) {{7*7}}"
HEBREW = "שלום 😀 world\u202e reversed"
ODD_IDS = ("a%2Fb", "%2e%2e", "a b?c#d", '"><script>alert(1)</script>', "🗞️ \u202edilbI", "a//b", "a/", "a\\b")


@pytest.fixture(scope="module")
def wizard(server: Server) -> Iterator[Article]:
    """An article with characters beyond 16 bits, marks that combine, and lines in two directions."""
    article = make_article(
        article_id="wizard",
        title=f"{EVIL} \u202eeltit",
        source=EVIL,
        url="javascript:alert(1)",
        published="2030-01-01",
        text=f"😀😀 The wizard Zoë\u0301 won 🏆 the prize of Riga.\n\n{EVIL}\n\n{HEBREW}\n \n\nEnd 🗞️.",
    )
    put(server, article)
    yield article
    httpx.delete(f"{server.url}/v1/articles/{article.article_id}").raise_for_status()


def put(server: Server, article: Article) -> None:
    fields = {
        "text": article.text,
        "title": article.title,
        "source": article.source,
        "url": article.url,
        "published": article.published and article.published.isoformat(),
    }
    url = f"{server.url}/v1/articles/{quote(article.article_id, safe='')}"
    httpx.put(url, json=fields, timeout=30).raise_for_status()


def marks(page: Page) -> list[str]:
    found: list[str] = page.locator("#text mark").evaluate_all("all => all.map(each => each.textContent)")
    return found


def open_at(page: Page, article: Article, place: str) -> None:
    page.goto("about:blank")
    page.goto(f"{article_link(article.article_id)}#{place}")


def test_a_permalink_counts_characters_and_not_units_of_sixteen_bits(page: Page, wizard: Article) -> None:
    for word in ("Zoë\u0301", "🏆", "prize", "world", "End 🗞️", "😀😀"):
        start = wizard.text.index(word)
        open_at(page, wizard, f"{start}-{start + len(word)}")
        assert marks(page) == [word]


def test_a_place_may_reach_over_paragraphs_and_is_clamped_to_the_text(page: Page, wizard: Article) -> None:
    first, _, _ = wizard.text.partition("\n\n")
    open_at(page, wizard, f"{len(first) - 5}-{len(first) + 10}")
    assert marks(page) == [first[-5:], EVIL[:8]]
    open_at(page, wizard, f"{len(wizard.text) - 2}-{10**9}")
    assert marks(page) == [wizard.text[-2:]]


@pytest.mark.parametrize("place", ["", "7", "7-", "9-7", "a-b", "-1-5", "1e3-1e4", "<img src=x onerror=alert(1)>"])
def test_what_is_no_place_marks_nothing(page: Page, wizard: Article, place: str) -> None:
    open_at(page, wizard, place)
    expect(page.locator("#text")).to_contain_text("The wizard")
    assert marks(page) == []
    expect(page.locator("#cite")).to_be_hidden()


def test_a_place_that_is_not_in_the_text_any_more_is_said(page: Page, wizard: Article) -> None:
    open_at(page, wizard, "90000-90010")
    expect(page.locator("#no-place")).to_be_visible()
    page.evaluate("location.hash = '#3-6'")
    expect(page.locator("#text mark")).to_have_text("The")
    expect(page.locator("#no-place")).to_be_hidden()
    page.evaluate("location.hash = '#7-13'")
    expect(page.locator("#text mark")).to_have_text("wizard")
    assert page.locator("#text p").first.text_content() == wizard.text.split("\n\n")[0]


def test_what_is_selected_can_be_cited(page: Page, wizard: Article) -> None:
    open_at(page, wizard, "")
    page.evaluate(
        """() => {
          const [first, second] = document.querySelectorAll('#text p');
          const words = first.firstChild;
          getSelection().setBaseAndExtent(words, words.data.indexOf(' won'), second.firstChild, 0);
        }"""
    )
    start, end = wizard.text.index("won"), wizard.text.index("\n\n")
    expect(page.locator("#cite-place")).to_have_text(f"characters {start}–{end}")
    page.get_by_role("button", name="Copy citation").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"“{wizard.text[start:end]}”\n")
    assert f"SHA-256 {wizard.sha256}" in copied
    page.goto("about:blank")
    page.goto(copied.splitlines()[-1])
    assert marks(page) == [wizard.text[start:end]]
    page.keyboard.press("Escape")
    expect(page.locator("#cite")).to_be_hidden()


def test_a_word_that_is_double_clicked_is_offered(page: Page, wizard: Article) -> None:
    open_at(page, wizard, "3-6")
    page.locator("#text mark").dblclick()
    expect(page.locator("#cite-place")).to_have_text("characters 3–6")
    expect(page.locator("#cite-quote")).to_have_text("“The”")


def test_hostile_articles_are_only_text_on_every_page(page: Page, wizard: Article) -> None:
    for path in (
        "/",
        "/articles",
        "/articles?q=wizard+prize",
        "/?q=Who+won+the+prize+of+Riga%3F",
        "/articles/wizard#3-6",
    ):
        page.goto(path)
        assert page.locator("main img, main script, main b, main style").count() == 0
        assert page.locator("main").inner_text().count("<script>alert(1)</script>") >= 1
        assert page.locator("a[href^=javascript]").count() == 0
    assert page.locator("h1").text_content() == wizard.title
    shown = page.locator("#text p").evaluate_all(
        "all => all.map(each => [Number(each.dataset.start), each.textContent])"
    )
    assert all(wizard.text[start : start + len(text)] == text for start, text in shown)
    shoot(page, "hostile")


def test_every_id_can_be_reached_by_its_link(page: Page, server: Server) -> None:
    articles = [
        make_article(article_id=each, title=f"Odd {n}", text="Odd.", published="2030-01-02")
        for n, each in enumerate(ODD_IDS)
    ]
    for article in articles:
        put(server, article)
    for article in [*articles, DOTS]:
        page.goto("/articles?after=2030-01-02")
        page.get_by_role("link", name=article.title, exact=True).click()
        expect(page.locator("h1")).to_have_text(article.title)
        assert page.locator(".colophon code").first.text_content() == article.article_id
        assert page.locator("input[name=id]").input_value() == article.article_id
        if article in articles:
            page.get_by_text("Remove this article…").click()
            page.get_by_role("button", name="Remove it").click()
            expect(page.get_by_text("The article was removed.")).to_be_visible()


def test_five_megabytes_can_be_read_and_marked(
    page: Page, library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(HUGE.text) > 5_000_000
    start = len(HUGE.text) - 1000
    began = time.perf_counter()
    open_at(page, HUGE, f"{start}-{start + 8}")
    expect(page.locator("#text mark")).to_be_in_viewport()
    took = time.perf_counter() - began
    assert marks(page) == [HUGE.text[start : start + 8]]
    assert library.get("huge").text == HUGE.text
    tell(capsys, f"5 MB article: its marked end is on the screen after {took:.1f} s")
