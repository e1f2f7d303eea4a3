"""Asking, and coming back to what was asked."""

import re

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from index.library import Library
from tests.api.serving import Server
from tests.e2e.parts import AGROUND, DESKTOP, DIRECTOR, HAMLET, PHONE, shoot


def ask(page: Page, question: str) -> None:
    page.locator("#q").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("h1.question")).to_have_text(question)


def test_an_answer_is_marked_in_its_sentence_and_leads_to_its_place(
    page: Page, server: Server, library: Library
) -> None:
    page.goto("/")
    ask(page, DIRECTOR)
    document = httpx.post(f"{server.url}/v1/ask", json={"question": DIRECTOR}).json()
    citation = document["answer"]["citation"]

    expect(page.locator(".answer")).to_have_text(citation["quote"])
    expect(page.locator(".reply mark")).to_have_text(citation["quote"])
    expect(page.locator(".reply blockquote")).to_have_text(citation["sentence"]["text"])
    expect(page.locator(".confidence")).to_have_text(re.compile(r"(likely|Likely|Uncertain).* · \d+\s%"))
    expect(page).to_have_title(re.compile(f"^{citation['quote']} · Who is the"))
    shoot(page, "answer")
    page.locator(".reply cite a").click()
    expect(page).to_have_url(f"{server.url}/articles/{citation['article_id']}#{citation['start']}-{citation['end']}")
    expect(page.locator("#text mark")).to_have_text(citation["quote"])
    expect(page.locator("#text mark")).to_be_in_viewport()
    expect(page.locator("#text mark")).to_be_focused()
    text = library.get(citation["article_id"]).text
    assert text[citation["start"] : citation["end"]] == page.locator("#text mark").inner_text()
    shoot(page, "article", whole=False)


def test_rivals_say_why_they_lost_and_passages_what_they_scored(page: Page) -> None:
    page.goto(f"/?q={DIRECTOR}")
    page.get_by_text("Other candidates").click()
    expect(page.locator(".why").first).to_contain_text("sure, where the answer is")
    page.get_by_text("Passages that were read").click()
    expect(page.locator(".passages > li")).to_have_count(10)
    expect(page.locator(".badge").first).to_have_text("holds the answer")
    expect(page.locator(".score").first).to_have_text("retrieval score 1.00")
    shoot(page, "answer-unfolded")


def test_what_is_not_there_is_said(page: Page) -> None:
    page.goto("/")
    ask(page, HAMLET)
    expect(page.locator(".answer")).to_have_text("The archive holds no answer that is sure enough.")
    expect(page.locator(".passages")).to_be_visible()
    shoot(page, "refusal")


def test_back_and_forward_show_what_was_asked_without_asking_again(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "?q=" in request.url else None)
    page.goto("/")
    ask(page, DIRECTOR)
    first = page.locator(".answer").inner_text()
    ask(page, HAMLET)
    page.go_back()
    expect(page.locator(".answer")).to_have_text(first)
    expect(page.locator("#q")).to_have_value(DIRECTOR)
    expect(page).to_have_title(re.compile("^" + re.escape(first)))
    page.go_back()
    expect(page.locator("h1")).to_have_text("What do the articles say?")
    page.go_forward()
    page.go_forward()
    expect(page.locator("#q")).to_have_value(HAMLET)
    assert len(asked) == 2
    assert page.url.startswith(f"{server.url}/?q=")
    page.reload()  # the address alone is enough: it can be shared
    expect(page.locator("h1.question")).to_have_text(HAMLET)


def test_coming_back_from_an_article_shows_the_answer(page: Page) -> None:
    page.goto("/")
    ask(page, DIRECTOR)
    page.locator(".reply cite a").click()
    expect(page.locator("#text mark")).to_be_visible()
    page.go_back()
    expect(page.locator("h1.question")).to_have_text(DIRECTOR)


def test_filters_narrow_what_is_read_and_stay_open(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Filters").click()
    page.get_by_label("Published on or after").fill("2022-01-01")
    page.get_by_label("and before").fill("2023-01-01")
    ask(page, AGROUND)
    expect(page.get_by_label("Published on or after")).to_be_visible()
    dates = page.locator(".passages time").evaluate_all("all => all.map(each => each.dateTime)")
    assert dates
    assert all("2022-01-01" <= each < "2023-01-01" for each in dates)
    assert "after=2022-01-01" in page.url
    assert "source" not in page.url  # what is empty is not in the address
    shoot(page, "filters")


def test_a_question_that_is_too_long_stays_in_the_box(page: Page) -> None:
    page.goto("/")
    page.locator("#q").fill("x" * 1001)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#q-wrong")).to_contain_text("at most 1000 are read")
    expect(page.locator("#q")).to_have_value("x" * 1001)


def test_a_citation_is_copied_by_keyboard_alone(page: Page, server: Server) -> None:
    page.goto("/")
    page.locator("h1").click()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type(DIRECTOR)
    page.keyboard.press("Enter")
    expect(page.locator("h1.question")).to_be_focused()
    tab_to(page, "Copy citation")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    quote = page.locator(".answer").inner_text()
    assert copied[0] == f"“{quote}”"
    assert copied[1] == f"In: “{page.locator('.reply blockquote').inner_text()}”"
    assert copied[-1].startswith(f"{server.url}/articles/")
    assert page.evaluate("document.activeElement.textContent") == "Copy citation"
    page.goto(copied[-1])
    expect(page.locator("#text mark")).to_have_text(quote)
    tab_to(page, "Remove this article…")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()


def tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            return
    pytest.fail(f"Tab does not lead to {name!r}")


def test_the_first_tab_skips_to_the_content(page: Page) -> None:
    page.goto("/articles")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_it_works_without_scripts(browser: Browser, server: Server) -> None:
    context = browser.new_context(base_url=server.url, viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.locator("#q").fill(DIRECTOR)
    page.get_by_role("button", name="Ask", exact=True).click()
    quote = page.locator(".answer").inner_text()
    expect(page.get_by_role("button", name="Copy citation")).to_have_count(0)
    page.get_by_role("link", name="Open the article").click()
    expect(page.locator("#text mark")).to_have_text(quote)
    expect(page.locator("#text mark")).to_be_in_viewport()
    page.goto("/add")
    page.get_by_label("Title").fill("Without scripts")
    page.get_by_label("Text", exact=True).fill("A snail won the Riga steeplechase.")
    page.get_by_role("button", name="Add article").click()
    page.get_by_role("link", name="Without scripts").click()
    expect(page.locator("#text")).to_contain_text("A snail won")
    page.get_by_text("Remove this article…").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("The article was removed.")).to_be_visible()
    context.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/?q={DIRECTOR}",
        f"/?q={HAMLET}&after=2000-01-01",
        "/articles",
        "/articles?q=earthquake",
        "/add",
        "/articles/x",
        "/articles/idlib-airstrike-2020-02-28#140-142",
    ],
)
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, server: Server, path: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=PHONE, device_scale_factor=2, color_scheme="light")
    page = context.new_page()
    page.goto(path)
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = false; })")
    if path == f"/?q={DIRECTOR}":
        shoot(page, "phone")
    if "#" in path:
        shoot(page, "phone-article", whole=False)
    context.close()
