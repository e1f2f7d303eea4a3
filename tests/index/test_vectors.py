"""The dense index: keys and cosines equal NumPy's brute force, whatever lies in the base and whatever came since."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index import base
from index.base import Keys, Vectors
from index.records import Changes, Moment
from index.vectors import MOST_BESIDE, DenseIndex, KeySet
from tests.index.parts import DIMENSION, unit_vectors

N = 30
VECTORS = unit_vectors(N, seed=3)
KEYS = np.sort(np.random.default_rng(4).permutation(1000)[:N].astype(np.int64))
QUERY = unit_vectors(1, seed=5)[0]
ALL = {int(key) for key in KEYS}
NONE = np.empty(0, dtype=np.int64)
subsets = st.sets(st.sampled_from(sorted(ALL)))


def changes(generation: int, *, added: Keys = NONE, removed: Keys = NONE) -> Changes:
    return Changes(moment=Moment(generation=generation, stamp="s"), removed=removed, added=added)


def reader(keys: Keys, vectors: Vectors) -> base.ReadVectors:
    """What a Library with these passages answers."""
    rows = {int(key): row for row, key in enumerate(keys)}

    def read(wanted: Keys) -> tuple[Keys, Vectors]:
        held = np.array(sorted(int(key) for key in wanted if int(key) in rows), dtype=np.int64)
        return held, vectors[[rows[int(key)] for key in held]].reshape(len(held), vectors.shape[1])

    return read


READ = reader(KEYS, VECTORS)


def index_of(folder: Path | None = None, n_in_base: int = 0) -> DenseIndex:
    """All of KEYS, the first so many in a base."""
    index = DenseIndex.of(DIMENSION)
    if folder is not None:
        index = DenseIndex.of(DIMENSION, base.build(folder, changes(1, added=KEYS[:n_in_base]), READ, DIMENSION))
    return index.caught_up(changes(2, added=KEYS[n_in_base:]), READ)


def brute_force(query: Vectors, k: int, among: set[int]) -> list[tuple[int, float]]:
    scored = [(int(key), float(vector @ query)) for key, vector in zip(KEYS, VECTORS, strict=True) if int(key) in among]
    return sorted(scored, key=lambda item: -item[1])[:k]


def same(found: list[tuple[int, float]], wanted: list[tuple[int, float]]) -> bool:
    return [key for key, _ in found] == [key for key, _ in wanted] and np.allclose(
        [score for _, score in found], [score for _, score in wanted], atol=1e-6
    )


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> DenseIndex:
    """A third in the base, the rest beside it."""
    return index_of(tmp_path_factory.mktemp("dense"), 10)


@given(seed=st.integers(0, 1000), k=st.integers(1, N + 5))
def test_search_is_brute_force(split: DenseIndex, seed: int, k: int) -> None:
    query = unit_vectors(1, seed)[0]
    wanted = brute_force(query, k, ALL)
    assert same(index_of().search(query, k), wanted)
    assert same(split.search(query, k), wanted)


@given(k=st.integers(1, N + 5), allowed=subsets, unknown=st.sets(st.integers(2000, 2010)))
def test_search_among_allowed_keys_gives_as_many_as_there_are(
    split: DenseIndex, k: int, allowed: set[int], unknown: set[int]
) -> None:
    keys = KeySet(np.array([*allowed, *unknown], dtype=np.int64))
    assert same(split.search(QUERY, k, keys), brute_force(QUERY, k, allowed))


@given(removed=subsets, k=st.integers(1, N))
def test_removed_keys_are_not_found_and_unknown_ones_are_ignored(split: DenseIndex, removed: set[int], k: int) -> None:
    index = split.caught_up(changes(3, removed=np.array([*removed, 5000], dtype=np.int64)), READ)
    assert same(index.search(QUERY, k), brute_force(QUERY, k, ALL - removed))
    assert set(index.keys().tolist()) == ALL - removed
    assert len(index) == N - len(removed)
    assert set(split.keys().tolist()) == ALL, "the index that was caught up from is as it was"


def test_passages_removed_one_after_another_stay_removed(split: DenseIndex) -> None:
    index = split
    for generation, key in enumerate(KEYS.tolist(), start=3):
        index = index.caught_up(changes(generation, removed=np.array([key], dtype=np.int64)), READ)
        assert key not in index.keys().tolist()
    assert (len(index), index.search(QUERY, 5), index.moment.generation) == (0, [], 2 + N)


def test_what_has_gone_before_it_could_be_read_is_not_there() -> None:
    index = DenseIndex.of(DIMENSION).caught_up(changes(1, added=np.array([int(KEYS[0]), 7000], dtype=np.int64)), READ)
    assert index.keys().tolist() == [int(KEYS[0])]


def test_the_opposite_vector_has_cosine_minus_one() -> None:
    one = np.array([7], dtype=np.int64)
    index = DenseIndex.of(DIMENSION).caught_up(changes(1, added=one), reader(one, -QUERY[None, :]))
    assert same(index.search(QUERY, 3), [(7, -1.0)])


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_is_found_where_nothing_is_asked(split: DenseIndex, k: int) -> None:
    assert split.search(QUERY, k) == []
    assert split.search(QUERY, 3, KeySet(NONE)) == []
    assert DenseIndex.of(DIMENSION).search(QUERY, 3) == []
    assert DenseIndex.of(DIMENSION).keys().tolist() == []


def test_equal_scores_are_in_the_order_of_their_keys(tmp_path: Path) -> None:
    keys = np.array([3, 5, 8, 9], dtype=np.int64)
    read = reader(keys, np.repeat(QUERY[None, :], 4, axis=0))
    index = DenseIndex.of(DIMENSION, base.build(tmp_path, changes(1, added=keys[2:]), read, DIMENSION))
    index = index.caught_up(changes(2, added=keys[:2]), read)
    assert [key for key, _ in index.search(QUERY, 4)] == [3, 5, 8, 9]


def test_merging_is_due_when_much_lies_beside_a_base_or_is_dead_in_it(tmp_path: Path) -> None:
    keys = np.arange(1, MOST_BESIDE + 2, dtype=np.int64)
    read = reader(keys, unit_vectors(len(keys), 1))
    few = DenseIndex.of(DIMENSION).caught_up(changes(1, added=keys[:-1]), read)
    assert not few.needs_merging
    assert few.caught_up(changes(2, added=keys[-1:]), read).needs_merging
    whole = DenseIndex.of(DIMENSION, base.build(tmp_path, changes(1, added=keys), read, DIMENSION))
    assert not whole.needs_merging
    assert whole.caught_up(changes(2, removed=keys), read).needs_merging
