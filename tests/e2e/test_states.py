"""What is not an answer: no key, nothing there, slow, busy, lost."""

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.serving import Server
from tests.e2e.parts import DESKTOP, DIRECTOR, shoot, watch


@pytest.fixture
def frail_page(browser: Browser, frail: tuple[Server, str]) -> Iterator[Page]:
    context = browser.new_context(base_url=frail[0].url, viewport=DESKTOP, color_scheme="light")
    watched = watch(context.new_page())
    yield watched.page
    assert watched.problems == []
    context.close()


def log_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Let me in").click()


def test_a_key_is_asked_for_and_leads_back_to_an_empty_archive(frail_page: Page, frail: tuple[Server, str]) -> None:
    server, key = frail
    frail_page.goto("/articles?source=x")
    expect(frail_page.locator("h1")).to_have_text("A key, please")
    shoot(frail_page, "key")
    log_in(frail_page, "quoth_1_2")
    expect(frail_page.locator("#key-wrong")).to_contain_text("not known")
    log_in(frail_page, key)
    expect(frail_page).to_have_url(f"{server.url}/articles?source=x")
    expect(frail_page.get_by_role("heading", name="The archive is empty")).to_be_visible()
    assert frail_page.evaluate("document.cookie") == ""  # out of reach of scripts
    frail_page.goto("/")
    expect(frail_page.get_by_text("quoth add articles/")).to_be_visible()
    shoot(frail_page, "empty")
    frail_page.get_by_role("button", name="Log out").click()
    expect(frail_page).to_have_url(f"{server.url}/login")


def test_a_busy_server_is_asked_again_three_times(frail_page: Page, frail: tuple[Server, str]) -> None:
    frail_page.goto("/login")
    log_in(frail_page, frail[1])
    expect(frail_page.locator("#q")).to_be_visible()
    frail_page.clock.install()
    statuses: list[int] = []
    frail_page.on("response", lambda response: statuses.append(response.status) if "?q=" in response.url else None)
    frail_page.locator("#q").fill(DIRECTOR)
    frail_page.get_by_role("button", name="Ask", exact=True).click()
    for attempt in (1, 2, 3):
        expect(frail_page.locator("#state")).to_contain_text(f"Trying again in 1 s ({attempt} of 3)")
        expect(frail_page.locator("#q")).to_have_value(DIRECTOR)
        if attempt == 1:
            shoot(frail_page, "busy", whole=False)
        frail_page.clock.run_for(1000)
    expect(frail_page.locator("h1")).to_have_text("This took too long")
    expect(frail_page.get_by_role("link", name="Try again")).to_be_visible()
    expect(frail_page.locator("#q")).to_have_value(DIRECTOR)
    assert statuses == [503] * 4
    shoot(frail_page, "too-busy")


def test_a_shared_link_to_a_busy_server_tries_again_by_itself(frail_page: Page, frail: tuple[Server, str]) -> None:
    frail_page.goto("/login")
    log_in(frail_page, frail[1])
    expect(frail_page.locator("#q")).to_be_visible()
    frail_page.goto("/?q=Who%3F")
    expect(frail_page.locator("#state")).to_contain_text("(1 of 3)")


@pytest.mark.parametrize("has_scripts", [True, False])
def test_a_newsroom_without_https_can_log_in_add_and_copy(
    browser: Browser, frail: tuple[Server, str], *, has_scripts: bool
) -> None:
    server, key = frail
    base = f"http://newsroom.test:{server.port}"
    context = browser.new_context(base_url=base, java_script_enabled=has_scripts)
    page = context.new_page()
    page.goto("/add")
    log_in(page, key)
    page.get_by_label("Title").fill("Without https")
    page.get_by_label("Text", exact=True).fill("Browsers have no clipboard for such pages.")
    page.get_by_role("button", name="Add article").click()
    expect(page.locator("#result-list")).to_contain_text("Without https")
    if has_scripts:
        page.get_by_role("link", name="Without https").click()
        page.goto(f"{page.url}#0-8")
        page.get_by_role("button", name="Copy citation").click()
        expect(page.locator("#said")).to_have_text("Copied")
    page.goto("/articles")
    page.get_by_role("link", name="Without https").click()
    page.get_by_text("Remove this article…").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("The article was removed.")).to_be_visible()
    context.close()


def test_a_slow_answer_says_that_it_is_being_read(page: Page, server: Server) -> None:
    page.goto("/")
    page.clock.install()
    page.locator("#q").fill(DIRECTOR)
    server.process.send_signal(signal.SIGSTOP)
    try:
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator("#state")).to_have_text("")
        page.clock.run_for(450)
        expect(page.locator("#state")).to_have_text("Reading the archive…")
        assert page.locator("main").get_attribute("aria-busy") == "true"
        shoot(page, "slow", whole=False)
        page.clock.run_for(4000)
        expect(page.locator("#state")).to_contain_text("Still reading")
    finally:
        server.process.send_signal(signal.SIGCONT)
    expect(page.locator("h1.question")).to_have_text(DIRECTOR)
    assert page.locator("main").get_attribute("aria-busy") is None


def test_a_lost_server_keeps_the_question_and_can_be_tried_again(frail_page: Page, frail: tuple[Server, str]) -> None:
    server, key = frail
    frail_page.goto("/login")
    log_in(frail_page, key)
    expect(frail_page.locator("#q")).to_be_visible()
    server.process.kill()
    server.process.wait()
    frail_page.locator("#q").fill(DIRECTOR)
    frail_page.keyboard.press("Enter")
    expect(frail_page.locator("#state")).to_contain_text("Quoth cannot be reached. Your question is still here.")
    expect(frail_page.locator("#q")).to_have_value(DIRECTOR)
    shoot(frail_page, "lost", whole=False)
    server.__enter__()
    frail_page.get_by_role("button", name="Retry").click()
    expect(frail_page.locator("#state")).to_contain_text("Trying again")
