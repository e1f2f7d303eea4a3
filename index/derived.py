"""The derived indexes of a Library: opened, caught up or rebuilt, never trusted beyond their generation."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from index.errors import LibraryBusyError
from index.lexical import LexicalIndex, PassageWords
from index.library import Library
from index.records import Changes
from index.vectors import DamagedIndexError, DenseIndex

Ranking = list[tuple[int, float]]
"""Passage keys with their scores, best first."""
_log = logging.getLogger(__name__)
_WAIT_S = 10


class DerivedIndexes:
    """The dense and the lexical index of one Library.

    Both live in folders beside the Library file and can be deleted at any time: they are made anew from the Library,
    from stored vectors, without embedding again.
    """

    def __init__(self, library: Library) -> None:
        """Open both and bring them up to date; what is missing or damaged is rebuilt, with a warning that says so.

        Raises:
            LibraryBusyError: another process has been writing them for longer than is waited.
            LibraryError: they cannot be written.
        """
        self._library = library
        self._lock = threading.RLock()
        # One process at a time loads, repairs or updates: what looks damaged may be half of another's work.
        self._processes = FileLock(library.folder / ".indexes.lock", timeout=_WAIT_S)
        with self._alone():
            self.dense = self._open_dense()
            self.lexical = self._open_lexical()
        self.refresh()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with self._lock, self._processes:
                yield
        except Timeout as error:
            folder = self._library.folder
            raise LibraryBusyError(f"{folder}: another process is writing the indexes; try again") from error

    @property
    def _dense_folder(self) -> Path:
        return self._library.folder / "dense"

    @property
    def _lexical_folder(self) -> Path:
        return self._library.folder / "lexical"

    def refresh(self) -> None:
        """Catch up with the Library: cheap when nothing has changed, left for later while another process is at it."""
        now = self._library.generation
        if self.dense.generation == now and self.lexical.generation == now:
            return
        try:
            with self._alone():
                self._catch_up()
        except LibraryBusyError as error:
            # What is behind is still right as far as it goes, and removed passages are sorted out by the Library.
            _log.warning("searching without the latest articles: %s", error)

    def _catch_up(self) -> None:
        self._refresh_dense()
        self._refresh_lexical()

    def search(
        self, question: str, vector: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[Ranking, Ranking]:
        """The dense and the lexical ranking, at most `k` passages each; only `allowed` keys if given.

        One thread at a time: FAISS must not be searched while another thread changes it, and a search takes well below
        a millisecond.
        """
        with self._lock:
            dense = self.dense.search(vector, k, allowed)
            lexical = self.lexical.search(question, k, None if allowed is None else allowed.tolist())
        return dense, lexical

    def _open_dense(self) -> DenseIndex:
        try:
            found = DenseIndex.load(self._dense_folder, self._library.dimension)
        except DamagedIndexError as error:
            self._say_rebuilding("dense", self._dense_folder, error)
            return DenseIndex(self._library.dimension)
        return found if found.generation <= self._library.generation else DenseIndex(self._library.dimension)

    def _open_lexical(self) -> LexicalIndex:
        try:
            found = LexicalIndex.load(self._lexical_folder)
        except DamagedIndexError as error:
            self._say_rebuilding("lexical", self._lexical_folder, error)
            return LexicalIndex.create(self._lexical_folder)
        # Ahead of the Library: a Library restored from an older copy. What the index holds is of another history.
        return found if found.generation <= self._library.generation else LexicalIndex.create(self._lexical_folder)

    def _say_rebuilding(self, name: str, folder: Path, error: DamagedIndexError) -> None:
        if self._library.generation:  # a new Library has nothing to rebuild
            _log.warning("rebuilding the %s index in %s: %s", name, folder, error)

    def _refresh_dense(self) -> None:
        changes = self._library.changes_since(self.dense.generation)
        if changes.generation == self.dense.generation:
            return
        self.dense.remove(changes.removed)
        self.dense.add(changes.added, changes.vectors)
        self.dense.generation = changes.generation
        self.dense.save(self._dense_folder)

    def _refresh_lexical(self) -> None:
        try:
            self.lexical.reload()
        except DamagedIndexError as error:
            self._say_rebuilding("lexical", self._lexical_folder, error)
            self.lexical = LexicalIndex.create(self._lexical_folder)
        changes = self._library.changes_since(self.lexical.generation)
        if changes.generation == self.lexical.generation:
            return
        self.lexical.update(
            removed=[int(key) for key in changes.removed], added=self._words(changes), generation=changes.generation
        )

    def _words(self, changes: Changes) -> list[PassageWords]:
        """What the lexical index needs of the passages added, less those that were removed meanwhile."""
        found = []
        for begin in range(0, len(changes.added), 1000):
            passages = self._library.passages([int(key) for key in changes.added[begin : begin + 1000]])
            found += [PassageWords(key=p.key, title=p.title, body=p.text) for p in passages.values()]
        return found
