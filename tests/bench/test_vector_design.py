from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.vector_design import bitmap, filtered, nearest_among, part_of, probing, removed, reranked
from bench.vector_rows import K, nearest_of


def unit_vectors(n: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((n, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


VECTORS, QUESTIONS = unit_vectors(21_000, 1), unit_vectors(10, 2)


@pytest.fixture(scope="module")
def index() -> Any:
    made: Any = faiss.index_factory(16, "IVF100,Flat", faiss.METRIC_INNER_PRODUCT)
    made.train(VECTORS)
    made.add(VECTORS)
    return made


def test_nearest_among_is_comparing_the_allowed() -> None:
    allowed = np.array([2, 5, 30, 77, 400])
    cosines = QUESTIONS @ VECTORS[allowed].T
    assert np.array_equal(nearest_among(VECTORS, QUESTIONS, allowed), allowed[np.argsort(-cosines, axis=1)])


def test_a_bitmap_lets_pass_what_is_true(index: Any) -> None:
    passes = np.zeros(len(VECTORS), dtype=bool)
    passes[[3, 8, 15, 16, 20_999]] = True
    rows = probing(index, 100, bitmap(passes))(QUESTIONS[0])
    assert set(rows) == {3, 8, 15, 16, 20_999}


def test_searching_all_lists_is_exact(index: Any) -> None:
    exact = nearest_of(VECTORS, QUESTIONS)
    part = part_of(len(VECTORS), "x", "y", probing(index, 100, None), QUESTIONS, exact)
    assert (part.recall_10, part.recall_50, part.found_least) == (1.0, 1.0, K)
    assert 0 < part.ms_p50 <= part.ms_p99


def test_filters_over_all_lists_are_exact_and_find_what_there_is(index: Any) -> None:
    parts = [part for part in filtered(index, VECTORS, QUESTIONS) if ", all:" in part.setting]
    assert len(parts) == 12
    for part in parts:
        assert (part.recall_10, part.recall_50) == (1.0, 1.0)
        assert part.found_least == (21 if part.setting.startswith("0.1%") else K)


def test_without_a_filter_all_ways_but_all_are_the_same(index: Any) -> None:
    parts = [part for part in filtered(index, VECTORS, QUESTIONS) if part.setting.startswith("100.0%")]
    assert len({part.recall_50 for part in parts if ", all:" not in part.setting}) == 1


def test_what_is_removed_is_not_found_whatever_the_selector(index: Any) -> None:
    by_setting = {part.setting: part for part in removed(index, VECTORS, QUESTIONS)}
    for n_dead in (0, 1000, 20_000):
        batch, bits = by_setting[f"{n_dead}, batch"], by_setting[f"{n_dead}, bitmap"]
        assert batch.recall_50 == bits.recall_50 > 0.9


def test_reranking_exact_vectors_changes_nothing(index: Any) -> None:
    by_setting = {part.setting: part for part in reranked(index, VECTORS, QUESTIONS)}
    assert by_setting["64 lists, yes"].recall_10 == by_setting["64 lists, not"].recall_10
    assert by_setting["128 lists, yes"].recall_50 == 1.0
