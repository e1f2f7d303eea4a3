"""What the tests of the page share: questions, odd articles, and a page that is watched."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Dialog, Page, ViewportSize

from index.articles import Article, make_article

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "runs" / "e2e"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
DIRECTOR = "Who is the communications director of President Erdogan?"
AGROUND = "When did the Ever Forward run aground?"
HAMLET = "Who wrote Hamlet?"
HUGE = make_article(article_id="huge", title="A huge article", text="Nothing 😀 happened here, for long. " * 150_000)
DOTS = Article(
    article_id="a/../b", title="An id of an older Library", text="Ids could have dots.", published=date(2030, 1, 2)
)
"""What `make_article` refuses today stands in Libraries that were made before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A page, and what went wrong in it: script errors, dialogs, and what the policy of the page kept out."""

    page: Page
    problems: list[str] = field(default_factory=list)


def watch(page: Page) -> Watched:
    """The page with its problems listened to. A failed request is none: those are looked at where they are made."""
    watched = Watched(page=page)

    def on_dialog(dialog: Dialog) -> None:
        watched.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def on_console(said: ConsoleMessage) -> None:
        if said.type == "error" and "Failed to load resource" not in said.text:
            watched.problems.append(said.text)

    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: watched.problems.append(f"error: {error}"))
    page.on("dialog", on_dialog)
    page.on("console", on_console)
    return watched


def shoot(page: Page, name: str, *, whole: bool = True) -> None:
    """Keep a picture in `runs/e2e`."""
    page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)


def tell(capsys: pytest.CaptureFixture[str], figure: str) -> None:
    """Say a measured figure, whatever pytest captures."""
    with capsys.disabled():
        print(f"\n{figure}")  # noqa: T201
