"""Verifying a Library and its indexes, without changing anything."""

from collections.abc import Callable, Iterator

import numpy as np

from index.errors import LibraryError
from index.lexical import LexicalIndex
from index.library import Library
from index.vectors import DamagedIndexError, DenseIndex

_NORM_TOLERANCE = 1e-3


def faults(library: Library) -> Iterator[str]:
    """Everything that is wrong, a sentence each; nothing if all is well.

    An index that is merely behind is no fault: it catches up when it is next opened.
    """
    damage = library.integrity()
    if damage:
        yield from damage
        return
    for summary in library.articles():
        yield from _article_faults(library, summary.article_id)
    changes = library.changes_since(0)
    norms = np.linalg.norm(changes.vectors, axis=1)
    for key in changes.added[~(np.abs(norms - 1) < _NORM_TOLERANCE)]:
        yield f"passage {key}: its vector is not of unit length"
    keys = {int(key) for key in changes.added}
    yield from _index_faults("dense", library, keys, lambda: _dense(library))
    yield from _index_faults("lexical", library, keys, lambda: _lexical(library))


def _article_faults(library: Library, article_id: str) -> Iterator[str]:
    stored = library.get_stored(article_id)
    article = stored.article
    if not stored.is_intact:
        yield f"article {article_id!r}: its text is not the one that was stored (the hash differs)"
    covered = 0
    for passage in library.article_passages(article_id):
        if passage.span.of(article.text) != passage.text or passage.span.end > len(article.text):
            yield f"article {article_id!r}: passage {passage.key} is not a slice of it"
        if passage.span.start > covered:
            yield f"article {article_id!r}: characters {covered} to {passage.span.start} are in no passage"
        covered = max(covered, passage.span.end)
    if covered != len(article.text):
        yield f"article {article_id!r}: characters {covered} to {len(article.text)} are in no passage"


def _dense(library: Library) -> tuple[int, set[int]]:
    dense = DenseIndex.load(library.folder / "dense", library.dimension)
    return dense.generation, set(dense.keys().tolist())


def _lexical(library: Library) -> tuple[int, set[int]]:
    lexical = LexicalIndex.load(library.folder / "lexical")
    return lexical.generation, set(lexical.keys())


def _index_faults(
    name: str, library: Library, keys: set[int], read: Callable[[], tuple[int, set[int]]]
) -> Iterator[str]:
    try:
        generation, held = read()
    except DamagedIndexError as error:
        if keys:
            yield f"{error} (it is rebuilt when the Library is next asked)"
        return
    except LibraryError as error:
        yield str(error)
        return
    if generation == library.generation and held != keys:
        yield f"the {name} index lacks {len(keys - held)} passages and holds {len(held - keys)} that do not exist"
    if generation > library.generation:
        yield f"the {name} index is of a later generation ({generation}) than the Library ({library.generation})"
