"""Articles: what is taken in as it is, what is mended, and what is refused by name."""

import hashlib
import json
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given

from index.articles import Article, find_files, make_article, normalise, path_id, read_file
from index.errors import ArticleError
from tests.index.parts import difficult_texts

Make = Callable[[str, str], Path]


def only(path: Path) -> Article:
    (found,) = read_file(path)
    assert isinstance(found, Article), found
    return found


@given(difficult_texts())
@example("\r\r\n\n\r")
def test_normalised_text_is_nfc_with_plain_line_ends_and_stays_so(text: str) -> None:
    found = normalise("." + text)
    assert "\r" not in found
    assert unicodedata.is_normalized("NFC", found)
    assert normalise(found) == found
    slow = "\n".join(part for line in ("." + text).split("\r\n") for part in line.split("\r"))
    assert found == unicodedata.normalize("NFC", slow)


def test_a_byte_order_mark_is_dropped_at_the_start_only() -> None:
    assert normalise("\ufeffa\ufeffb") == "a\ufeffb"


def test_every_field_is_kept_as_it_should_be() -> None:
    article = make_article(
        article_id="a 1",
        text=" Zoe\u0308\r\n",
        title=" Two \n lines ",
        source=" AP ",
        url=" u ",
        published="2020-02-28",
    )
    wanted = Article(
        article_id="a 1", text=" Zoë\n", title="Two lines", source="AP", url="u", published=date(2020, 2, 28)
    )
    assert article == wanted
    assert article.sha256 == hashlib.sha256(" Zoë\n".encode()).hexdigest()


@pytest.mark.parametrize(
    ("given_date", "kept"),
    [
        ("2020-02-28T23:30:00-05:00", date(2020, 2, 28)),
        (" 2020-02-28 ", date(2020, 2, 28)),
        ("", None),
        (None, None),
        (datetime(2020, 2, 28, 9, 0), date(2020, 2, 28)),  # noqa: DTZ001
        (date(2020, 2, 28), date(2020, 2, 28)),
    ],
)
def test_dates_come_in_several_forms(given_date: str | date | None, kept: date | None) -> None:
    assert make_article(article_id="a", text="t", published=given_date).published == kept


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"article_id": ""}, "id ''"),
        ({"article_id": " a"}, "id ' a'"),
        ({"article_id": "a" * 201}, "1 to 200"),
        ({"text": " \n\u2003"}, "field 'text' is empty"),
        ({"text": "\ufeff"}, "field 'text' is empty"),
        ({"text": "a\x00"}, "field 'text' holds a NUL"),
        ({"title": "\ud83d"}, "field 'title' holds half of a surrogate pair"),
        ({"url": "\x00"}, "field 'url'"),
        ({"published": "28 February"}, "field 'published' is '28 February'"),
        ({"published": "2020-02-30"}, "field 'published' is '2020-02-30'"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ArticleError) as caught:
        make_article(**{"article_id": "a", "text": "t", **fields})
    assert message in str(caught.value)


def test_an_id_of_200_characters_is_taken() -> None:
    assert make_article(article_id="a" * 200, text="t").article_id == "a" * 200


def test_files_are_found_below_folders_once_sorted_and_without_hidden_ones(make: Make, tmp_path: Path) -> None:
    wanted = [make("in/a.md", "x"), make("in/b/c.jsonl", "x"), make("in/z.txt", "x")]
    for name in ("in/.hidden.txt", "in/.git/d.txt", "in/e.html"):
        make(name, "x")
    assert find_files([tmp_path / "in", wanted[0]]) == (wanted, [])


@pytest.mark.parametrize("name", ["missing.txt", "page.html"])
def test_a_path_that_cannot_be_read_is_named(make: Make, tmp_path: Path, name: str) -> None:
    make("page.html", "x")
    good = make("good.TXT", "x")
    files, (error,) = find_files([tmp_path / name, good])
    assert name in str(error)
    assert files == [good]


def test_a_text_file_is_its_text_and_its_path(make: Make) -> None:
    article = only(make("My Report (1).txt", "\ufeffA line.\r\nB.\r"))
    assert article.text == "A line.\nB.\n"
    assert article.article_id.startswith("my-report-1-")


def test_path_ids_differ_by_folder_and_not_by_spelling(make: Make, tmp_path: Path) -> None:
    one, other = make("x/a.txt", "1"), make("y/a.txt", "1")
    assert path_id(one) == path_id(tmp_path / "y" / ".." / "x" / "a.txt")
    assert path_id(one) != path_id(other)
    assert path_id(Path("…….txt")).startswith("article-")


def test_front_matter_gives_fields_and_the_rest_is_text(make: Make) -> None:
    head = "---\ntitle: 'A: b'\npublished: 2020-02-28\nid: 7\ntags: [x]\ntext: no\nsource:\n---\n\nBody\n---\nmore"
    article = only(make("a.md", head.replace("\n", "\r\n")))
    assert article == Article(article_id="7", text="Body\n---\nmore", title="A: b", published=date(2020, 2, 28))


def test_a_rule_later_in_markdown_is_text_and_text_files_have_no_front_matter(make: Make) -> None:
    assert only(make("a.md", "Hello\n---\nx: y\n---\n")).text == "Hello\n---\nx: y\n---\n"
    assert only(make("a.txt", "---\nid: x\n---\nHello")).text == "---\nid: x\n---\nHello"


def test_json_lines_are_read_one_by_one_and_a_bad_line_is_named_in_its_place(make: Make) -> None:
    records = [{"id": "a", "text": "A\u2028a", "published": "2021-03-24", "title": None}, {"text": "B"}]
    lines = [json.dumps(records[0], ensure_ascii=False), "", '{"text": ', json.dumps(records[1])]
    path = make("x.jsonl", "\r\n".join(lines))
    first, second, third = read_file(path)
    assert first == Article(article_id="a", text="A\u2028a", published=date(2021, 3, 24))
    assert isinstance(second, ArticleError)
    assert str(second).startswith(f"{path}, line 3: not JSON")
    assert third == Article(article_id=f"{path_id(path)}-4", text="B")
