"""The derived indexes of a Library: opened, caught up or rebuilt, never trusted beyond their moment."""

import logging
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from index import base
from index.base import Vectors
from index.embedder import available_cores
from index.errors import DamagedIndexError, LibraryBusyError, LibraryError
from index.lexical import LexicalIndex, PassageWords
from index.library import Library
from index.records import Changes, Filters, Moment
from index.vectors import MOST_BESIDE, MOST_OF_ALL_BESIDE, DenseIndex, KeySet

Ranking = list[tuple[int, float]]
"""Passage keys with their scores, best first."""
_log = logging.getLogger(__name__)
_WAIT_S = 10
_WORDS_AT_ONCE = 1000
_FILTERS_KEPT = 16


class DerivedIndexes:
    """The dense and the lexical index of one Library. Searching takes no lock: catching up happens beside it.

    Both live in folders beside the Library file and can be deleted at any time: they are made anew from the Library,
    from stored vectors, without embedding again. Where the folder is read-only, what it lacks is made in a temporary
    folder.
    """

    def __init__(self, library: Library) -> None:
        """Open both and bring them up to date; what is missing or damaged is rebuilt, with a warning that says so.

        Raises:
            LibraryBusyError: another process has been writing them for longer than is waited.
            LibraryError: they cannot be written.
        """
        self.is_followed = False
        """Whether a `Follower` catches up, so that questions need not."""
        self._library = library
        self._catching_up = threading.Lock()
        self._merging = threading.Lock()
        self._beside = ThreadPoolExecutor(available_cores(), thread_name_prefix="quoth-words")
        self._allowed = lru_cache(maxsize=_FILTERS_KEPT)(self._allowed_at)
        self._home = _own_folder(self) if library.is_read_only else library.folder
        self.dense = self._open_dense()
        self.lexical = self._open_lexical()
        self.refresh()
        if self.dense.base is None:
            self.merge()

    def refresh(self) -> None:
        """Catch up with the Library: cheap when nothing has changed, left for later while another process is at it."""
        now = self._library.moment
        if self.dense.moment == now and self.lexical.moment == now:
            return
        with self._catching_up:
            self._refresh_dense()
            try:
                with self._alone("lexical"):
                    self._refresh_lexical()
            except LibraryError as error:  # busy, or the disk is full
                # What is behind is right as far as it goes, and removed passages are sorted out by the Library.
                _log.warning("searching without the latest articles: %s", error)
        if not self.is_followed and self._is_far_behind(self.dense):
            self.merge()

    def merge(self) -> None:
        """Make a new base of the dense index if much has come since it was made; searching goes on meanwhile.

        Of several processes one does it, and the others take what it made.
        """
        with self._merging:
            if not self.dense.needs_merging and not self._is_far_behind(self.dense):
                return
            try:
                with self._alone("dense", waits=False):
                    dense = self.dense
                    made = self._newer_base(dense.base) or self._merged(dense)
            except LibraryBusyError:
                return  # another process is at it: what it makes is taken next time
            except (OSError, RuntimeError) as error:  # the disk is full: FAISS has no error of its own for that
                _log.warning("%s: cannot be written, searching what is in memory: %s", self._home / "dense", error)
                return
            with self._catching_up:
                self.dense = DenseIndex.of(self._library.dimension, made)
                self._refresh_dense()

    def search(self, question: str, vector: Vectors, k: int, filters: Filters) -> tuple[Ranking, Ranking]:
        """The dense and the lexical ranking, at most `k` passages each, of those that pass the filters."""
        lexical = self._beside.submit(self.lexical.search, question, k, filters)
        allowed = None if filters == Filters() else self._allowed(self._library.moment, filters)
        dense = self.dense.search(vector, k, allowed)
        return dense, lexical.result()

    def _allowed_at(self, moment: Moment, filters: Filters) -> KeySet:
        """Kept for the filters last used: half of a million keys take a tenth of a second to gather."""
        del moment  # only a part of what the answer is kept under
        return KeySet(self._library.allowed(filters))

    @contextmanager
    def _alone(self, name: str, *, waits: bool = True) -> Iterator[None]:
        """One process at a time writes an index."""
        try:
            with FileLock(self._home / f".{name}.lock", timeout=_WAIT_S if waits else 0):
                yield
        except Timeout as error:
            raise LibraryBusyError(
                f"{self._home / name}: another process is writing the {name} index; try again"
            ) from error

    def _open_dense(self) -> DenseIndex:
        found = DenseIndex.of(self._library.dimension, self._saved_base())
        if not self._is_far_behind(found):
            return found
        with self._alone("dense"):
            newer = self._newer_base(found.base)  # another process may have made it while this one waited
            return DenseIndex.of(self._library.dimension, newer or self._built())

    def _saved_base(self) -> base.Base | None:
        folder = self._library.folder / "dense"
        try:
            found = self._load_base(folder)
        except DamagedIndexError as error:
            self._say_rebuilding("dense", error)
            self._drop_base(folder)
            return None
        if not self._library.holds(found.moment):
            self._say_other_history(folder, found.moment)
            return None
        return found

    def _drop_base(self, folder: Path) -> None:
        """Delete what cannot be read: a small Library makes no other base that would take its place."""
        if self._library.is_read_only:
            return
        with suppress(LibraryBusyError), self._alone("dense", waits=False):
            try:
                base.load(folder, self._library.dimension)
            except DamagedIndexError:
                shutil.rmtree(folder, ignore_errors=True)

    def _load_base(self, folder: Path) -> base.Base:
        try:
            return base.load(folder, self._library.dimension)
        except DamagedIndexError:
            return base.load(folder, self._library.dimension)  # another process may have switched it between two reads

    def _open_lexical(self) -> LexicalIndex:
        with self._alone("lexical"):
            return self._loaded_lexical(self._library.folder / "lexical")

    def _loaded_lexical(self, folder: Path) -> LexicalIndex:
        try:
            found = LexicalIndex.load(folder)
        except DamagedIndexError as error:
            self._say_rebuilding("lexical", error)
            return self._new_lexical()
        if not self._library.holds(found.moment):
            self._say_other_history(folder, found.moment)
            return self._new_lexical()
        is_behind = found.moment != self._library.moment
        return self._new_lexical() if self._library.is_read_only and is_behind else found

    def _new_lexical(self) -> LexicalIndex:
        return LexicalIndex.create(self._home / "lexical")

    def _say_other_history(self, folder: Path, moment: Moment) -> None:
        """Of a Library restored from an older copy, of another one, or of writes that a damaged log has lost."""
        _log.warning(
            "%s: made at write %d of another history, the Library is at write %d: rebuilding it. Was the Library"
            " restored from a copy? If not, articles may be missing: library.sqlite3-wal may have been damaged",
            folder,
            moment.generation,
            self._library.generation,
        )

    def _say_rebuilding(self, name: str, error: DamagedIndexError) -> None:
        _, n_passages = self._library.counts()
        # A new Library has nothing to rebuild, and a small one keeps its vectors in memory.
        if n_passages and not (name == "dense" and n_passages <= MOST_BESIDE):
            _log.warning("rebuilding the %s index of %d passages: %s", name, n_passages, error)

    def _newer_base(self, than: base.Base | None) -> base.Base | None:
        """The base on the disk, if another process has made one since."""
        try:
            found = self._load_base(self._home / "dense")
        except DamagedIndexError:
            return None
        is_newer = found.moment.generation > (than.moment.generation if than else 0)
        return found if is_newer and self._library.holds(found.moment) else None

    def _built(self) -> base.Base:
        changes = self._library.changes_since(Moment())
        return base.build(self._home / "dense", changes, self._library.vectors, self._library.dimension)

    def _merged(self, dense: DenseIndex) -> base.Base:
        is_outgrown = base.needs_building(len(dense), dense.base)
        if dense.base is None or is_outgrown or self._is_far_behind(dense):
            return self._built()
        return base.merge(
            self._home / "dense",
            dense.base,
            dense.moment,
            removed=dense.dead.keys,
            added=dense.keys_beside,
            vectors=dense.vectors_beside,
        )

    def _is_far_behind(self, dense: DenseIndex) -> bool:
        """Whether more has come than is kept in memory: a base is made of it, from the Library, batch by batch."""
        if dense.moment == self._library.moment:  # five times a second, in a server
            return False
        return len(self._library.changes_since(dense.moment).added) > MOST_OF_ALL_BESIDE

    def _refresh_dense(self) -> None:
        changes = self._library.changes_since(self.dense.moment)
        if changes.moment != self.dense.moment and len(changes.added) <= MOST_OF_ALL_BESIDE:
            self.dense = self.dense.caught_up(changes, self._library.vectors)

    def _refresh_lexical(self) -> None:
        try:
            self.lexical.reload()
            if not self._library.holds(self.lexical.moment):
                self.lexical = self._new_lexical()
        except DamagedIndexError as error:
            self._say_rebuilding("lexical", error)
            self.lexical = self._new_lexical()
        changes = self._library.changes_since(self.lexical.moment)
        if changes.moment == self.lexical.moment:
            return
        try:
            self._update_lexical(changes)
        except DamagedIndexError as error:
            self._say_rebuilding("lexical", error)
            self.lexical = self._new_lexical()
            self._update_lexical(self._library.changes_since(Moment()))

    def _update_lexical(self, changes: Changes) -> None:
        self.lexical.update(
            removed=[int(key) for key in changes.removed], added=self._words(changes), moment=changes.moment
        )

    def _words(self, changes: Changes) -> Iterator[PassageWords]:
        """What the lexical index needs of the passages added, less those that were removed meanwhile."""
        for begin in range(0, len(changes.added), _WORDS_AT_ONCE):
            passages = self._library.passages(changes.added[begin : begin + _WORDS_AT_ONCE].tolist())
            for passage in passages.values():
                yield PassageWords(
                    key=passage.key,
                    title=passage.title,
                    body=passage.text,
                    published=passage.published,
                    source=passage.source,
                )


def _own_folder(owner: DerivedIndexes) -> Path:
    """A temporary folder that goes with its owner."""
    folder = Path(tempfile.mkdtemp(prefix="quoth-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder
