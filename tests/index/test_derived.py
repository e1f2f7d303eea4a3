"""Derived indexes: whatever happens to them, they end up holding what the Library holds."""

import logging
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from index import base
from index.database import FILE_NAME
from index.derived import DerivedIndexes
from index.errors import LibraryBusyError
from index.library import Library
from index.records import Changes, Filters
from index.vectors import MOST_BESIDE, MOST_OF_ALL_BESIDE
from tests.index.parts import DIMENSION, agree, damage, flip_byte, new_article, new_library, unit_vectors

Break = Callable[[Path], object]
FIRST, SECOND = new_article("a", "Suez canal.\nA ship.", seed=1), new_article("b", "Idlib.", seed=2, title="Raid")


MANY = new_article("many", "".join(f"Ship {n}.\n" for n in range(MOST_BESIDE)), seed=9)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return new_library(tmp_path, FIRST, SECOND)


@pytest.fixture
def large(library: Library) -> Library:
    """A Library with a base."""
    library.put([MANY])
    DerivedIndexes(library).merge()
    return library


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
    large: Library, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    index, broken = BREAKS[name]
    broken(large.folder)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        again = DerivedIndexes(large)
        again.merge()
        agree(large, again)
    (message,) = caplog.messages
    assert message.startswith(f"rebuilding the {index} index of {MOST_BESIDE + 3} passages: {large.folder / index}")
    caplog.clear()
    agree(large, DerivedIndexes(large))
    assert caplog.messages == []


def test_a_small_library_has_no_file_for_its_vectors(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    derived = DerivedIndexes(library)
    derived.merge()
    assert not (library.folder / "dense").exists()
    caplog.clear()
    agree(library, DerivedIndexes(library))
    assert caplog.messages == []


def test_a_base_is_made_once_much_has_come_and_again_after_that(large: Library) -> None:
    first = faiss_file(large.folder)
    derived = DerivedIndexes(large)
    large.put([new_article("c", "Later.", seed=4)])
    large.remove("a")
    derived.refresh()
    derived.merge()
    assert faiss_file(large.folder) == first
    agree(large, derived)
    large.remove("many")
    derived.refresh()
    derived.merge()
    assert faiss_file(large.folder) != first
    assert derived.dense.base is not None
    assert (derived.dense.base.n, len(derived.dense), derived.dense.dead.n) == (2, 2, 0)
    agree(large, derived)
    agree(large, DerivedIndexes(large))


def test_what_another_process_merged_is_taken_instead_of_merging_again(library: Library) -> None:
    mine = DerivedIndexes(library)
    library.put([MANY])
    mine.refresh()
    theirs = DerivedIndexes(Library(library.folder))
    theirs.merge()
    file = faiss_file(library.folder)
    written = file.stat().st_mtime_ns
    mine.merge()
    assert (faiss_file(library.folder), file.stat().st_mtime_ns) == (file, written)
    assert mine.dense.base is not None
    agree(library, mine)


def test_what_came_while_a_base_was_made_is_not_forgotten(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.put([MANY])
    derived = DerivedIndexes(library)
    build = base.build

    def slow_build(*arguments: Any) -> base.Base:
        made = build(*arguments)
        library.put([new_article("c", "Later.", seed=4)])
        library.remove("a")
        derived.refresh()
        return made

    monkeypatch.setattr(base, "build", slow_build)
    derived.merge()
    agree(library, derived)


def test_a_process_that_is_far_behind_makes_a_base_instead_of_reading_all_into_memory(library: Library) -> None:
    lines = "".join(f"Ship {n}.\n" for n in range(MOST_OF_ALL_BESIDE))
    library.put([new_article("more", lines, seed=8)])
    derived = DerivedIndexes(library)
    assert derived.dense.base is not None
    assert len(derived.dense.keys_beside) == 0
    agree(library, derived)


def test_much_that_comes_at_once_makes_a_base_and_is_not_read_into_memory(library: Library) -> None:
    derived = DerivedIndexes(library)
    lines = "".join(f"Ship {n}.\n" for n in range(MOST_OF_ALL_BESIDE + 1))
    library.put([new_article("more", lines, seed=8)])
    derived.refresh()
    assert derived.dense.base is not None
    assert len(derived.dense.keys_beside) == 0
    agree(library, derived)
    library.remove("more")
    derived.refresh()
    agree(library, derived)


def test_an_index_of_another_dimension_is_rebuilt(large: Library) -> None:
    keys = np.array([1], dtype=np.int64)
    changes = Changes(moment=large.moment, removed=keys[:0], added=keys)
    base.build(large.folder / "dense", changes, lambda keys: (keys, unit_vectors(1, 0, DIMENSION + 1)), DIMENSION + 1)
    agree(large, DerivedIndexes(large))


@pytest.mark.parametrize("index", ["dense", "lexical", "both"])
def test_an_index_that_is_behind_catches_up_without_a_rebuild(
    large: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture, index: str
) -> None:
    library = large
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


def test_an_index_of_another_history_is_rebuilt(library: Library, tmp_path: Path) -> None:
    damage(tmp_path, "UPDATE articles SET url = ''")  # all of it is in the main file
    backup = (tmp_path / FILE_NAME).read_bytes()
    library.put([new_article("c", "From another history.", seed=5)])
    library.put([MANY])
    DerivedIndexes(library).merge()
    restored = tmp_path / "restored"
    for name in ("dense", "lexical"):
        shutil.copytree(tmp_path / name, restored / name)
    (restored / FILE_NAME).write_bytes(backup)
    again = Library(restored)
    assert again.generation == 1
    # Restored and written on, it has the generation of the index, and yet another history.
    again.put([new_article("d", "Of this history.", seed=6)])
    again.put([new_article("e", "And this.", seed=7)])
    assert again.generation == library.generation
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


def test_one_search_asks_both_indexes_within_the_filters(tmp_path: Path) -> None:
    library = new_library(
        tmp_path,
        new_article("a", "Suez canal.\nA ship.", seed=1, published="2020-01-02"),
        new_article("b", "Idlib.", seed=2, title="Raid", published="2020-01-01"),
    )
    derived = DerivedIndexes(library)
    both = derived.search("Suez ship raid", SECOND.vectors[0], 5, Filters())
    assert [sorted(key for key, _ in ranking) for ranking in both] == [[1, 2, 3], [1, 2, 3]]
    filters = Filters(before=date(2020, 1, 2))
    for _ in range(2):  # made, then kept
        dense, lexical = derived.search("Suez ship raid", SECOND.vectors[0], 5, filters)
        assert [key for key, _ in dense] == [key for key, _ in lexical] == [3]
        assert dense[0][1] == pytest.approx(1.0)
    library.put([new_article("c", "Raid.", seed=2, published="2019-01-01")])
    derived.refresh()
    dense, lexical = derived.search("Suez ship raid", SECOND.vectors[0], 5, filters)
    assert {key for key, _ in dense} == {key for key, _ in lexical} == {3, 4}


def test_a_read_only_folder_is_searched_with_indexes_made_elsewhere(
    large: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large.put([new_article("c", "Later.", seed=4)])  # the words of it are in no index yet
    damage(tmp_path, "UPDATE state SET value = value WHERE name = 'generation'")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr("index.database.os.access", lambda *_: False)  # the tests may run as root, who writes anywhere
    closed = Library(tmp_path)
    assert closed.is_read_only
    agree(closed, DerivedIndexes(closed))
    shutil.rmtree(tmp_path / "dense")
    agree(closed, DerivedIndexes(closed))
    assert {path for path in before if "dense" not in path.parts} == set(tmp_path.rglob("*"))


def test_one_process_at_a_time_writes_words(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.derived._WAIT_S", 0.05)
    DerivedIndexes(library)
    message = f"{library.folder / 'lexical'}: another process is writing"
    with FileLock(library.folder / ".lexical.lock"), pytest.raises(LibraryBusyError, match=message):
        DerivedIndexes(library)


def test_a_base_that_cannot_be_written_is_done_without(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library.put([MANY])
    (library.folder / "dense").write_text("a file where the folder should be", encoding="utf-8")
    monkeypatch.setattr("index.derived._WAIT_S", 1)
    derived = DerivedIndexes(library)
    agree(library, derived)
    assert any(f"{library.folder / 'dense'}: cannot be written" in message for message in caplog.messages)


def test_what_an_older_quoth_left_for_a_small_library_is_cleared_away(library: Library) -> None:
    (library.folder / "dense").mkdir()
    (library.folder / "dense" / "state.json").write_text('{"file": "vectors-1.faiss"}', encoding="utf-8")
    agree(library, DerivedIndexes(library))
    assert not (library.folder / "dense").exists()
