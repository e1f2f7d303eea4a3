"""Verifying a Library and its indexes, and making anew what is derived."""

import shutil
import time
from collections.abc import Iterator

import numpy as np
from filelock import FileLock

from index import base
from index.base import Keys
from index.derived import DerivedIndexes
from index.errors import DamagedIndexError, LibraryError
from index.lexical import LexicalIndex
from index.library import Library
from index.records import Moment
from index.vectors import MOST_BESIDE, DenseIndex

_NORM_TOLERANCE = 1e-3
_AT_ONCE = 10_000
_PAUSE_S = 0.5
_WAIT_S = 10
_N_SAMPLE = 20
_NEAREST = 10
_LEAST_RECALL = 0.8
"""Of lists, which are searched in part; an exact index must find all."""
_COSINE_TOLERANCE = 0.02
"""Eight bits a number are 0.005 off at most."""


def faults(library: Library) -> Iterator[str]:
    """Everything that is wrong, a sentence each; nothing if all is well. Nothing is changed.

    An index that is merely behind is no fault: it catches up when it is next opened.
    """
    damage = library.integrity()
    yield from (f"{library.file}: {fault}" for fault in damage)
    if damage:
        return
    keys = library.changes_since(Moment()).added
    yield from (f"{library.file}: {fault}" for fault in _row_faults(library, keys))
    yield from _dense_faults(library, keys)
    yield from _lexical_faults(library, keys)


def repair(library: Library) -> None:
    """Make the indexes anew from what the Library holds; articles, passages and vectors are not touched.

    Raises:
        LibraryError: the folder cannot be written, or another process is writing there.
    """
    if library.is_read_only:
        raise LibraryError(f"{library.folder}: the folder is read-only: nothing can be repaired there")
    changes = library.changes_since(Moment())
    dense, lexical = library.folder / "dense", library.folder / "lexical"
    with FileLock(library.folder / ".dense.lock", timeout=_WAIT_S):
        if len(changes.added) > MOST_BESIDE:
            base.build(dense, changes, library.vectors, library.dimension)  # switched to when it is whole
        else:
            shutil.rmtree(dense, ignore_errors=True)
    with FileLock(library.folder / ".lexical.lock", timeout=_WAIT_S):
        LexicalIndex.create(lexical)
    DerivedIndexes(library)  # which catches up


def _article_faults(library: Library, article_id: str) -> Iterator[str]:
    stored = library.get_stored(article_id)
    article = stored.article
    if not stored.is_intact:
        yield f"article {article_id!r}: it is not as it was stored (its hash differs)"
    covered = 0
    for passage in library.article_passages(article_id):
        if passage.span.of(article.text) != passage.text or passage.span.end > len(article.text):
            yield f"article {article_id!r}: passage {passage.key} is not a slice of it"
        if passage.span.start > covered:
            yield f"article {article_id!r}: characters {covered} to {passage.span.start} are in no passage"
        covered = max(covered, passage.span.end)
    if covered != len(article.text):
        yield f"article {article_id!r}: characters {covered} to {len(article.text)} are in no passage"


def _row_faults(library: Library, keys: Keys) -> Iterator[str]:
    for summary in library.articles():
        yield from _article_faults(library, summary.article_id)
    for article_id, key in library.broken_passages():
        yield f"article {article_id!r}: passage {key} is not as it was stored (its seal differs)"
    for begin in range(0, len(keys), _AT_ONCE):
        some, vectors = library.vectors(keys[begin : begin + _AT_ONCE])
        norms = np.linalg.norm(vectors, axis=1)
        for key in some[~(np.abs(norms - 1) < _NORM_TOLERANCE)]:
            yield f"passage {key}: its vector is not of unit length"


def _dense_faults(library: Library, keys: Keys) -> Iterator[str]:
    folder = library.folder / "dense"
    if not folder.exists() and len(keys) <= MOST_BESIDE:
        return  # so few are read from the Library
    try:
        saved = base.load(folder, library.dimension)
    except DamagedIndexError as error:
        yield f"{error} (it is rebuilt when the Library is next asked)"
        return
    if not library.holds(saved.moment):
        yield f"{saved.file}: made from another Library, or from a later state of this one"
        return
    dense = DenseIndex.of(library.dimension, saved)
    dense = dense.caught_up(library.changes_since(saved.moment), library.vectors)
    yield from _key_faults("dense", keys, dense.keys())
    yield from _search_faults(library, keys, dense)


def _search_faults(library: Library, keys: Keys, dense: DenseIndex) -> Iterator[str]:
    """What the index finds near a sample of passages, beside what comparing every vector finds."""
    if not len(keys):
        return
    sample = np.random.default_rng(0).choice(keys, size=min(_N_SAMPLE, len(keys)), replace=False)
    _, queries = library.vectors(sample)
    cosines = np.concatenate(
        [queries @ library.vectors(keys[begin : begin + _AT_ONCE])[1].T for begin in range(0, len(keys), _AT_ONCE)],
        axis=1,
    )
    n_found = n_wanted = 0
    for query, row in zip(queries, cosines, strict=True):
        found = dense.search(query, _NEAREST)
        least = np.sort(row)[-min(_NEAREST, len(row))] - _COSINE_TOLERANCE
        exact = dict(zip(keys.tolist(), row.tolist(), strict=True))
        n_wanted += min(_NEAREST, len(row))
        n_found += sum(exact.get(key, -1.0) >= least for key, _ in found)
        if any(abs(exact.get(key, -1.0) - score) > _COSINE_TOLERANCE for key, score in found):
            yield "the dense index gives scores that the Library's vectors do not"
            return
    if n_found < (_LEAST_RECALL if dense.is_approximate else 1) * n_wanted:
        yield f"the dense index finds {n_found} of the {n_wanted} nearest passages of a sample"


def _lexical_faults(library: Library, keys: Keys) -> Iterator[str]:
    try:
        lexical = _load_lexical(library)
    except DamagedIndexError as error:
        if len(keys):
            yield f"{error} (it is rebuilt when the Library is next asked)"
        return
    except LibraryError as error:
        yield str(error)
        return
    if not library.holds(lexical.moment):
        yield f"{library.folder / 'lexical'}: made from another Library, or from a later state of this one"
    elif lexical.moment == library.moment:
        yield from _key_faults("lexical", keys, np.array(lexical.keys(), dtype=np.int64))


def _load_lexical(library: Library) -> LexicalIndex:
    try:
        return LexicalIndex.load(library.folder / "lexical")
    except DamagedIndexError:
        time.sleep(_PAUSE_S)  # a process at work may have changed one file after the other was read
        return LexicalIndex.load(library.folder / "lexical")


def _key_faults(name: str, keys: Keys, held: Keys) -> Iterator[str]:
    n_missing, n_unknown = len(np.setdiff1d(keys, held)), len(np.setdiff1d(held, keys))
    if n_missing or n_unknown or len(held) != len(keys):
        yield f"the {name} index lacks {n_missing} passages and holds {n_unknown} that do not exist"
