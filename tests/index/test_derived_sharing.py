"""Derived indexes that several processes and threads use at once: all end up holding what the Library holds."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tantivy

from index.derived import DerivedIndexes
from index.library import Library
from index.records import Filters
from tests.index.parts import agree, new_article, new_library, unit_vectors

FIRST, SECOND = new_article("a", "Suez canal.\nA ship.", seed=1), new_article("b", "Idlib.", seed=2, title="Raid")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return new_library(tmp_path, FIRST, SECOND)


def test_what_another_process_does_is_seen_at_refresh(library: Library) -> None:
    mine = DerivedIndexes(library)
    other = Library(library.folder)
    other.put([new_article("c", "Later.", seed=4)])
    theirs = DerivedIndexes(other)
    other.remove("a")
    theirs.refresh()
    mine.refresh()
    agree(library, mine)
    agree(other, theirs)


def test_what_another_process_puts_in_without_indexing_is_seen_too(library: Library) -> None:
    mine = DerivedIndexes(library)
    Library(library.folder).put([new_article("a", "Replaced.", seed=4)])
    mine.refresh()
    agree(library, mine)


@pytest.mark.parametrize("name", ["dense", "lexical"])
def test_a_folder_deleted_while_it_is_open_is_made_anew(library: Library, name: str) -> None:
    derived = DerivedIndexes(library)
    shutil.rmtree(library.folder / name, ignore_errors=True)
    library.put([new_article("c", "Later.", seed=4)])
    derived.refresh()
    agree(library, derived)
    agree(library, DerivedIndexes(library))


def test_another_process_may_rebuild_under_an_open_index(library: Library) -> None:
    mine = DerivedIndexes(library)
    for name in ("dense", "lexical"):
        shutil.rmtree(library.folder / name, ignore_errors=True)
    theirs = DerivedIndexes(Library(library.folder))
    assert mine.search("canal", FIRST.vectors[0], 1, Filters()) == theirs.search(
        "canal", FIRST.vectors[0], 1, Filters()
    )
    library.put([new_article("c", "Later.", seed=4)])
    theirs.refresh()
    mine.refresh()
    agree(library, theirs)
    agree(library, mine)


def test_while_another_process_writes_words_the_rest_is_done_and_words_follow(library: Library) -> None:
    derived = DerivedIndexes(library)
    folder = str(library.folder / "lexical")
    writer = tantivy.Index.open(folder).writer(heap_size=32_000_000, num_threads=1)
    library.put([new_article("c", "Later.", seed=4)])
    derived.refresh()
    assert (derived.dense.moment.generation, derived.lexical.moment.generation) == (2, 1)
    writer.rollback()
    writer.wait_merging_threads()
    derived.refresh()
    agree(library, derived)


def test_searches_go_on_while_another_thread_refreshes(library: Library) -> None:
    derived = DerivedIndexes(library)

    def write(n: int) -> None:
        library.put([new_article(f"c{n % 3}", f"Number {n}.", seed=n)])
        derived.refresh()

    def search(n: int) -> int:
        dense, _ = derived.search("number canal", unit_vectors(1, n)[0], 50, Filters())
        return len(dense) - len({key for key, _ in dense})

    with ThreadPoolExecutor(3) as pool:
        writes, searches = pool.map(write, range(12)), pool.map(search, range(200))
        assert set(searches) == {0}
        assert len(list(writes)) == 12
    agree(library, derived)


def test_two_that_open_a_library_without_indexes_at_once_agree(library: Library) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: DerivedIndexes(Library(library.folder)), range(4)))
    for derived in opened:
        agree(library, derived)
