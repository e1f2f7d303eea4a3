"""Derived indexes: whatever happens to them, they end up holding what the Library holds."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from index.database import FILE_NAME
from index.derived import DerivedIndexes
from index.library import Library
from index.vectors import DenseIndex
from tests.index.parts import DIMENSION, agree, damage, flip_byte, new_article, new_library

Break = Callable[[Path], object]
FIRST, SECOND = new_article("a", "Suez canal.\nA ship.", seed=1), new_article("b", "Idlib.", seed=2, title="Raid")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return new_library(tmp_path, FIRST, SECOND)


def test_new_indexes_hold_the_library_without_a_warning(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    agree(library, DerivedIndexes(library))
    caplog.clear()
    agree(library, DerivedIndexes(library))
    assert caplog.messages == []


def test_an_empty_library_has_empty_indexes_and_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = new_library(tmp_path)
    derived = DerivedIndexes(library)
    agree(library, derived)
    assert caplog.messages == []
    library.put([FIRST])
    derived.refresh()
    agree(library, derived)


def faiss_file(folder: Path) -> Path:
    (found,) = (folder / "dense").glob("*.faiss")
    return found


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


BREAKS: dict[str, tuple[str, Break]] = {
    "vectors flipped": ("dense", lambda folder: flip_byte(faiss_file(folder), -20)),
    "vectors cut": ("dense", lambda folder: faiss_file(folder).write_bytes(faiss_file(folder).read_bytes()[:50])),
    "vectors missing": ("dense", lambda folder: faiss_file(folder).unlink()),
    "dense missing": ("dense", lambda folder: shutil.rmtree(folder / "dense")),
    "dense state damaged": ("dense", lambda folder: flip_byte(folder / "dense" / "state.json", 0)),
    "lexical missing": ("lexical", lambda folder: shutil.rmtree(folder / "lexical")),
    "lexical empty": ("lexical", lambda folder: emptied(folder / "lexical")),
    "lexical state missing": ("lexical", lambda folder: (folder / "lexical" / "state.json").unlink()),
    "words cut": ("lexical", lambda f: [file.write_bytes(b"") for file in (f / "lexical").glob("*.term")]),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_index_is_rebuilt_from_the_library_with_a_warning(
    library: Library, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    DerivedIndexes(library)
    index, broken = BREAKS[name]
    broken(library.folder)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        agree(library, DerivedIndexes(library))
    (message,) = caplog.messages
    assert message.startswith(f"rebuilding the {index} index in {library.folder / index}")
    caplog.clear()
    agree(library, DerivedIndexes(library))
    assert caplog.messages == []


def test_an_index_of_another_dimension_is_rebuilt(library: Library) -> None:
    other = DenseIndex(DIMENSION + 1)
    other.generation = 1
    DerivedIndexes(library)
    other.save(library.folder / "dense")
    agree(library, DerivedIndexes(library))


@pytest.mark.parametrize("index", ["dense", "lexical", "both"])
def test_an_index_that_is_behind_catches_up_without_a_rebuild(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture, index: str
) -> None:
    DerivedIndexes(library)
    names = ["dense", "lexical"] if index == "both" else [index]
    for name in names:
        shutil.copytree(library.folder / name, tmp_path / "old" / name)
    library.put([new_article("a", "Replaced.", seed=3), new_article("c", "Later.", seed=4)])
    library.remove("b")
    DerivedIndexes(library)
    for name in names:
        shutil.rmtree(library.folder / name)
        shutil.copytree(tmp_path / "old" / name, library.folder / name)
    caplog.clear()
    agree(library, DerivedIndexes(library))
    assert caplog.messages == []


def test_words_written_before_their_generation_was_are_written_again_without_harm(library: Library) -> None:
    DerivedIndexes(library)
    state = (library.folder / "lexical" / "state.json").read_bytes()
    library.put([new_article("a", "Replaced.", seed=3)])
    DerivedIndexes(library)
    (library.folder / "lexical" / "state.json").write_bytes(state)
    agree(library, DerivedIndexes(library))


def test_an_index_ahead_of_a_restored_library_is_rebuilt(library: Library, tmp_path: Path) -> None:
    damage(tmp_path, "UPDATE articles SET url = ''")  # all of it is in the main file
    backup = (tmp_path / FILE_NAME).read_bytes()
    library.put([new_article("c", "From another history.", seed=5)])
    DerivedIndexes(library)
    restored = tmp_path / "restored"
    for name in ("dense", "lexical"):
        shutil.copytree(tmp_path / name, restored / name)
    (restored / FILE_NAME).write_bytes(backup)
    again = Library(restored)
    assert again.generation == 1
    agree(again, DerivedIndexes(again))


def test_refreshing_with_nothing_new_writes_nothing(library: Library) -> None:
    derived = DerivedIndexes(library)
    files = {path: path.stat().st_mtime_ns for path in library.folder.glob("*ical/*")} | {
        path: path.stat().st_mtime_ns for path in library.folder.glob("dense/*")
    }
    derived.refresh()
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())


def test_stored_vectors_are_used_as_they_are(library: Library) -> None:
    derived = DerivedIndexes(library)
    query = FIRST.vectors[0]
    wanted = sorted(np.concatenate([FIRST.vectors, SECOND.vectors]) @ query, reverse=True)
    assert [score for _, score in derived.dense.search(query, 5)] == pytest.approx([float(score) for score in wanted])


def test_one_search_asks_both_indexes_among_the_allowed(library: Library) -> None:
    derived = DerivedIndexes(library)
    allowed = np.array([1, 3], dtype=np.int64)
    dense, lexical = derived.search("Suez ship raid", SECOND.vectors[0], 5, allowed)
    assert dense == derived.dense.search(SECOND.vectors[0], 5, allowed)
    assert dense[0][0] == 3
    assert dense[0][1] == pytest.approx(1.0)
    assert {key for key, _ in dense} == {key for key, _ in lexical} == {1, 3}
    both = derived.search("Suez ship raid", SECOND.vectors[0], 5, None)
    assert [sorted(key for key, _ in ranking) for ranking in both] == [[1, 2, 3], [1, 2, 3]]
