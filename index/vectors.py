"""The dense index: passage vectors in FAISS.

A base lies in a file that never changes (index/base.py), and what came after it lies in memory: exact, small, and read
from the Library by each process. So adding an article writes no index at all, and a search never waits for one.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import faiss
import numpy as np

from index.base import Base, Keys, ReadVectors, Vectors
from index.records import Changes, Moment

MOST_BESIDE = 4096
"""Passages that may lie beside a base, or be dead in it, before the two are merged; a twentieth of a large base."""
MOST_OF_ALL_BESIDE = 20_000
"""Passages of which no more lie in memory, however large the base: comparing so many takes a millisecond."""
_SHARE_BESIDE = 0.05
_LISTS_SEARCHED = 96


class KeySet:
    """Passage keys as bits, for a search to choose among."""

    def __init__(self, keys: Keys) -> None:
        self.n = len(keys)
        self.keys = keys
        mask = np.zeros(int(keys.max()) + 1 if self.n else 0, dtype=bool)
        mask[keys] = True
        self.bits = np.packbits(mask, bitorder="little")

    @property
    def selector(self) -> Any:
        """For FAISS; it points into `bits`, which must outlive it."""
        selector: Any = faiss.IDSelectorBitmap  # its stubs lack the Python form
        return selector(self.bits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseIndex:
    """Nearest passages by inner product of unit vectors: cosines in [-1, 1], higher is better.

    It never changes: catching up makes another. So threads search it without a lock. `moment` names the state of the
    Library that it covers.
    """

    dimension: int
    base: Base | None
    moment: Moment
    keys_beside: Keys
    vectors_beside: Vectors
    beside: Any
    dead: KeySet

    @classmethod
    def of(cls, dimension: int, base: Base | None = None) -> "DenseIndex":
        """The index of a base alone, or an empty one."""
        return cls(
            dimension=dimension,
            base=base,
            moment=base.moment if base else Moment(),
            keys_beside=np.empty(0, dtype=np.int64),
            vectors_beside=np.empty((0, dimension), dtype=np.float32),
            beside=None,
            dead=KeySet(np.empty(0, dtype=np.int64)),
        )

    def __len__(self) -> int:
        return (self.base.n if self.base else 0) - self.dead.n + len(self.keys_beside)

    @property
    def needs_merging(self) -> bool:
        """Whether so much has come since the base was made that searching it is slower than it need be."""
        n_base = self.base.n if self.base else 0
        most = max(MOST_BESIDE, min(_SHARE_BESIDE * n_base, MOST_OF_ALL_BESIDE))
        return len(self.keys_beside) + self.dead.n > most

    @property
    def is_approximate(self) -> bool:
        """Whether a search looks at a part of the passages."""
        return self.base is not None and isinstance(self.base.index, faiss.IndexIVF)

    def caught_up(self, changes: Changes, read: ReadVectors) -> "DenseIndex":
        """The index after the changes that came since its moment."""
        stays = ~np.isin(self.keys_beside, changes.removed)
        added, vectors = read(changes.added)
        keys = np.concatenate([self.keys_beside[stays], added])
        vectors = np.concatenate([self.vectors_beside[stays], vectors])
        last_key = self.base.last_key if self.base else 0
        dead = np.concatenate([self.dead.keys, changes.removed[changes.removed <= last_key]])
        beside = None
        if len(keys):
            beside = faiss.IndexIDMap2(faiss.IndexFlatIP(self.dimension))
            beside.add_with_ids(vectors, keys)
        return replace(
            self,
            moment=changes.moment,
            keys_beside=keys,
            vectors_beside=vectors,
            beside=beside,
            dead=KeySet(np.unique(dead)),
        )

    def search(self, vector: Vectors, k: int, allowed: KeySet | None = None) -> list[tuple[int, float]]:
        """The `k` nearest passages as (key, cosine), best first, equal ones by key; only `allowed` ones if given."""
        if k < 1 or (allowed is not None and not allowed.n):
            return []
        faiss.omp_set_num_threads(1)  # of this thread: questions side by side use the cores
        hits = self._search_base(vector, k, allowed) + self._search_beside(vector, k, allowed)
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def keys(self) -> Keys:
        """The keys of all passages held, `(n,)` int64, ascending."""
        held = self.base.keys() if self.base else np.empty(0, dtype=np.int64)
        return np.union1d(np.setdiff1d(held, self.dead.keys), self.keys_beside)

    def _search_base(self, vector: Vectors, k: int, allowed: KeySet | None) -> list[tuple[int, float]]:
        if self.base is None or not self.base.n:
            return []
        index, selector = self.base.index, None
        if allowed is not None:
            selector = allowed.selector
        elif self.dead.n:
            dead = self.dead.selector  # kept in a name: the selector that negates it does not own it
            selector = faiss.IDSelectorNot(dead)
        if not self.is_approximate:
            return _hits(index, vector, k, selector)
        n_lists = _n_lists(index.nlist, len(self), allowed)
        found = _hits(index, vector, k, selector, n_lists)
        if len(found) < k and n_lists < index.nlist:
            found = _hits(index, vector, k, selector, index.nlist)
        return found

    def _search_beside(self, vector: Vectors, k: int, allowed: KeySet | None) -> list[tuple[int, float]]:
        if self.beside is None:
            return []
        selector = allowed.selector if allowed is not None else None
        return _hits(self.beside, vector, k, selector)


def _n_lists(n_lists: int, n_passages: int, allowed: KeySet | None) -> int:
    """How many lists to search: more of them the fewer passages a filter leaves in each.

    In proportion: of a million passages, a filter that goes with the subject leaves recall@10 at 0.98 to 0.99 however
    few it lets pass; with the root of the share it fell to 0.85 (docs/adr/0011).
    """
    share = 1.0 if allowed is None else min(1.0, allowed.n / max(n_passages, 1))
    return min(n_lists, math.ceil(_LISTS_SEARCHED / share))


def _hits(index: Any, vector: Vectors, k: int, selector: Any, n_lists: int | None = None) -> list[tuple[int, float]]:
    """What FAISS finds; `n_lists` where the index has lists."""
    parameters: Any = faiss.SearchParameters() if n_lists is None else faiss.SearchParametersIVF()
    parameters.sel = selector
    if n_lists is not None:
        parameters.nprobe = n_lists
    scores, keys = index.search(vector[None, :], min(k, index.ntotal), params=parameters)
    return [(int(key), float(score)) for key, score in zip(keys[0], scores[0], strict=True) if key >= 0]
