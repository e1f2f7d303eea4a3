"""Small real parts for the tests of `index`: difficult texts, unit vectors, a Library of eight dimensions."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.articles import Article, make_article
from index.base import Keys, Vectors
from index.database import FILE_NAME
from index.derived import DerivedIndexes
from index.library import Library
from index.passages import CharSpan
from index.records import Moment, NewArticle, VectorSpace

DIMENSION = 8
SPACE = VectorSpace(embedder_sha256="5" * 64, dimension=DIMENSION)
_FRAGMENTS = (
    "The minister resigned on Friday. ", "Mr. Smith of the U.N. said so. ", '"Why?" he asked. ', "Prices rose 3.5 % ",
    "Zoe\u0308 and Erdog\u0306an ", "東京で会談した。", "北京", "👩‍👩‍👧‍👦 ", "🇹🇷", "\r\n", "\r\n\r\n", "\n\n", "\r",
    "مرحبا بالعالم. ", "שלום ", "\ufffd", "\u200b", "\u2028", "\u00a0", "e" + "\u0301" * 12, "x" * 150, "-" * 90,
    "[SEP]", "<|endoftext|>", "\ufeff", " ", "a", "ﷺ",
)  # fmt: skip


def difficult_texts(max_fragments: int = 40) -> st.SearchStrategy[str]:
    """News-like text with everything that breaks offsets."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    fragments = st.one_of(st.sampled_from(_FRAGMENTS), st.text(characters, max_size=12))
    return st.lists(fragments, min_size=1, max_size=max_fragments).map("".join)


def unit_vectors(n: int, seed: int, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Random directions, `(n, dimension)`."""
    vectors = np.random.default_rng(seed).normal(size=(n, dimension))
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def new_article(article_id: str, text: str = "One line.\nTwo lines.", seed: int = 0, **fields: Any) -> NewArticle:
    """An article with one passage for each line."""
    article = make_article(article_id=article_id, text=text, **fields)
    spans = line_spans(article)
    return NewArticle(article=article, spans=spans, vectors=unit_vectors(len(spans), seed))


def line_spans(article: Article) -> list[CharSpan]:
    """The lines of an article, with their line ends."""
    lines = article.text.splitlines(keepends=True)
    ends = np.cumsum([len(line) for line in lines]).tolist()
    return [CharSpan(end - len(line), end) for line, end in zip(lines, ends, strict=True)]


def new_library(folder: Path, *batch: NewArticle) -> Library:
    """A Library with these articles."""
    library = Library(folder, create=SPACE)
    if batch:
        library.put(batch)
    return library


def damage(folder: Path, statement: str, values: Sequence[Any] = ()) -> None:
    """Change the Library's file behind its back; everything is in the main file afterwards."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(statement, values)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def flip_byte(path: Path, position: int) -> None:
    """Change one byte of a file; a negative position counts from the end."""
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


def agree(library: Library, derived: DerivedIndexes) -> None:
    """Both indexes hold exactly the Library's passages, with their vectors and words."""
    held, vectors = all_vectors(library)
    keys = held.tolist()
    assert sorted(derived.dense.keys().tolist()) == sorted(derived.lexical.keys()) == keys
    assert derived.dense.moment == derived.lexical.moment == library.moment
    sample = range(0, len(keys), max(1, len(keys) // 40))
    for key, vector in ((keys[row], vectors[row]) for row in sample):
        ((nearest, cosine),) = derived.dense.search(vector, 1)
        assert nearest == key
        assert cosine == pytest.approx(1.0)
    for key, passage in library.passages([keys[row] for row in sample]).items():
        word = passage.text.rstrip(".\n").split()[-1]
        assert key in [found for found, _ in derived.lexical.search(word, 10)]


def moment(generation: int) -> Moment:
    """A moment of a history of the tests' own."""
    return Moment(generation=generation, stamp=f"{generation:02x}")


def all_vectors(library: Library) -> tuple[Keys, Vectors]:
    """The keys of all passages, ascending, and their vectors."""
    return library.vectors(library.changes_since(Moment()).added)


def keys_of(library: Library, *article_ids: str) -> set[int]:
    return {passage.key for article_id in article_ids for passage in library.article_passages(article_id)}
