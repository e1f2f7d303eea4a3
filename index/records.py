"""What goes into a Library and comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from index.articles import Article
from index.passages import CharSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpace:
    """Which embedder made the vectors, by the SHA-256 of its weights, and how long they are."""

    embedder_sha256: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which articles to search: published before / on or after a date, of one source. The default keeps all."""

    before: date | None = None
    after: date | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArticle:
    """An article as it is now, and the SHA-256 of its text as it was stored."""

    article: Article
    sha256: str

    @property
    def is_intact(self) -> bool:
        """Whether the text is still the one that was stored."""
        return self.article.sha256 == self.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassage:
    """A passage as the Library holds it; `text == article.text[span.start:span.end]`."""

    key: int
    article_id: str
    title: str
    span: CharSpan
    text: str


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
class NewArticle:
    """An article with its passages and their vectors, `(n_passages, dimension)` float32."""

    article: Article
    spans: Sequence[CharSpan]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What came after a generation: keys removed, and keys and vectors added, up to `generation`."""

    generation: int
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    vectors: NDArray[np.float32]
