"""`faults`: nothing for a Library that is well, and a sentence that names the place for each kind of damage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index import base
from index.base import EXACT_UP_TO
from index.check import faults, repair
from index.database import FILE_NAME, WITNESS_NAME
from index.derived import DerivedIndexes
from index.errors import LibraryError
from index.library import Library
from index.records import Changes
from index.vectors import MOST_BESIDE
from tests.index.parts import DIMENSION, all_vectors, damage, flip_byte, new_article, new_library, unit_vectors

# Article "a" has the passages 1 [0, 12) and 2 [12, 20); article "b" has 3 [0, 6).
ONE, OTHER = new_article("a", "Suez canal.\nA ship 東.", seed=1), new_article("b", "Idlib.", seed=2)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = new_library(tmp_path, ONE, OTHER)
    DerivedIndexes(library)
    return library


@pytest.fixture
def large(library: Library) -> Library:
    """A Library with a base."""
    library.put([new_article("many", "A ship.\n" * MOST_BESIDE, seed=3)])
    DerivedIndexes(library).merge()
    return library


def found(folder: Path) -> list[str]:
    return list(faults(Library(folder)))


def test_a_library_that_is_well_has_no_faults(library: Library, tmp_path: Path) -> None:
    assert found(library.folder) == []
    assert found(new_library(tmp_path / "empty").folder) == []


def test_indexes_that_are_behind_are_no_fault(library: Library) -> None:
    library.put([new_article("c")])
    library.remove("a")
    assert found(library.folder) == []


UNIT = unit_vectors(1, 9).tobytes()
DAMAGES: dict[str, tuple[str, list[Any], str]] = {
    "text": ("UPDATE articles SET text = replace(text, 'ship', 'shop')", [], "article 'a': it is not as it was stored"),
    "hash": ("UPDATE articles SET sha256 = '' WHERE article_id = 'b'", [], "article 'b': it is not as it was stored"),
    "long passage": ('UPDATE passages SET "end" = 99 WHERE passage_key = 2', [], "'a': passage 2 is not a slice"),
    "empty passage": ('UPDATE passages SET "end" = 12 WHERE passage_key = 2', [], "passage 2"),
    "negative passage": ("UPDATE passages SET start = -1 WHERE passage_key = 1", [], "passage 1"),
    "gap": ("UPDATE passages SET start = 14 WHERE passage_key = 2", [], "'a': characters 12 to 14 are in no passage"),
    "no end": ('UPDATE passages SET "end" = 15 WHERE passage_key = 2', [], "'a': characters 15 to 21 are in no"),
    "no beginning": ("UPDATE passages SET start = 1 WHERE passage_key = 1", [], "'a': characters 0 to 1 are in no"),
    "no passages": ("DELETE FROM passages WHERE article_key = 2", [], "'b': characters 0 to 6 are in no passage"),
    "no article": ("DELETE FROM articles WHERE article_id = 'b'", [], "passage 3"),
    "other length": ("UPDATE passages SET vector = ? WHERE passage_key = 2", [2 * UNIT], "passage 2"),
    "zero": ("UPDATE passages SET vector = ? WHERE passage_key = 3", [b"\0" * 4 * DIMENSION], "passage 3: its vector"),
    "not a number": (
        "UPDATE passages SET vector = ? WHERE passage_key = 1",
        [np.full(DIMENSION, np.nan, dtype=np.float32).tobytes()],
        "passage 1: its vector is not of unit length",
    ),
    "part of a vector": ("UPDATE passages SET vector = ? WHERE passage_key = 1", [UNIT[:7]], "passage 1"),
    "title": ("UPDATE articles SET title = 'Other' WHERE article_id = 'a'", [], "'a': it is not as it was stored"),
    "another date": ("UPDATE articles SET published = '2020-01-01' WHERE article_id = 'b'", [], "'b': it is not as"),
    "bit of a vector": (
        "UPDATE passages SET vector = ? WHERE passage_key = 3",
        [np.nextafter(OTHER.vectors[0], np.float32(2)).tobytes()],
        "article 'b': passage 3 is not as it was stored",
    ),
    "date": ("UPDATE articles SET published = 'soon' WHERE article_id = 'b'", [], "'b'"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_in_the_library_is_named(library: Library, name: str) -> None:
    statement, values, message = DAMAGES[name]
    damage(library.folder, statement, values)
    assert any(message in fault for fault in found(library.folder)), found(library.folder)


def test_every_fault_is_named_not_only_the_first(library: Library) -> None:
    damage(library.folder, "UPDATE articles SET text = text || 'x'")
    assert len([fault for fault in found(library.folder) if "hash differs" in fault]) == 2


def test_a_page_of_the_file_that_was_overwritten_is_named(tmp_path: Path) -> None:
    library = new_library(tmp_path, *(new_article(f"a{n}", f"Line {n}.\n" * 20, seed=n) for n in range(40)))
    damage(tmp_path, "UPDATE articles SET url = ''")
    del library
    data = bytearray((tmp_path / FILE_NAME).read_bytes())
    page = 4096
    for number in range(12, len(data) // page - 2, 5):
        data[number * page : number * page + 64] = b"\xff" * 64
    (tmp_path / FILE_NAME).write_bytes(data)
    assert found(tmp_path)[0].startswith(f"{tmp_path / FILE_NAME}: the Library file is damaged: ")


def missing(name: str) -> Callable[[Path], object]:
    return lambda folder: shutil.rmtree(folder / name)


def flipped(pattern: str) -> Callable[[Path], object]:
    def flip(folder: Path) -> None:
        file = max(folder.glob(pattern), key=lambda file: file.stat().st_size)
        flip_byte(file, file.stat().st_size // 4)

    return flip


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (missing("dense"), "dense/state.json: the dense index cannot be read"),
        (missing("lexical"), "lexical: the lexical index cannot be read"),
        (flipped("dense/*.faiss"), "not what was written"),
        (flipped("dense/state.json"), "dense"),
        (flipped("lexical/meta.json"), "lexical"),
        (flipped("lexical/*.idx"), "lexical"),
        (flipped("lexical/*.term"), "lexical"),
    ],
)
def test_damage_in_an_index_is_named_with_its_folder_and_repaired(
    large: Library, broken: Callable[[Path], object], message: str
) -> None:
    broken(large.folder)
    (fault,) = found(large.folder)
    assert message in fault
    assert str(large.folder) in fault
    repair(large)
    assert found(large.folder) == []


def with_base(library: Library, keys: list[int], *, other_vectors: bool = False) -> None:
    """Write a base that claims to be of this moment."""
    held = np.array(keys, dtype=np.int64)
    vectors = (
        unit_vectors(len(held), 77) if other_vectors else np.concatenate([all_vectors(library)[1]] * 2)[: len(held)]
    )
    changes = Changes(moment=library.moment, removed=held[:0], added=held)
    base.build(library.folder / "dense", changes, lambda some: (some, vectors), DIMENSION)


def test_an_index_that_lacks_and_invents_passages_is_named(library: Library) -> None:
    with_base(library, [3, 77])
    derived = DerivedIndexes(library)
    derived.lexical.update(removed=[3], added=[], moment=library.moment)
    lacking = [fault for fault in found(library.folder) if "lacks" in fault]
    assert lacking == [
        "the dense index lacks 2 passages and holds 1 that do not exist",
        "the lexical index lacks 1 passages and holds 0 that do not exist",
    ]
    repair(library)
    assert found(library.folder) == []


def test_an_index_of_other_vectors_is_named(library: Library) -> None:
    with_base(library, [1, 2, 3], other_vectors=True)
    assert found(library.folder) == ["the dense index gives scores that the Library's vectors do not"]


def test_lists_are_compared_with_every_vector(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a", "A ship.\n" * (EXACT_UP_TO + 1), seed=3))
    DerivedIndexes(library)
    assert found(tmp_path) == []


def test_indexes_of_another_history_are_named(large: Library) -> None:
    damage(large.folder, "UPDATE moments SET stamp = 'other'")
    (large.folder / WITNESS_NAME).unlink()
    assert [fault.split(": ")[1] for fault in found(large.folder)] == [
        "made from another Library, or from a later state of this one"
    ] * 2


def test_a_read_only_library_is_not_repaired(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.database.os.access", lambda *_: False)
    with pytest.raises(LibraryError, match=f"{library.folder}: the folder is read-only"):
        repair(Library(library.folder))


def test_checking_changes_nothing(library: Library) -> None:
    shutil.rmtree(library.folder / "lexical")
    before = sorted(path.name for path in library.folder.rglob("*"))
    found(library.folder)
    assert sorted(path.name for path in library.folder.rglob("*")) == before
