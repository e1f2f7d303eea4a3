"""What everybody can use, and what it weighs."""

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.api.serving import Server
from tests.e2e.parts import DESKTOP, DIRECTOR, HAMLET, shoot, tell

VIEWS = {
    "home": "/",
    "answer": f"/?q={DIRECTOR}",
    "refusal": f"/?q={HAMLET}",
    "filters": f"/?q={DIRECTOR}&after=2020-01-01",
    "bad-filters": f"/?q={DIRECTOR}&after=never",
    "too-long": "/?q=" + "x" * 1001,
    "articles": "/articles",
    "search": "/articles?q=earthquake",
    "article": "/articles/idlib-airstrike-2020-02-28#140-142",
    "removal": "/remove?id=idlib-airstrike-2020-02-28",
    "gone": "/articles/nowhere",
    "add": "/add",
}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious_in_light_and_dark(page: Page, view: str) -> None:
    page.goto(VIEWS[view])
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        found = Axe().run(page).response["violations"]
        assert [(each["impact"], each["id"], each["nodes"][0]["html"]) for each in found] == []
    if view in {"answer", "article", "refusal"}:
        page.reload()
        shoot(page, f"dark-{view}", whole=view != "article")


def test_axe_finds_nothing_serious_where_a_key_is_asked_for(browser: Browser, frail: tuple[Server, str]) -> None:
    context = browser.new_context(base_url=frail[0].url, viewport=DESKTOP)
    page = context.new_page()
    for path in ("/", "/login"):
        page.goto(path)
        assert Axe().run(page).response["violations"] == []
    context.close()


def test_what_a_page_weighs_and_how_soon_a_cold_browser_has_an_answer(
    browser: Browser, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    context = browser.new_context(base_url=server.url, viewport=DESKTOP)
    page = context.new_page()
    sizes: dict[str, int] = {}
    page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
    began = time.perf_counter()
    page.goto(f"/?q={DIRECTOR}")
    page.locator(".answer").wait_for()
    seconds = time.perf_counter() - began
    page.wait_for_load_state("networkidle")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    assert all(url.startswith(server.url) for url in sizes)
    assert sum(sizes.values()) < 80_000
    tell(capsys, f"answer page: {len(sizes)} requests, {sum(sizes.values())} bytes; first paint after {painted:.0f} ms")
    tell(capsys, f"cold browser: the answer is there {seconds * 1000:.0f} ms after it was sent to the address")
