"""Adding articles: pasted, chosen, dropped."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.parts import shoot

FIRE = "---\nid: spire\ntitle: The spire\nsource: The Test\n---\nThe spire of Quothminster fell at dusk."


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    contents = {
        "spire.md": FIRE,
        "lines.jsonl": '{"id": "line-1", "text": "A comet passed Riga."}\nnot json\n',
        "paper.pdf": "%PDF",
        "note.txt": "A note <b>about</b> nothing.",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return [tmp_path / name for name in contents]


def results(page: Page) -> list[str]:
    found: list[str] = page.locator("#result-list li").evaluate_all(
        "all => all.map(each => each.innerText.replace(/\\s+/g, ' ').trim())"
    )
    return found


def test_files_go_one_after_another_and_say_what_became_of_them(page: Page, files: list[Path]) -> None:
    page.goto("/add")
    page.get_by_label("Choose files").set_input_files(files)
    page.get_by_role("button", name="Add files").click()
    expect(page.locator("#summary")).to_have_text("3 added, 2 refused.")
    assert results(page) == [
        "added The spire",
        "refused lines.jsonl, line 2 Not JSON: Expecting value at column 1.",
        "added lines.jsonl",
        "refused paper.pdf Articles are read from .txt, .md, .jsonl files.",
        "added note.txt",
    ]
    shoot(page, "add")
    page.get_by_label("Choose files").set_input_files(files)
    page.get_by_role("button", name="Add files").click()
    expect(page.locator("#summary")).to_have_text("3 unchanged, 2 refused.")
    page.get_by_role("link", name="The spire").click()
    expect(page.locator("#text")).to_have_text("The spire of Quothminster fell at dusk.")


def test_files_can_be_dropped_on_the_page(page: Page) -> None:
    page.goto("/add")
    page.evaluate(
        """() => {
          const dropped = new DataTransfer();
          dropped.items.add(new File(["A drop of news in Riga."], "drop.txt", { type: "text/plain" }));
          const how = { dataTransfer: dropped, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent("drop", how));
        }"""
    )
    expect(page.get_by_role("button", name="Add files")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("1 added.")
    assert results(page) == ["added drop.txt"]


def test_a_pasted_article_is_found_by_a_question_at_once(page: Page) -> None:
    page.goto("/add")
    page.get_by_label("Title").fill("Lighthouse keeper named")
    page.get_by_label("Source").fill("Harbour News")
    page.get_by_label("Published").fill("2024-05-06")
    text = "Aurelia Quillfeather was named keeper of the Skerrymoor lighthouse on Monday."
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Add article").click()
    expect(page.locator("#summary")).to_have_text("1 added.")
    expect(page.get_by_label("Text", exact=True)).to_have_value("")
    page.goto("/?q=Who was named keeper of the Skerrymoor lighthouse?&source=Harbour News")
    expect(page.locator(".answer")).to_have_text("Aurelia Quillfeather")
    expect(page.locator(".reply .facts")).to_have_text("Harbour News · 6 May 2024")


def test_what_cannot_be_pasted_stays_in_the_box(page: Page) -> None:
    page.goto("/add")
    page.get_by_label("Title").fill("Blank")
    page.get_by_label("Text", exact=True).fill("   ")
    page.get_by_role("button", name="Add article").click()
    expect(page.locator("#summary")).to_have_text("1 refused.")
    assert results(page) == ["refused Blank Field 'text' is empty: there is nothing to quote."]
    expect(page.get_by_label("Title")).to_have_value("Blank")
