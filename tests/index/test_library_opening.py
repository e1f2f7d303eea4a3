"""Opening a Library, and several at once: what cannot be used is refused by name, writers wait for each other."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from index.database import FILE_NAME, WITNESS_NAME
from index.derived import DerivedIndexes
from index.errors import LibraryBusyError, LibraryError
from index.library import Library
from tests.index.parts import SPACE, damage, flip_byte, new_article, new_library


@contextmanager
def another_writer(folder: Path) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of a write."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE state SET value = 99 WHERE name = 'generation'")
        yield connection


def test_a_missing_library_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=f"{tmp_path / 'none'}: no Library here yet.*quoth add"):
        Library(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_new_library_is_empty(tmp_path: Path) -> None:
    library = new_library(tmp_path / "a" / "b")
    assert (library.generation, library.counts(), library.articles()) == (0, (0, 0), [])
    assert library.passages([]) == {}


def test_a_newer_format_is_refused_and_says_to_update(tmp_path: Path) -> None:
    new_library(tmp_path)
    damage(tmp_path, "UPDATE state SET value = '3' WHERE name = 'format'")
    for create in (None, SPACE):
        with pytest.raises(LibraryError, match=f"{tmp_path}: written in format 3.*reads up to 2; update Quoth"):
            Library(tmp_path, create=create)


def test_another_embedder_or_dimension_is_refused(tmp_path: Path) -> None:
    new_library(tmp_path, new_article("a"))
    for space in (replace(SPACE, embedder_sha256="6" * 64), replace(SPACE, dimension=9)):
        with pytest.raises(LibraryError, match=f"{tmp_path}: its vectors come from another embedder"):
            Library(tmp_path, create=space)
    assert Library(tmp_path, create=SPACE).counts() == (1, 2)


def test_a_file_that_is_no_library_is_refused_with_its_folder(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    for content in (b"", b"This is not a database. " * 200):
        file.write_bytes(content)
        with pytest.raises(LibraryError, match=str(tmp_path)):
            Library(tmp_path)
    with pytest.raises(LibraryError, match=str(file)):
        Library(file, create=SPACE)


@pytest.mark.parametrize("name", ["format", "generation", "dimension", "embedder_sha256"])
def test_a_library_that_has_lost_a_fact_about_itself_is_refused(tmp_path: Path, name: str) -> None:
    new_library(tmp_path)
    damage(tmp_path, "DELETE FROM state WHERE name = ?", [name])
    with pytest.raises(LibraryError, match=str(tmp_path)):
        Library(tmp_path)


def test_a_fact_that_is_no_number_is_refused(tmp_path: Path) -> None:
    new_library(tmp_path)
    damage(tmp_path, "UPDATE state SET value = 'many' WHERE name = 'dimension'")
    with pytest.raises(LibraryError, match=str(tmp_path)):
        Library(tmp_path)


def test_a_damaged_first_page_is_refused(tmp_path: Path) -> None:
    new_library(tmp_path, new_article("a"))
    damage(tmp_path, "UPDATE articles SET url = 'x'")
    flip_byte(tmp_path / FILE_NAME, 3)
    with pytest.raises(LibraryError, match=str(tmp_path)):
        Library(tmp_path)


def test_a_writer_that_waits_in_vain_is_told_to_try_again(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a"))
    library._database.connection().execute("PRAGMA busy_timeout = 50")  # seconds are too long for a test
    with another_writer(tmp_path):
        with pytest.raises(
            LibraryBusyError, match=rf"{tmp_path}: process {os.getpid()} \(.*\), since .* UTC, is writing; try again"
        ):
            library.put([new_article("b")])
        assert (library.generation, library.find("b")) == (1, None)
        assert library.get("a") == new_article("a").article
    library.put([new_article("b")])
    assert library.generation == 2


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    library = new_library(tmp_path)
    with another_writer(tmp_path) as connection:
        timer = threading.Timer(0.3, connection.execute, ["COMMIT"])
        timer.start()
        library.put([new_article("b")])
        timer.join()
    assert library.generation == 100
    assert library.find("b") is not None


def test_a_write_that_was_stopped_midway_is_not_there(tmp_path: Path) -> None:
    new_library(tmp_path, new_article("a"))
    with another_writer(tmp_path) as connection:
        connection.execute("DELETE FROM articles")
    again = Library(tmp_path)
    assert (again.generation, again.counts()) == (1, (1, 2))


def test_threads_share_a_library(tmp_path: Path) -> None:
    library = new_library(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: library.put([new_article(f"a{n}", seed=n)]), range(12)))
        counts = set(pool.map(lambda _: library.counts(), range(4)))
    assert (library.generation, counts) == (12, {(12, 24)})


def test_two_that_create_the_same_library_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        libraries = list(pool.map(lambda _: new_library(tmp_path / "new"), range(4)))
    libraries[0].put([new_article("a")])
    assert [library.counts() for library in libraries] == [(1, 2)] * 4


def test_a_read_only_folder_is_read_and_writing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_library(tmp_path, new_article("a"))
    damage(tmp_path, "UPDATE articles SET url = ''")  # nothing is left in the write-ahead log
    monkeypatch.setattr("index.database.os.access", lambda *_: False)
    library = Library(tmp_path, create=SPACE)
    assert (library.is_read_only, library.counts(), library.moment.generation) == (True, (1, 2), 1)
    with pytest.raises(LibraryError, match=f"{tmp_path}: the folder is read-only"):
        library.put([new_article("b")])
    assert Library(tmp_path).counts() == (1, 2)


def test_what_is_only_in_the_log_is_read_in_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = new_library(tmp_path, new_article("a"))
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size > 0
    monkeypatch.setattr("index.database.os.access", lambda *_: False)
    assert Library(tmp_path).counts() == (1, 2)
    assert writer.counts() == (1, 2)


def test_a_library_that_cannot_be_migrated_where_it_is_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_library(tmp_path, new_article("a"))
    damage(tmp_path, "UPDATE state SET value = '1' WHERE name = 'format'")
    monkeypatch.setattr("index.database.os.access", lambda *_: False)
    with pytest.raises(LibraryError, match=f"{tmp_path}: written in format 1.*open it once where it can be written"):
        Library(tmp_path)


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_no_new_library_takes_the_place_of_one_whose_file_is_gone(tmp_path: Path, kind: str) -> None:
    DerivedIndexes(new_library(tmp_path, new_article("a")))
    file = tmp_path / FILE_NAME
    file.unlink()
    if kind == "empty":
        file.touch()
    with pytest.raises(LibraryError, match=f"{file}: missing or empty.*restore it"):
        Library(tmp_path, create=SPACE)


@pytest.mark.parametrize("kind", ["missing", "cut", "flipped"])
def test_acknowledged_writes_that_are_lost_with_the_log_are_noticed(tmp_path: Path, kind: str) -> None:
    library = new_library(tmp_path / "a", new_article("a"))
    library.put([new_article("b")])
    shutil.copytree(tmp_path / "a", tmp_path / "copy")  # as a machine that lost power leaves it
    wal = tmp_path / "copy" / f"{FILE_NAME}-wal"
    if kind == "missing":
        damage(tmp_path / "copy", "UPDATE moments SET stamp = 'other' WHERE generation = 2")
    elif kind == "cut":
        wal.write_bytes(wal.read_bytes()[:-100])
    else:
        flip_byte(wal, -100)
    with pytest.raises(LibraryError, match=f"{FILE_NAME}: write 2 was acknowledged.*{WITNESS_NAME}"):
        Library(tmp_path / "copy")
    (tmp_path / "copy" / WITNESS_NAME).unlink()
    assert Library(tmp_path / "copy").find("a") is not None


@pytest.mark.parametrize("kind", ["missing", "cut", "flipped", "older"])
def test_a_damaged_or_older_word_of_the_last_write_does_no_harm(tmp_path: Path, kind: str) -> None:
    library = new_library(tmp_path, new_article("a"))
    witness = tmp_path / WITNESS_NAME
    older = witness.read_bytes()
    library.put([new_article("b")])
    if kind == "missing":
        witness.unlink()
    elif kind == "cut":
        witness.write_bytes(witness.read_bytes()[:-3])
    elif kind == "flipped":
        flip_byte(witness, 20)
    else:
        witness.write_bytes(older)
    again = Library(tmp_path)
    again.put([new_article("c")])
    assert Library(tmp_path).counts() == (3, 6)
