"""The base of the dense index: read as it was written, merged as if made anew, never read when damaged."""

import json
from pathlib import Path

import numpy as np
import pytest

from index import base
from index.base import EXACT_UP_TO, Keys, Vectors
from index.errors import DamagedIndexError
from index.files import write_synced
from index.records import Changes, Moment
from index.vectors import DenseIndex, KeySet
from tests.index.parts import DIMENSION, flip_byte, unit_vectors

NONE = np.empty(0, dtype=np.int64)
FEW = np.arange(1, 31, dtype=np.int64)
MANY = np.arange(1, EXACT_UP_TO + 5001, dtype=np.int64)
VECTORS = unit_vectors(len(MANY) + 1, seed=3)
QUERY = unit_vectors(1, seed=5)[0]


def read(keys: Keys) -> tuple[Keys, Vectors]:
    """Passage 7 has its vector in row 7, and so on."""
    held = np.sort(keys)
    return held, VECTORS[held]


def made(folder: Path, keys: Keys = FEW, generation: int = 1) -> base.Base:
    moment = Moment(generation=generation, stamp=f"{generation:02x}")
    return base.build(folder, Changes(moment=moment, removed=NONE, added=keys), read, DIMENSION)


def merged(folder: Path, old: base.Base, *, removed: Keys = NONE, added: Keys = NONE) -> base.Base:
    moment = Moment(generation=old.moment.generation + 1, stamp="ff")
    return base.merge(folder, old, moment, removed=removed, added=added, vectors=VECTORS[added])


def nearest(among: Keys, k: int) -> list[int]:
    return [int(among[row]) for row in np.argsort(-(VECTORS[among] @ QUERY), kind="stable")[:k]]


def found(saved: base.Base, k: int, allowed: KeySet | None = None) -> list[int]:
    return [key for key, _ in DenseIndex.of(DIMENSION, saved).search(QUERY, k, allowed)]


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    made(tmp_path / "a" / "b")
    again = base.load(tmp_path / "a" / "b", DIMENSION)
    assert (again.moment, again.n, again.last_key) == (Moment(generation=1, stamp="01"), 30, 30)
    assert sorted(again.keys().tolist()) == FEW.tolist()
    assert found(again, 30) == nearest(FEW, 30)


def test_an_empty_one_is_kept_too(tmp_path: Path) -> None:
    made(tmp_path, NONE)
    again = base.load(tmp_path, DIMENSION)
    assert (again.n, again.last_key, found(again, 3)) == (0, 0, [])


def test_merging_equals_making_anew_and_leaves_one_file(tmp_path: Path) -> None:
    added, removed = np.arange(31, 41, dtype=np.int64), np.array([2, 30], dtype=np.int64)
    after = merged(tmp_path, made(tmp_path), removed=removed, added=added)
    wanted = np.setdiff1d(np.concatenate([FEW, added]), removed)
    assert sorted(after.keys().tolist()) == wanted.tolist()
    assert found(after, 10) == nearest(wanted, 10)
    assert (after.n, after.last_key, after.moment.generation) == (38, 40, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base-2-ff.faiss", "state.json"]


def test_an_open_base_goes_on_while_another_takes_its_place(tmp_path: Path) -> None:
    old = made(tmp_path)
    merged(tmp_path, old, removed=FEW[:20])
    assert found(old, 10) == nearest(FEW, 10)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> base.Base:
    return made(tmp_path_factory.mktemp("large"), MANY)


def test_a_large_one_searches_lists_and_finds_nearly_all(large: base.Base) -> None:
    assert DenseIndex.of(DIMENSION, large).is_approximate
    assert sorted(large.keys().tolist()) == MANY.tolist()
    hits = recall = 0
    for seed in range(20):
        query = unit_vectors(1, seed)[0]
        wanted = set((np.argsort(-(VECTORS[1:] @ query))[:10] + 1).tolist())
        ranking = DenseIndex.of(DIMENSION, large).search(query, 10)
        recall += len(wanted & {key for key, _ in ranking})
        hits += len(ranking)
        for key, score in ranking:
            assert score == pytest.approx(float(VECTORS[key] @ query), abs=0.02)
    assert hits == 200
    assert recall >= 180  # eight numbers of eight bits: ties are many


@pytest.mark.parametrize("n_allowed", [1, 60, 5000])
def test_a_filter_finds_k_in_lists_if_there_are_as_many(large: base.Base, n_allowed: int) -> None:
    keys = np.random.default_rng(1).choice(MANY, size=n_allowed, replace=False)
    ranking = found(large, 50, KeySet(keys))
    assert len(ranking) == min(50, n_allowed)
    assert set(ranking) <= set(keys.tolist())


def test_lists_are_merged_without_training_and_made_anew_when_twice_as_many(large: base.Base, tmp_path: Path) -> None:
    after = merged(tmp_path, large, removed=MANY[:1000])
    assert (after.n, after.n_trained) == (len(MANY) - 1000, len(MANY))
    assert not set(found(after, 200)) & set(MANY[:1000].tolist())
    assert base.needs_building(EXACT_UP_TO, None)
    few = made(tmp_path / "few")
    assert not base.needs_building(EXACT_UP_TO, few)
    assert base.needs_building(EXACT_UP_TO + 1, few)
    assert not base.needs_building(2 * len(MANY), large)
    assert base.needs_building(2 * len(MANY) + 1, large)


@pytest.mark.parametrize("position", [0, 40, 200, -1])
@pytest.mark.parametrize("name", ["base-1-01.faiss", "state.json"])
def test_a_flipped_byte_is_noticed_and_the_file_named(tmp_path: Path, name: str, position: int) -> None:
    made(tmp_path)
    size = (tmp_path / name).stat().st_size
    flip_byte(tmp_path / name, min(position, size - 2))
    with pytest.raises(DamagedIndexError, match=str(tmp_path)):
        base.load(tmp_path, DIMENSION)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
@pytest.mark.parametrize("name", ["base-1-01.faiss", "state.json"])
def test_a_file_that_is_cut_is_noticed(tmp_path: Path, name: str, kept: int) -> None:
    made(tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: min(kept, len(data) - 1)])
    with pytest.raises(DamagedIndexError, match=str(tmp_path)):
        base.load(tmp_path, DIMENSION)


@pytest.mark.parametrize(
    "state", ["[]", "5", "{}", '{"format": 2}', '{"format": 1}', '{"format": 2, "file": "gone", "crc32": 0}']
)
def test_a_state_of_another_kind_is_noticed(tmp_path: Path, state: str) -> None:
    (tmp_path / "state.json").write_text(state, encoding="utf-8")
    with pytest.raises(DamagedIndexError, match=str(tmp_path)):
        base.load(tmp_path, DIMENSION)


def test_another_dimension_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(DamagedIndexError, match=f"{tmp_path}.*vectors of 8 dimensions, not 9"):
        base.load(tmp_path, 9)
    with pytest.raises(DamagedIndexError, match="gone"):
        base.load(tmp_path / "gone", DIMENSION)


def test_the_file_on_record_is_the_one_read_while_a_newer_one_is_not_yet(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "base-2-02.faiss").write_bytes(b"half of it")  # a stop between the two files
    assert base.load(tmp_path, DIMENSION).n == 30


def test_a_synced_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_synced(tmp_path / "state.json", json.dumps([1]).encode())
    write_synced(tmp_path / "state.json", b"2")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("state.json", b"2")]
