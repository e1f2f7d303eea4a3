"""Articles that come through the page: pasted, or as files of the kinds that `quoth add` reads."""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from api.guards import MAX_BODY_BYTES
from index.articles import SUFFIXES, Article, make_article, path_id, read_file
from index.errors import ArticleError

_COPY_BYTES = 1 << 20
_SLUG_CHARS = 60
_TOO_LONG = f"an article here has at most {MAX_BODY_BYTES} bytes; quoth add takes longer ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of one article: `status` is "added", "replaced", "unchanged" or "refused", then with a message."""

    name: str
    status: str
    article_id: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasteForm:
    """An article as it was typed in."""

    text: str = ""
    title: str = ""
    source: str = ""
    url: str = ""
    published: str = ""

    @property
    def article(self) -> Article:
        """The article. Its id is made of all that was typed: pasting it twice stores it once, and nothing is replaced.

        Raises:
            ArticleError: a field cannot be used; the message names it.
        """
        article = make_article(
            article_id="pasted",
            text=self.text,
            title=self.title,
            source=self.source,
            url=self.url,
            published=self.published,
        )
        slug = _slug(article.title or " ".join(article.text[:400].split()[:8]))
        fields = (article.text, article.title, article.source, article.url, str(article.published))
        digest = hashlib.sha256("\0".join(fields).encode()).hexdigest()
        return replace(article, article_id=f"{slug}-{digest[:10]}")


def articles_in(name: str, file: BinaryIO) -> Iterator[Article | ArticleError]:
    """Each article of an uploaded file, or, in its place, the error that kept it out; nothing is raised.

    The id of an article that names none is made from the file's name, so that the same file again replaces it.
    """
    name = file_name(name)
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        yield ArticleError(f"{name}: articles are read from {', '.join(SUFFIXES)} files")
        return
    with tempfile.TemporaryDirectory(prefix="quoth-") as folder:
        path = Path(folder) / f"upload{suffix}"
        with path.open("wb") as copy:
            while block := file.read(_COPY_BYTES):
                copy.write(block)
        if suffix != ".jsonl" and path.stat().st_size > MAX_BODY_BYTES:
            yield ArticleError(f"{name}: {_TOO_LONG}")
            return
        for found in read_file(path):
            is_short = isinstance(found, ArticleError) or len(found.text) <= MAX_BODY_BYTES
            yield _under_its_name(found, path, name) if is_short else ArticleError(f"{name}: {_TOO_LONG}")


def file_name(given: str) -> str:
    """The last part of a name that a browser sent, without what cannot be printed."""
    last = re.split(r"[/\\]", given)[-1]
    return "".join(char for char in last if char.isprintable())[-150:].strip() or "file"


def _under_its_name(found: Article | ArticleError, path: Path, name: str) -> Article | ArticleError:
    if isinstance(found, ArticleError):
        return ArticleError(str(found).replace(str(path), name))
    made = path_id(path)
    if not found.article_id.startswith(made):
        return found
    digest = hashlib.sha256(name.encode()).hexdigest()
    return replace(found, article_id=f"{_slug(Path(name).stem)}-{digest[:10]}{found.article_id.removeprefix(made)}")


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text).strip("-").lower()[:_SLUG_CHARS].strip("-") or "article"
