"""The kinds of vector index that are compared, and how each is built."""

import math
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
WAYS = {"memory": 0, "mapped": faiss.IO_FLAG_MMAP_IFC, "on disk": faiss.IO_FLAG_MMAP}
"""Ways to open a file: read it, map all of it, or map its lists alone, by FAISS's older code for lists on disk."""
LISTS_PER_ROOT = 4
TRAINED_ON_PER_LIST = 50
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of index: `factory` is FAISS's description with `{lists}` to fill in, `settings` what a search can set.

    `by_residual` says whether a vector is stored as its difference from the centre of its list.
    """

    name: str
    factory: str
    settings: tuple[str, ...] = ("",)
    by_residual: bool = True
    ways: tuple[str, ...] = ("memory", "mapped")

    @property
    def has_lists(self) -> bool:
        """Whether vectors lie in lists around trained centres."""
        return self.factory.startswith("IVF")


_PROBES = tuple(f"nprobe={n}" for n in (16, 32, 64, 96, 128))
_REFINED = tuple(f"nprobe={n},k_factor_rf=4" for n in (64, 96, 128))
_DEPTHS = tuple(f"efSearch={n}" for n in (64, 128, 256))
KINDS = (
    Kind(name="Flat", factory="Flat"),
    Kind(name="SQfp16", factory="SQfp16"),
    Kind(name="SQ8", factory="SQ8"),
    Kind(name="IVF,Flat", factory="IVF{lists},Flat", settings=_PROBES),
    Kind(name="IVF,SQ8", factory="IVF{lists},SQ8", settings=_PROBES, ways=tuple(WAYS)),
    Kind(name="IVF,SQ8-whole", factory="IVF{lists},SQ8", settings=_PROBES, by_residual=False),
    Kind(name="IVF,SQfp16", factory="IVF{lists},SQfp16", settings=_PROBES),
    Kind(name="IVF,PQ96x4fs,Refine(SQ8)", factory="IVF{lists},PQ96x4fs,Refine(SQ8)", settings=_REFINED),
    Kind(name="HNSW16", factory="HNSW16,Flat", settings=_DEPTHS),
    Kind(name="HNSW32", factory="HNSW32,Flat", settings=_DEPTHS),
    Kind(name="HNSW32_SQ8", factory="HNSW32_SQ8", settings=_DEPTHS),
)


def n_lists(n: int) -> int:
    """Lists for `n` vectors: a search that looks into a fixed number of them costs as the root of `n`."""
    return round(LISTS_PER_ROOT * math.sqrt(n))


def untrained(kind: Kind, n: int, dimension: int) -> Any:
    """An empty index for `n` vectors."""
    index = faiss.index_factory(dimension, kind.factory.format(lists=n_lists(n)), faiss.METRIC_INNER_PRODUCT)
    if kind.has_lists:
        lists = faiss.extract_index_ivf(index)
        lists.cp.max_points_per_centroid = TRAINED_ON_PER_LIST
        if not kind.by_residual:
            lists.by_residual = False
    return index


def train(index: Any, vectors: Vectors) -> None:
    """Train on as many random vectors as the lists need (10,000 where there are none); others are not trained."""
    n = len(vectors)
    wanted = TRAINED_ON_PER_LIST * n_lists(n)
    if not index.is_trained:
        rows = np.sort(np.random.default_rng(0).permutation(n)[:wanted])
        index.train(np.ascontiguousarray(vectors[rows]))


def add(index: Any, vectors: Vectors) -> None:
    """Add vectors in batches, so that a file mapped into memory is read as it goes."""
    for begin in range(0, len(vectors), _AT_ONCE):
        index.add(np.ascontiguousarray(vectors[begin : begin + _AT_ONCE]))


def set_search(index: Any, setting: str) -> None:
    """Set what a search depends on, as `nprobe=64`; nothing where it is empty."""
    space: Any = faiss.ParameterSpace()
    space.set_index_parameters(index, setting)
