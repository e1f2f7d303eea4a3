from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.vector_kinds import KINDS, Kind, add, n_lists, set_search, train, untrained
from bench.vector_rows import K, built, choices, nearest_of, opened, recall, searched

FLAT = Kind(name="Flat", factory="Flat")
LISTS = Kind(name="lists", factory="IVF{lists},Flat", settings=("nprobe=1", "nprobe=1000"), ways=("memory", "mapped"))
DIMENSION = 16


def unit_vectors(n: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((n, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


VECTORS, QUESTIONS = unit_vectors(800, 1), unit_vectors(30, 2)


@pytest.fixture
def vectors_file(tmp_path: Path) -> Path:
    np.save(tmp_path / "vectors.npy", VECTORS)
    return tmp_path / "vectors.npy"


def slow_nearest(vectors: NDArray[np.float32], questions: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    return np.argsort(-(questions @ vectors.T), axis=1, kind="stable")[:, :k]


def test_nearest_of_is_comparing_all() -> None:
    assert np.array_equal(nearest_of(VECTORS, QUESTIONS), slow_nearest(VECTORS, QUESTIONS, K))


def test_nearest_of_few_is_all_of_them() -> None:
    assert np.array_equal(nearest_of(VECTORS[:7], QUESTIONS), slow_nearest(VECTORS[:7], QUESTIONS, 7))


@pytest.mark.parametrize(
    ("found", "k", "share"),
    [
        ([1, 2, 3], 3, 1.0),
        ([3, 1, 2], 3, 1.0),
        ([1, 9, 2], 3, 2 / 3),
        ([2, 3, 1], 1, 0.0),
        ([], 3, 0.0),
        ([1, -1, -1], 3, 1 / 3),
    ],
)
def test_recall(found: list[int], k: int, share: float) -> None:
    assert recall(np.array(found, dtype=np.int64), np.array([1, 2, 3]), k) == pytest.approx(share)


def test_recall_of_fewer_than_k() -> None:
    assert recall(np.array([4, 5]), np.array([5, 4]), 10) == 1.0


def test_lists_grow_as_the_root() -> None:
    assert [n_lists(n) for n in (100, 10_000, 1_000_000)] == [40, 400, 4000]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_can_be_built_and_set(kind: Kind) -> None:
    vectors = np.tile(VECTORS[:300], (1, 24))  # 384 dimensions, which the product quantiser divides
    vectors = np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    index = untrained(kind, len(vectors), vectors.shape[1])
    train(index, vectors)
    add(index, vectors)
    assert index.ntotal == len(vectors)
    set_search(index, kind.settings[-1])
    _, rows = index.search(vectors[:20], 5)
    assert np.mean([row in found for row, found in enumerate(rows)]) >= 0.9


def test_whole_vectors_are_no_differences() -> None:
    kinds = {kind.name: untrained(kind, 1000, 384) for kind in KINDS if kind.has_lists and "SQ8" in kind.factory[-3:]}
    assert {name: index.by_residual for name, index in kinds.items()} == {"IVF,SQ8": True, "IVF,SQ8-whole": False}


def test_built_is_an_index_of_the_first_vectors(vectors_file: Path, tmp_path: Path) -> None:
    row = built(LISTS, vectors_file, 500, tmp_path / "index")
    assert (row.n, row.kind) == (500, "lists")
    assert row.file_mb == round((tmp_path / "index").stat().st_size / 1e6, 1)
    index: Any = faiss.read_index(str(tmp_path / "index"))
    assert (index.ntotal, index.nlist) == (500, n_lists(500))
    index.nprobe = index.nlist
    assert np.array_equal(index.search(QUESTIONS, K)[1], slow_nearest(VECTORS[:500], QUESTIONS, K))


def test_opened_says_what_cannot_be_changed(vectors_file: Path, tmp_path: Path) -> None:
    built(LISTS, vectors_file, 500, tmp_path / "index")
    in_memory, mapped = (opened(LISTS, tmp_path / "index", way, QUESTIONS) for way in LISTS.ways)
    assert in_memory.n == mapped.n == 500
    assert in_memory.add_ten_ms is not None
    assert in_memory.remove_ten_ms is not None
    assert (mapped.add_ten_ms, mapped.remove_ten_ms) == (None, None)
    assert faiss.read_index(str(tmp_path / "index")).ntotal == 500


def test_a_graph_cannot_remove(vectors_file: Path, tmp_path: Path) -> None:
    graph = Kind(name="graph", factory="HNSW8,Flat", settings=("efSearch=64",))
    built(graph, vectors_file, 500, tmp_path / "index")
    row = opened(graph, tmp_path / "index", "memory", QUESTIONS)
    assert row.add_ten_ms is not None
    assert row.remove_ten_ms is None


@pytest.mark.parametrize("threads", [1, 2])
def test_searched_compares_with_comparing_all(vectors_file: Path, tmp_path: Path, threads: int) -> None:
    for kind in (FLAT, LISTS):
        built(kind, vectors_file, len(VECTORS), tmp_path / kind.name)
    these = choices([(kind, tmp_path / kind.name) for kind in (FLAT, LISTS)])
    rows = {(row.kind, row.way, row.setting): row for row in searched(VECTORS, QUESTIONS, these, threads)}
    assert set(rows) == {
        *(("Flat", way, "") for way in FLAT.ways),
        *(("lists", way, setting) for way in LISTS.ways for setting in LISTS.settings),
    }
    for (name, _, setting), row in rows.items():
        exact = name == "Flat" or setting == "nprobe=1000"
        assert (row.recall_10 == row.recall_50 == 1.0) == exact
        assert (row.n, row.questions, row.threads) == (800, 30, threads)
        assert 0 < row.ms_p50 <= row.ms_p99
