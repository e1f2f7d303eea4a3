r"""Articles, and reading them from `.txt`, `.md` and `.jsonl` files.

Text is normalised here, once (NFC, `\n` line ends), and never changed afterwards: every offset in Quoth counts the
characters of this text.
"""

import codecs
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from index.errors import ArticleError

SUFFIXES = (".txt", ".md", ".jsonl")
MAX_ID_CHARS = 200
_SHOWN_CHARS = 100
"""Of a wrong value, in a message."""
_FIELDS = ("id", "title", "text", "url", "published", "source")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A news article as it is stored and quoted. Build it with `make_article`, which normalises and checks."""

    article_id: str
    text: str
    title: str = ""
    source: str = ""
    url: str = ""
    published: date | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the text in UTF-8, in hexadecimal: two articles with equal text have equal hashes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def normalise(text: str) -> str:
    r"""The text in NFC with `\n` line ends and without a byte-order mark."""
    return unicodedata.normalize("NFC", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def make_article(
    *, article_id: str, text: str, title: str = "", source: str = "", url: str = "", published: str | date | None = None
) -> Article:
    """An article from the fields of a file, a JSON record or a request.

    Raises:
        ArticleError: the id, the text or the date cannot be used; the message names the field.
    """
    if not article_id or article_id != article_id.strip() or len(article_id) > MAX_ID_CHARS:
        raise ArticleError(f"id {article_id[:50]!r}: give 1 to {MAX_ID_CHARS} characters without surrounding blanks")
    if any(part in {".", ".."} for part in article_id.split("/")) or re.search(r"[\x00-\x1f\x7f-\x9f]", article_id):
        raise ArticleError(
            f"id {article_id[:50]!r}: it stands in addresses; give no control characters, and no '.' or '..' by itself"
            " between slashes"
        )
    fields = {"id": article_id, "text": text, "title": title, "source": source, "url": url}
    for name, value in fields.items():
        if "\x00" in value:
            raise ArticleError(f"field {name!r} holds a NUL character: this is not text")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise ArticleError(
                f"field {name!r} holds half of a surrogate pair: the text was damaged before it came here"
            )
    text = normalise(text)
    if not text.strip():
        raise ArticleError("field 'text' is empty: there is nothing to quote")
    return Article(
        article_id=article_id,
        text=text,
        title=" ".join(normalise(title).split()),
        source=normalise(source).strip(),
        url=url.strip(),
        published=_parse_date(published),
    )


def find_files(paths: Iterable[Path]) -> tuple[list[Path], list[ArticleError]]:
    """The article files among and below `paths`, sorted, and an error for each path that cannot be one.

    Below a folder, hidden files and folders and files of other kinds are left out.
    """
    found: set[Path] = set()
    errors = []
    for path in paths:
        if path.is_dir():
            found.update(file for file in path.rglob("*") if _has_suffix(file) and _is_visible(file, path))
        elif not path.exists():
            errors.append(ArticleError(f"{path}: no such file or folder"))
        elif not _has_suffix(path):
            errors.append(
                ArticleError(f"{path}: articles are read from {', '.join(SUFFIXES)} files and folders of them")
            )
        else:
            found.add(path)
    return sorted(found), errors


def read_file(path: Path) -> Iterator[Article | ArticleError]:
    """Each article of a file, or, in its place, the error that kept it out; nothing is raised.

    A `.jsonl` file is read line by line: memory holds one article of it.
    """
    try:
        if path.suffix.lower() == ".jsonl":
            with path.open("rb") as lines:
                yield from _read_json_lines(path, lines)
        else:
            yield _read_document(path, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        yield ArticleError(f"{path}: not UTF-8 text (byte {error.start}); convert it first")
    except OSError as error:
        yield ArticleError(f"{path}: cannot be read: {error.strerror}")
    except ArticleError as error:
        yield ArticleError(f"{path}: {error}")


def path_id(path: Path) -> str:
    """The id of an article that names none: from the file's name and absolute path, so adding it again replaces it."""
    stem = re.sub(r"[^\w]+", "-", path.stem).strip("-").lower()[:60] or "article"
    return f"{stem}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:10]}"


def _has_suffix(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _is_visible(file: Path, root: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)


def _read_document(path: Path, text: str) -> Article:
    fields: dict[str, Any] = {}
    match = _FRONT_MATTER.match(text) if path.suffix.lower() == ".md" else None
    if match:
        fields = _front_matter(match[1])
        text = text[match.end() :].lstrip("\n")
    return _from_fields({"id": path_id(path), **fields, "text": text})


def _front_matter(block: str) -> dict[str, Any]:
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(block, Loader=yaml.SafeLoader)):
            # Aliases of aliases of aliases: 200 bytes can fill any memory.
            raise ArticleError("front matter uses an alias (*name): write the value out")
        fields = yaml.safe_load(block) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise ArticleError(f"front matter is not YAML (a value with a colon needs quotes): {problem}") from error
    if not isinstance(fields, dict):
        raise ArticleError("front matter must be lines of 'name: value'")
    # Other tools keep their own fields in front matter (tags, layout): those are theirs, not mistakes.
    return {name: value for name, value in fields.items() if name in _FIELDS and name != "text" and value is not None}


def _read_json_lines(path: Path, lines: Iterable[bytes]) -> Iterator[Article | ArticleError]:
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.strip() == codecs.BOM_UTF8:
            continue
        try:
            record = json.loads(line.decode("utf-8-sig"))
            if not isinstance(record, dict):
                raise ArticleError("not a JSON object")
            yield _from_fields({"id": f"{path_id(path)}-{number}", **_known(record)})
        except json.JSONDecodeError as error:
            yield ArticleError(f"{path}, line {number}: not JSON: {error.msg} at column {error.colno}")
        except UnicodeDecodeError as error:
            yield ArticleError(
                f"{path}, line {number}: not UTF-8 text (byte {error.start} of the line); convert it first"
            )
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets in brackets
            yield ArticleError(f"{path}, line {number}: not JSON that can be read: {error}")
        except ArticleError as error:
            yield ArticleError(f"{path}, line {number}: {error}")


def _known(record: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(record) - set(_FIELDS))
    if unknown:
        raise ArticleError(f"unknown field {unknown[0]!r}: the fields are {', '.join(_FIELDS)}")
    if record.get("text") is None:
        raise ArticleError("field 'text' is missing")
    return {name: value for name, value in record.items() if value is not None}


def _from_fields(fields: dict[str, Any]) -> Article:
    published = fields.pop("published", None)
    if not isinstance(published, str | date | None):
        raise ArticleError(f"field 'published' is {repr(published)[:_SHOWN_CHARS]}: give a date like 2020-02-28")
    for name, value in fields.items():
        if isinstance(value, bool | list | dict):
            raise ArticleError(f"field {name!r} must be text, not {repr(value)[:_SHOWN_CHARS]}")
    strings = {name: str(value) for name, value in fields.items()}
    return make_article(article_id=strings.pop("id"), published=published, **strings)


def _parse_date(value: str | date | None) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date) or value is None:
        return value
    try:
        return datetime.fromisoformat(value.strip()).date() if value.strip() else None
    except ValueError:
        raise ArticleError(f"field 'published' is {value!r}: give an ISO 8601 date like 2020-02-28") from None
