"""What goes into a Library and comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from index.articles import Article
from index.passages import CharSpan
from index.seals import article_seal

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
"""In English, as the articles are: `strftime` would follow the locale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """Which embedder made the vectors, by the SHA-256 of its weights, and how long they are."""

    embedder_sha256: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment in the history of one Library: after how many writes, and the random stamp of the last of them.

    Generations of two Libraries, or of one and of the copy that it was restored from, can be equal; stamps are not.
    """

    generation: int = 0
    stamp: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which articles to search: published before / on or after a date, of one source. The default keeps all."""

    before: date | None = None
    after: date | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArticle:
    """An article as it is now, and the SHA-256 of its text and its seal as they were stored."""

    article: Article
    sha256: str
    seal: str

    @property
    def is_intact(self) -> bool:
        """Whether the text and every other field are still those that were stored."""
        return self.article.sha256 == self.sha256 and article_seal(self.article) == self.seal


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassage:
    """A passage as the Library holds it; `text == article.text[span.start:span.end]`."""

    key: int
    article_id: str
    title: str
    span: CharSpan
    text: str
    source: str = ""
    published: date | None = None

    @property
    def heading(self) -> str:
        """What stands above it: its title and, in a line of its own, its month."""
        return f"{self.title}\n{self.month}"

    @property
    def month(self) -> str:
        """When it was published, as a question may say it ("February 2020"); empty for an undated article.

        Not the day: an event is rarely of the day it is reported on (docs/adr/0021).
        """
        return f"{MONTHS[self.published.month - 1]} {self.published.year}" if self.published else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleSummary:
    """A line of the list of articles."""

    article_id: str
    title: str
    source: str
    url: str
    published: date | None
    n_chars: int
    n_passages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlace:
    """A place in the list of articles, newest first: that of the article with this date and id, there or not."""

    published: date | None
    article_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArticle:
    """An article with its passages and their vectors, `(n_passages, dimension)` float32."""

    article: Article
    spans: Sequence[CharSpan]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What came after a moment, up to `moment`: keys of passages removed, and of passages added that still exist."""

    moment: Moment
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
