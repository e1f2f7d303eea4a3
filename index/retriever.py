"""Ranked passages for a question: dense and lexical search, fused by score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from index.derived import DerivedIndexes
from index.embedder import Embedder
from index.library import Library
from index.records import Filters, StoredPassage

DEPTH = 50
"""Passages taken from each index before fusion."""
DENSE_WEIGHT = 0.5
"""The dense share of the fused score: the best of 0, 0.1, ... 1 on held-out questions (docs/adr/0003)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedPassage:
    """A passage with its retrieval score in [0, 1], higher is better; 1 is best of both indexes.

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
    """Dense and lexical search over one Library, fused by a convex combination of normalised scores."""

    def __init__(
        self, library: Library, derived: DerivedIndexes, embedder: Embedder, *, dense_weight: float = DENSE_WEIGHT
    ) -> None:
        """`dense_weight` in [0, 1]: 0 is lexical search alone, 1 is dense search alone."""
        self._library = library
        self._derived = derived
        self._embedder = embedder
        self._dense_weight = dense_weight

    def retrieve(self, question: str, k: int, filters: Filters = Filters()) -> list[RetrievedPassage]:  # noqa: B008 (frozen)
        """The `k` best passages of the Library as it is now, best first."""
        if not self._derived.is_followed:
            self._derived.refresh()
        depth = max(k, DEPTH)
        vector = self._embedder.embed_question(question)
        rankings = self._derived.search(question, vector, depth, filters)
        fused = fuse(rankings, [self._dense_weight, 1 - self._dense_weight])
        # The Library has the last word: a passage that it no longer holds is no result, whatever an index says.
        stored = self._library.passages([key for key, _ in fused])
        found = [RetrievedPassage(passage=stored[key], retrieval_score=score) for key, score in fused if key in stored]
        return found[:k]


def fuse(rankings: Sequence[Sequence[tuple[int, float]]], weights: Sequence[float]) -> list[tuple[int, float]]:
    """The weighted mean of the rankings' scores, each first mapped to [0, 1]; best first, equal scores by key.

    In each ranking the best score becomes 1 and the worst becomes 0 (all equal: 1); what a ranking lacks counts 0.
    Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", 2023: a convex combination of min-max scores
    beats reciprocal rank fusion; ours agrees (docs/adr/0003).
    """
    total = sum(weights)
    fused: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for key, score in _normalised(dict(ranking)).items():
            fused[key] = fused.get(key, 0.0) + weight / total * score
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))


def _normalised(scores: Mapping[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}
