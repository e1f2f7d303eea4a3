"""The dense index: keys and cosines equal NumPy's brute force, and a damaged file is never read as if it were whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.vectors import DamagedIndexError, DenseIndex, write_synced
from tests.index.parts import DIMENSION, flip_byte, unit_vectors

N = 30
VECTORS = unit_vectors(N, seed=3)
KEYS = np.random.default_rng(4).permutation(1000)[:N].astype(np.int64)
QUERY = unit_vectors(1, seed=5)[0]


def index_of(keys: NDArray[np.int64] = KEYS, vectors: NDArray[np.float32] = VECTORS) -> DenseIndex:
    found = DenseIndex(DIMENSION)
    found.add(keys, vectors)
    return found


def brute_force(query: NDArray[np.float32], k: int, among: set[int]) -> list[tuple[int, float]]:
    scored = [(int(key), float(vector @ query)) for key, vector in zip(KEYS, VECTORS, strict=True) if int(key) in among]
    return sorted(scored, key=lambda item: -item[1])[:k]


def same(found: list[tuple[int, float]], wanted: list[tuple[int, float]]) -> bool:
    return [key for key, _ in found] == [key for key, _ in wanted] and np.allclose(
        [score for _, score in found], [score for _, score in wanted], atol=1e-6
    )


ALL = {int(key) for key in KEYS}
subsets = st.sets(st.sampled_from(sorted(ALL)))


@given(seed=st.integers(0, 1000), k=st.integers(1, N + 5))
def test_search_is_brute_force(seed: int, k: int) -> None:
    query = unit_vectors(1, seed)[0]
    assert same(index_of().search(query, k), brute_force(query, k, ALL))


@given(k=st.integers(1, N + 5), allowed=subsets, unknown=st.sets(st.integers(2000, 2010)))
def test_search_among_allowed_keys_gives_as_many_as_there_are(k: int, allowed: set[int], unknown: set[int]) -> None:
    keys = np.array([*allowed, *unknown], dtype=np.int64)
    assert same(index_of().search(QUERY, k, keys), brute_force(QUERY, k, allowed))


@given(removed=subsets, k=st.integers(1, N))
def test_removed_keys_are_not_found_and_unknown_ones_are_ignored(removed: set[int], k: int) -> None:
    index = index_of()
    index.remove(np.array([*removed, 5000], dtype=np.int64))
    assert same(index.search(QUERY, k), brute_force(QUERY, k, ALL - removed))
    assert set(index.keys().tolist()) == ALL - removed
    assert len(index) == N - len(removed)


def test_a_key_that_is_added_again_has_its_new_vector_only() -> None:
    index = index_of()
    index.add(KEYS[:1], QUERY[None, :])
    assert len(index) == N
    assert same(index.search(QUERY, 1), [(int(KEYS[0]), 1.0)])


def test_the_opposite_vector_has_cosine_minus_one() -> None:
    index = index_of(np.array([7], dtype=np.int64), -QUERY[None, :])
    assert same(index.search(QUERY, 3), [(7, -1.0)])


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_is_found_where_nothing_is_asked(k: int) -> None:
    assert index_of().search(QUERY, k) == []
    assert index_of().search(QUERY, 3, np.array([], dtype=np.int64)) == []
    assert DenseIndex(DIMENSION).search(QUERY, 3) == []
    assert DenseIndex(DIMENSION).keys().tolist() == []


def test_a_saved_index_is_read_as_it_was_and_can_be_changed(tmp_path: Path) -> None:
    index = index_of()
    index.generation = 7
    index.save(tmp_path)
    found = DenseIndex.load(tmp_path, DIMENSION)
    assert found.generation == 7
    assert same(found.search(QUERY, N), brute_force(QUERY, N, ALL))
    found.remove(KEYS[:3])
    found.generation = 8
    found.save(tmp_path)
    again = DenseIndex.load(tmp_path, DIMENSION)
    assert (again.generation, set(again.keys().tolist())) == (8, ALL - {int(key) for key in KEYS[:3]})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json", "vectors-8.faiss"]


def test_an_empty_index_is_saved_too(tmp_path: Path) -> None:
    DenseIndex(DIMENSION).save(tmp_path / "a" / "b")
    assert len(DenseIndex.load(tmp_path / "a" / "b", DIMENSION)) == 0


@pytest.mark.parametrize("position", [0, 40, 200, -1])
@pytest.mark.parametrize("name", ["vectors-0.faiss", "state.json"])
def test_a_flipped_byte_is_noticed_and_the_folder_named(tmp_path: Path, name: str, position: int) -> None:
    index_of().save(tmp_path)
    size = (tmp_path / name).stat().st_size
    flip_byte(tmp_path / name, min(position, size - 2))
    with pytest.raises(DamagedIndexError, match=str(tmp_path)):
        DenseIndex.load(tmp_path, DIMENSION)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
@pytest.mark.parametrize("name", ["vectors-0.faiss", "state.json"])
def test_a_file_that_is_cut_is_noticed(tmp_path: Path, name: str, kept: int) -> None:
    index_of().save(tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: min(kept, len(data) - 1)])
    with pytest.raises(DamagedIndexError, match=str(tmp_path)):
        DenseIndex.load(tmp_path, DIMENSION)


@pytest.mark.parametrize("state", ["[]", "5", "{}", '{"file": 3}', '{"file": "gone", "generation": 0, "sha256": ""}'])
def test_a_state_of_another_kind_is_noticed(tmp_path: Path, state: str) -> None:
    (tmp_path / "state.json").write_text(state, encoding="utf-8")
    with pytest.raises(DamagedIndexError, match=str(tmp_path)):
        DenseIndex.load(tmp_path, DIMENSION)


def test_another_dimension_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    index_of().save(tmp_path)
    with pytest.raises(DamagedIndexError, match=f"{tmp_path}: vectors of 8 dimensions, not 9"):
        DenseIndex.load(tmp_path, 9)
    with pytest.raises(DamagedIndexError, match="gone"):
        DenseIndex.load(tmp_path / "gone", DIMENSION)


def test_the_file_on_record_is_the_one_read_while_a_newer_one_is_not_yet(tmp_path: Path) -> None:
    index_of().save(tmp_path)
    (tmp_path / "vectors-1.faiss").write_bytes(b"half of it")  # a stop between the two files
    assert len(DenseIndex.load(tmp_path, DIMENSION)) == N


def test_a_synced_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_synced(tmp_path / "state.json", json.dumps([1]).encode())
    write_synced(tmp_path / "state.json", b"2")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("state.json", b"2")]
