"""Files that cannot be taken in: the error stands in the article's place, names the file, and nothing is raised."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index.articles import Article, read_file
from index.errors import ArticleError

Make = Callable[[str, str], Path]


def refusal(path: Path) -> str:
    (found,) = read_file(path)
    assert isinstance(found, ArticleError)
    assert str(found).startswith(str(path))
    return str(found)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("title: a: b", "front matter is not YAML"),
        ("- a\n- b", "front matter must be lines of 'name: value'"),
        ("title: [a]", "field 'title' must be text"),
        ("title: true", "field 'title' must be text"),
        ("published: 2020", "field 'published' is 2020"),
        ("title: &a x\nsource: *a", "front matter uses an alias"),
        ("a: &a [x]\nb: &b [*a, *a]\npublished: [*b, *b]", "front matter uses an alias"),
        ("published: soon", "field 'published' is 'soon'"),
        ("published: 2020-13-45", "front matter"),
        pytest.param("id: " + "1" * 5000, "front matter", id="huge number"),
        pytest.param("title: " + "[" * 5000, "front matter", id="deep nesting"),
    ],
)
def test_bad_front_matter_is_refused_with_the_file_and_the_field(make: Make, block: str, message: str) -> None:
    assert message in refusal(make("a.md", f"---\n{block}\n---\nBody"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 1: not a JSON object"),
        ('{"text": "x", "body": 1}', "line 1: unknown field 'body'"),
        ('{"id": "x"}', "line 1: field 'text' is missing"),
        ('{"text": null}', "field 'text'"),
        ('{"text": ["x"]}', "line 1: field 'text' must be text"),
        ('{"text": " "}', "line 1: field 'text' is empty"),
        ('{"text": "\\ud800"}', "line 1: field 'text' holds half of a surrogate pair"),
        ('{"text": "x", "published": 20200228}', "line 1: field 'published' is 20200228"),
        ('{"text": "x", "published": true}', "line 1: field 'published' is True"),
        ('{"text": "x", "id": ""}', "line 1: id ''"),
        pytest.param('{"text": "x", "id": ' + "1" * 5000 + "}", "line 1", id="huge number"),
        pytest.param("[" * 100_000, "line 1", id="deep nesting"),
    ],
)
def test_a_bad_json_line_is_refused_with_its_number_and_field(make: Make, line: str, message: str) -> None:
    assert message in refusal(make("a.jsonl", line))


@pytest.mark.parametrize("bad", ['{"id": ' + "1" * 5000 + "}", "[" * 100_000], ids=["huge number", "deep nesting"])
def test_no_bad_line_stops_the_lines_after_it(make: Make, bad: str) -> None:
    found = list(read_file(make("a.jsonl", f"{bad}\n" + '{"id": "b", "text": "B"}')))
    assert isinstance(found[0], ArticleError)
    assert found[1:] == [Article(article_id="b", text="B")]


def test_a_file_in_another_encoding_is_named_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Erdoğan".encode("iso-8859-9"))
    assert "not UTF-8 text (byte 4)" in refusal(path)


def test_a_file_that_went_away_and_an_empty_one_are_named(make: Make, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "gone.txt")
    assert "field 'text' is empty" in refusal(make("empty.txt", "\n"))


def test_an_empty_json_lines_file_holds_no_article(make: Make) -> None:
    assert list(read_file(make("a.jsonl", "\n \n"))) == []


@settings(max_examples=60)
@given(suffix=st.sampled_from([".txt", ".md", ".jsonl"]), data=st.binary(max_size=60))
def test_no_bytes_raise(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"any{suffix}"
    for content in (data, b"---\n" + data + b"\n---\nx", b'{"text": "x", "published": ' + data + b"}"):
        path.write_bytes(content)
        assert all(isinstance(found, Article | ArticleError) for found in read_file(path))


@given(
    st.dictionaries(
        st.sampled_from(["id", "title", "text", "url", "published", "source"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=1),
    )
)
@settings(max_examples=60)
@example({"text": None})
def test_no_json_record_raises(tmp_path: Path, record: dict[str, object]) -> None:
    path = tmp_path / "any.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert all(isinstance(found, Article | ArticleError) for found in read_file(path))
