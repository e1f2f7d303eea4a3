"""The file of the dense index: a FAISS index that is made once, mapped into memory, and never changed.

Small archives are compared whole. Past `EXACT_UP_TO` passages the vectors lie in lists around trained centres, eight
bits a number, and a question looks into the nearest lists (docs/adr/0011 has the table that chose this).
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from index.errors import DamagedIndexError
from index.files import crc32_of, read_sealed, switch_to, write_sealed
from index.records import Changes, Moment

EXACT_UP_TO = 30_000
"""Passages up to which every vector is compared; beyond it, those of the lists nearest to the question."""
_LISTS_PER_ROOT = 4
_TRAINED_ON_PER_LIST = 50
_AT_ONCE = 10_000
_FORMAT = 2
Keys = NDArray[np.int64]
Vectors = NDArray[np.float32]
ReadVectors = Callable[[Keys], tuple[Keys, Vectors]]
"""From keys to those that still exist and their vectors, as `Library.vectors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An index of `n` passages with keys up to `last_key`, as the Library was at `moment`."""

    index: Any
    moment: Moment
    file: Path
    n: int
    n_trained: int
    last_key: int

    def keys(self) -> Keys:
        """The keys of all passages held, `(n,)`, in no particular order."""
        return _keys(self.index)


def load(folder: Path, dimension: int) -> Base:
    """The saved base.

    Raises:
        DamagedIndexError: it is missing, not what was written, or of another dimension.
    """
    state_file = folder / "state.json"
    try:
        state = read_sealed(state_file)
        if state["format"] != _FORMAT:
            raise DamagedIndexError(f"{state_file}: format {state['format']}, not {_FORMAT}")
        file = folder / str(state["file"])
        if crc32_of(file) != state["crc32"]:
            raise DamagedIndexError(f"{file}: not what was written")
        base = Base(
            # Left on the disk and mapped into memory: processes share it. Searches are as fast as of a copy in memory;
            # with IO_FLAG_MMAP, which maps lists one by one, they took 3 to 7 times as long (docs/adr/0011).
            index=faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC),
            moment=Moment(generation=int(state["generation"]), stamp=str(state["stamp"])),
            file=file,
            n=int(state["n"]),
            n_trained=int(state["n_trained"]),
            last_key=int(state["last_key"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DamagedIndexError(f"{state_file}: the dense index cannot be read: {error}") from error
    if base.index.d != dimension:
        raise DamagedIndexError(f"{file}: vectors of {base.index.d} dimensions, not {dimension}")
    return base


def needs_building(n: int, base: Base | None) -> bool:
    """Whether a base of `n` passages is to be made from nothing: the first, one of another kind, or of more lists."""
    return base is None or (n > EXACT_UP_TO and n > 2 * base.n_trained)


def build(folder: Path, changes: Changes, read: ReadVectors, dimension: int) -> Base:
    """A base of all passages of the Library, written to `folder` and switched to at once.

    Memory holds the index, what it is trained on, and one batch of vectors.

    Args:
        folder: where the dense index lives.
        changes: what came since the first moment.
        read: `Library.vectors`.
        dimension: of the vectors.
    """
    keys = changes.added
    made, n_trained = _untrained(len(keys), dimension)
    if n_trained:
        n_sample = min(len(keys), _TRAINED_ON_PER_LIST * made.nlist)
        made.train(read(np.random.default_rng(0).choice(keys, size=n_sample, replace=False))[1])
    for begin in range(0, len(keys), _AT_ONCE):
        some, vectors = read(keys[begin : begin + _AT_ONCE])
        made.add_with_ids(vectors, some)
    return _write(made, folder, changes.moment, n_trained=n_trained)


def merge(folder: Path, base: Base, moment: Moment, *, removed: Keys, added: Keys, vectors: Vectors) -> Base:
    """A base of what `base` held and what came since, written to `folder` and switched to at once; no training."""
    made = faiss.read_index(str(base.file))
    made.remove_ids(faiss.IDSelectorBatch(removed))
    made.add_with_ids(vectors, added)
    return _write(made, folder, moment, n_trained=base.n_trained)


def _untrained(n: int, dimension: int) -> tuple[Any, int]:
    """An empty index for `n` vectors, and how many decided its number of lists."""
    if n <= EXACT_UP_TO:
        return faiss.IndexIDMap2(faiss.IndexFlatIP(dimension)), 0
    n_lists = round(_LISTS_PER_ROOT * math.sqrt(n))
    made: Any = faiss.index_factory(dimension, f"IVF{n_lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    made.cp.max_points_per_centroid = _TRAINED_ON_PER_LIST
    return made, n


def _write(made: Any, folder: Path, moment: Moment, *, n_trained: int) -> Base:
    """Beside the old base, synced, then switched to: a stop leaves the one or the other."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"base-{moment.generation}-{moment.stamp}.faiss"
    beside = folder / f".{file.name}.{os.getpid()}"
    faiss.write_index(made, str(beside))
    switch_to(beside, file)
    keys = _keys(made)
    state: dict[str, str | int] = {
        "format": _FORMAT,
        "file": file.name,
        "generation": moment.generation,
        "stamp": moment.stamp,
        "crc32": crc32_of(file),
        "n": len(keys),
        "n_trained": n_trained,
        "last_key": int(keys.max()) if len(keys) else 0,
    }
    write_sealed(folder / "state.json", state)
    for old in folder.iterdir():
        if old.suffix != ".json" and old != file:
            old.unlink(missing_ok=True)
    return load(folder, made.d)


def _keys(index: Any) -> Keys:
    if not isinstance(index, faiss.IndexIVF):
        mapped: Keys = faiss.vector_to_array(index.id_map).copy()
        return mapped
    lists: Any = index.invlists
    parts = [
        faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
        for number in range(index.nlist)
        if lists.list_size(number)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
