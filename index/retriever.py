"""Ranked passages for a question: found by dense and lexical search, ordered by meaning and by words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from index.base import Vectors
from index.copies import distinct
from index.derived import DerivedIndexes
from index.embedder import Embedder
from index.fusion import best_first, fuse, normalised, weight
from index.library import Library
from index.overlap import QuestionWords
from index.records import Filters, StoredPassage

DEPTH = 50
"""Passages taken from each index."""
N_WEIGHED = 40
"""Of those, passages that are weighed; weighing all gains nothing more (docs/adr/0010)."""
DENSE_WEIGHT = 0.5
"""The share of nearness of meaning in what a passage weighs; the rest is that of words (docs/adr/0010)."""
_DEEPER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedPassage:
    """A passage with its retrieval score in [0, 1], higher is better: 1 is the best and 0 the worst that was weighed.

    `also_in` are near-identical passages of other articles, which take no place of their own in the ranking.
    """

    passage: StoredPassage
    retrieval_score: float
    also_in: Sequence[StoredPassage] = ()


class Retriever(Protocol):
    """Anything that finds passages for a question."""

    def retrieve(self, question: str, k: int, filters: Filters) -> list[RetrievedPassage]:
        """The `k` best passages, best first."""
        ...


class HybridRetriever:
    """Dense and lexical search over one Library; what they find is ordered by cosine and by the question's words."""

    def __init__(
        self, library: Library, derived: DerivedIndexes, embedder: Embedder, *, dense_weight: float = DENSE_WEIGHT
    ) -> None:
        """`dense_weight` in [0, 1]: in the order of what is found, 0 is words alone, 1 is the cosine alone."""
        self._library = library
        self._derived = derived
        self._embedder = embedder
        self._dense_weight = dense_weight

    def retrieve(self, question: str, k: int, filters: Filters = Filters()) -> list[RetrievedPassage]:  # noqa: B008 (frozen)
        """The `k` best passages of the Library as it is now, best first; fewer only where no more pass the filters."""
        if not self._derived.is_followed:
            self._derived.refresh()
        if k < 1:
            return []
        vector = self._embedder.embed_question(question)
        depth, is_all, stored = max(k, DEPTH), False, dict[int, StoredPassage]()
        while len(stored) < k and not is_all:
            rankings = self._derived.search(question, vector, depth, filters)
            is_all = all(len(ranking) < depth for ranking in rankings)
            stored = self._candidates(rankings, max(k, N_WEIGHED))
            depth *= _DEEPER  # copies, or passages that were removed meanwhile, took the places of others
        best = self._weighed(question, vector, stored)[:k]
        copies = self._library.copies([key for key, _ in best], filters)
        return [
            RetrievedPassage(passage=stored[key], retrieval_score=score, also_in=copies.get(key, ()))
            for key, score in best
        ]

    def _candidates(self, rankings: Sequence[Sequence[tuple[int, float]]], n: int) -> dict[int, StoredPassage]:
        """At least `n` passages worth weighing, if there are so many; of near-identical ones one.

        The Library has the last word: a passage that it no longer holds is no result, whatever an index says.
        """
        fused, n_seen = fuse(rankings), 0
        found: dict[int, StoredPassage] = {}
        families: dict[int, int] = {}
        while len(found) < n and n_seen < len(fused):
            families |= self._library.families([key for key, _ in fused[n_seen : n_seen + n]])
            n_seen += n
            keys = [key for key, _ in distinct(fused[:n_seen], families)]
            found |= self._library.passages([key for key in keys if key not in found])
        return found

    def _weighed(self, question: str, vector: Vectors, stored: dict[int, StoredPassage]) -> list[tuple[int, float]]:
        """Keys and retrieval scores, best first."""
        # Not the indexes' cosines: a passage found by its words has none, and a large index rounds them.
        keys, vectors = self._library.vectors(np.array(list(stored), dtype=np.int64))
        words = QuestionWords(question, self._derived.lexical.rarity)
        weights: dict[int, float] = {}
        for key, cosine in zip(keys.tolist(), (vectors @ vector).tolist(), strict=True):
            overlap = words.overlap(stored[key].heading, stored[key].text)
            weights[key] = weight(cosine, overlap.score, self._dense_weight)
        return best_first(normalised(weights))
