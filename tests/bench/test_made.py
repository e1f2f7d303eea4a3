from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.made import CHUNK, made_vectors, nearest, stored_vectors


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def two_clusters(n: int) -> NDArray[np.float32]:
    """`n` vectors around each of two directions at a right angle; those of the second vary in one plane alone."""
    rng = np.random.default_rng(5)
    first = np.eye(8)[0] + 0.05 * rng.standard_normal((n, 8))
    second = np.eye(8)[1] + 0.3 * rng.standard_normal((n, 1)) * np.eye(8)[2]
    return unit(np.concatenate([first, second]))


def test_the_nearest_are_those_of_comparing_all() -> None:
    vectors = two_clusters(20)
    rows = nearest(vectors, 4)
    assert np.array_equal(rows, np.argsort(-(vectors @ vectors.T), axis=1, kind="stable")[:, :4])
    assert np.array_equal(rows[:, 0], np.arange(40))


def test_made_vectors_lie_where_real_ones_do() -> None:
    made = np.concatenate(list(made_vectors(two_clusters(60), 500, seed=1)))
    assert made.shape == (500, 8)
    assert made.dtype == np.float32
    assert np.abs(np.linalg.norm(made, axis=1) - 1).max() < 1e-6
    in_first = made[:, 0] > 0.9
    in_second = (np.hypot(made[:, 1], made[:, 2]) > 1 - 1e-6) & (np.abs(made[:, 0]) < 1e-6)
    assert np.all(in_first ^ in_second)
    assert 200 < in_first.sum() < 300


def test_made_vectors_have_the_moments_of_their_neighbourhood() -> None:
    # One neighbourhood of all: draws have its mean and, with a spread of 1, its covariance, but for being put on the
    # sphere, which little changes where all are near to each other.
    real = two_clusters(24)[:24]
    made = np.concatenate(list(made_vectors(real, 20_000, seed=1, neighbours=24, spread=1.0)))
    assert np.abs(made.mean(axis=0) - real.mean(axis=0)).max() < 0.005
    ratio = np.trace(np.cov(made.T)) / np.trace(np.cov(real.T))
    assert ratio == pytest.approx(1, abs=0.05)


def test_a_wider_spread_is_further_from_the_mean() -> None:
    real = two_clusters(24)[:24]
    near, far = (np.concatenate(list(made_vectors(real, 5000, seed=1, spread=s))) for s in (0.5, 1.0))
    assert np.trace(np.cov(far.T)) == pytest.approx(4 * np.trace(np.cov(near.T)), rel=0.1)


def test_fewer_are_the_beginning_of_more() -> None:
    real = two_clusters(30)
    more = list(made_vectors(real, CHUNK + 10, seed=1))
    assert [len(chunk) for chunk in more] == [CHUNK, 10]
    fewer = np.concatenate(list(made_vectors(real, 100, seed=1)))
    assert np.array_equal(fewer, more[0][:100])
    assert not np.array_equal(fewer, next(made_vectors(real, 100, seed=2)))


def test_fewer_real_ones_than_a_neighbourhood_will_do() -> None:
    real = two_clusters(2)
    made = next(made_vectors(real, 50, seed=1))
    assert np.linalg.matrix_rank(made) <= 4
    assert np.abs(np.linalg.norm(made, axis=1) - 1).max() < 1e-6


def test_none_are_made_of_none_wanted() -> None:
    assert list(made_vectors(two_clusters(5), 0, seed=1)) == []


def test_stored_vectors_begin_with_the_real_ones(tmp_path: Path) -> None:
    real = two_clusters(30)
    file = stored_vectors(real, 100, tmp_path / "vectors.npy")
    stored = np.load(file)
    assert np.array_equal(stored[:60], real)
    assert np.array_equal(stored[60:], np.concatenate(list(made_vectors(real, 40, seed=1))))


def test_stored_vectors_are_made_once_and_again_for_more(tmp_path: Path) -> None:
    real, file = two_clusters(30), tmp_path / "vectors.npy"
    first = np.load(stored_vectors(real, 100, file))
    written = file.stat().st_mtime_ns
    assert len(np.load(stored_vectors(real, 80, file))) == 100
    assert file.stat().st_mtime_ns == written
    again = np.load(stored_vectors(real, 120, file))
    assert len(again) == 120
    assert np.array_equal(again[:100], first)
