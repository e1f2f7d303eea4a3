"""The dense index: passage vectors in FAISS. The only file that imports faiss."""

import hashlib
import json
import os
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from index.errors import LibraryError


class DamagedIndexError(LibraryError):
    """A derived index is missing, damaged or of another kind: it must be rebuilt from the Library."""


class DenseIndex:
    """Exact inner-product search over unit vectors; results are cosines in [-1, 1], higher is better.

    `generation` names the state of the Library that the index covers.
    """

    def __init__(self, dimension: int) -> None:
        self._index: faiss.Index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self.generation = 0

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, keys: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add passages; keys `(n,)` that are already there are replaced. Vectors are `(n, dimension)`, unit norm."""
        if len(keys):
            self.remove(keys)
            self._index.add_with_ids(np.ascontiguousarray(vectors), np.ascontiguousarray(keys))

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove passages; unknown keys are ignored."""
        if len(keys) and len(self):
            self._index.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(keys)))

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest passages as (key, cosine), best first; only among `allowed` keys if given."""
        if not len(self) or k < 1 or (allowed is not None and not len(allowed)):
            return []
        parameters = None
        if allowed is not None:
            parameters = faiss.SearchParameters()
            parameters.sel = faiss.IDSelectorBatch(np.ascontiguousarray(allowed))
        scores, keys = self._index.search(vector[None, :], min(k, len(self)), params=parameters)
        return [(int(key), float(score)) for key, score in zip(keys[0], scores[0], strict=True) if key >= 0]

    def keys(self) -> NDArray[np.int64]:
        """The keys of all passages held, `(n,)` int64, in no particular order."""
        keys: NDArray[np.int64] = faiss.vector_to_array(self._index.id_map).copy()  # type: ignore[attr-defined]
        return keys

    def save(self, folder: Path) -> None:
        """Write the index beside the old one and switch to it at once: a stop leaves the one or the other."""
        folder.mkdir(parents=True, exist_ok=True)
        data = faiss.serialize_index(self._index).tobytes()
        name = f"vectors-{self.generation}.faiss"
        write_synced(folder / name, data)
        state = {"file": name, "generation": self.generation, "sha256": hashlib.sha256(data).hexdigest()}
        write_synced(folder / "state.json", json.dumps(state).encode())
        for old in folder.glob("vectors-*.faiss"):
            if old.name != name:
                old.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path, dimension: int) -> "DenseIndex":
        """Read the saved index.

        Raises:
            DamagedIndexError: it is missing, not what was written, or of another dimension.
        """
        try:
            state = json.loads((folder / "state.json").read_bytes())
            data = (folder / state["file"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != state["sha256"]:
                raise DamagedIndexError(f"{folder / state['file']}: not what was written")
            found = cls(dimension)
            found._index = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
            found.generation = int(state["generation"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise DamagedIndexError(f"{folder}: the dense index cannot be read: {error}") from error
        if found._index.d != dimension:
            raise DamagedIndexError(f"{folder}: vectors of {found._index.d} dimensions, not {dimension}")
        return found


def write_synced(path: Path, data: bytes) -> None:
    """Write a file so that a stop at any moment leaves the old content or the new, and the new is on the disk."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
