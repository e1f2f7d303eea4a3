"""Taking articles into a Library: splitting, embedding, and one transaction a batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from index.ahead import ahead
from index.articles import Article
from index.embedder import Embedder
from index.library import Library
from index.passages import CharSpan, Cl100kCounter, Limit, Splitter
from index.records import NewArticle, VectorSpace

PASSAGE_TOKENS = 150
OVERLAP_TOKENS = 40
"""cl100k tokens of a passage and of the overlap with the next."""
_BATCH_PASSAGES = 256
_READ_AHEAD = 64


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An article with its passages; none where it was stored unchanged when it was read."""

    article: Article
    spans: Sequence[CharSpan]


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

        Articles are read and split in a thread while others are embedded. Memory holds one batch and what is read
        ahead, however many come. So a stop loses no more than that, and the same articles given again go on from there.
        """
        batch: list[Prepared] = []
        for prepared in ahead(self._prepared(articles), _READ_AHEAD):
            article = prepared.article
            if any(article.article_id == other.article.article_id for other in batch):
                yield from self._store(batch)  # two versions of one article: the later one replaces the earlier
                batch = []
            if self._library.find(article.article_id) == article:
                yield TakenIn(article_id=article.article_id, status=Status.UNCHANGED, n_passages=0)
                continue
            batch.append(prepared if prepared.spans else self._split(article))
            if sum(len(each.spans) for each in batch) >= _BATCH_PASSAGES:
                yield from self._store(batch)
                batch = []
        if batch:
            yield from self._store(batch)

    def _prepared(self, articles: Iterable[Article]) -> Iterator[Prepared]:
        """Split what seems to be new; whether it is, is decided when its turn comes."""
        for article in articles:
            is_stored = self._library.find(article.article_id) == article
            yield Prepared(article=article, spans=[]) if is_stored else self._split(article)

    def _split(self, article: Article) -> Prepared:
        return Prepared(article=article, spans=self._splitter.split(article.text))

    def _store(self, batch: list[Prepared]) -> list[TakenIn]:
        titles = [each.article.title for each in batch for _ in each.spans]
        bodies = [span.of(each.article.text) for each in batch for span in each.spans]
        vectors = self._embedder.embed_passages(titles, bodies)
        ends = np.cumsum([len(each.spans) for each in batch])
        taken_in = [self._taken_in(each.article, len(each.spans)) for each in batch]
        self._library.put(
            [
                NewArticle(article=each.article, spans=each.spans, vectors=vectors[end - len(each.spans) : end])
                for each, end in zip(batch, ends, strict=True)
            ]
        )
        return taken_in

    def _taken_in(self, article: Article, n_passages: int) -> TakenIn:
        status = Status.REPLACED if self._library.find(article.article_id) else Status.ADDED
        return TakenIn(article_id=article.article_id, status=status, n_passages=n_passages)
