"""Taking articles into a Library: splitting, embedding, and one transaction a batch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from index.articles import Article
from index.embedder import Embedder
from index.library import Library
from index.passages import CharSpan, Cl100kCounter, Limit, Splitter
from index.records import NewArticle, VectorSpace

PASSAGE_TOKENS = 200
OVERLAP_TOKENS = 40
"""cl100k tokens of a passage and of the overlap with the next."""
_BATCH_PASSAGES = 256


class Status(StrEnum):
    """What taking in did with an article."""

    ADDED = "added"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """An article that is stored: when this is seen, the transaction that holds it is on the disk."""

    article_id: str
    status: Status
    n_passages: int


def space_of(embedder: Embedder) -> VectorSpace:
    """The space that an embedder's vectors live in: what a Library for them is created with."""
    return VectorSpace(embedder_sha256=embedder.info.weights_sha256, dimension=embedder.info.dimension)


class Intake:
    """Splits, embeds and stores articles."""

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        *,
        passage_tokens: int = PASSAGE_TOKENS,
        overlap_tokens: int = OVERLAP_TOKENS,
    ) -> None:
        """Passages have at most `passage_tokens` cl100k tokens, and never more than the embedder reads."""
        self._library = library
        self._embedder = embedder
        limits = [
            Limit(counter=Cl100kCounter(), max_tokens=passage_tokens),
            Limit(counter=embedder, max_tokens=embedder.max_passage_tokens),
        ]
        self._splitter = Splitter(limits, overlap_tokens=overlap_tokens)

    def take_in(self, articles: Iterable[Article]) -> Iterator[TakenIn]:
        """Store each article and say what was done, once it is safe; what is already stored unchanged is not embedded.

        Memory holds one batch of articles, however many come.
        """
        batch: list[tuple[Article, list[CharSpan]]] = []
        for article in articles:
            if any(article.article_id == other.article_id for other, _ in batch):
                yield from self._store(batch)  # two versions of one article: the later one replaces the earlier
                batch = []
            if self._library.find(article.article_id) == article:
                yield TakenIn(article_id=article.article_id, status=Status.UNCHANGED, n_passages=0)
                continue
            batch.append((article, self._splitter.split(article.text)))
            if sum(len(spans) for _, spans in batch) >= _BATCH_PASSAGES:
                yield from self._store(batch)
                batch = []
        if batch:
            yield from self._store(batch)

    def _store(self, batch: list[tuple[Article, list[CharSpan]]]) -> list[TakenIn]:
        titles = [article.title for article, spans in batch for _ in spans]
        bodies = [span.of(article.text) for article, spans in batch for span in spans]
        vectors = self._embedder.embed_passages(titles, bodies)
        ends = np.cumsum([len(spans) for _, spans in batch])
        taken_in = [self._taken_in(article, len(spans)) for article, spans in batch]
        self._library.put(
            [
                NewArticle(article=article, spans=spans, vectors=vectors[end - len(spans) : end])
                for (article, spans), end in zip(batch, ends, strict=True)
            ]
        )
        return taken_in

    def _taken_in(self, article: Article, n_passages: int) -> TakenIn:
        status = Status.REPLACED if self._library.find(article.article_id) else Status.ADDED
        return TakenIn(article_id=article.article_id, status=status, n_passages=n_passages)
