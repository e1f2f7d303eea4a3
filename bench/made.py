"""Vectors and texts made with the statistics of real ones: archives of a size that no real ones are at hand for.

Everything is a function of what it is made from and of a seed, comes in chunks, and a shorter run is the beginning of a
longer one.
"""

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

CHUNK = 2048
"""Vectors, or texts, made at a time: memory holds 75 MB of neighbours."""
NEIGHBOURS = 24
SPREAD = 1.15
"""The best match of 6, 12, 24 or 48 neighbours and a spread of 1 or 1.15 to the paragraphs of SQuAD train. As many
vectors, three quarters of them made from the rest (`python -m bench.made_match SQUAD.json.gz`), have 0.69 and 0.53 as a
passage's cosine to its nearest and tenth nearest at the median (all real: 0.70 and 0.55), 118 effective dimensions
(120), a local dimension of 15.2 (14.8), and an index of lists finds 0.914 of the ten nearest in 16 of 605 lists
(0.906)."""


def nearest(vectors: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The rows of each vector's `k` nearest by inner product, itself among them, `(n, k)`."""
    k = min(k, len(vectors))
    _, rows = faiss.knn(vectors, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(rows, dtype=np.int64)


def made_vectors(
    real: NDArray[np.float32], n: int, *, seed: int, neighbours: int = NEIGHBOURS, spread: float = SPREAD
) -> Iterator[NDArray[np.float32]]:
    """`n` made vectors in chunks of at most `CHUNK`, `(_, dimension)` float32, unit norm.

    Each is drawn near a real one, picked at random: from the normal distribution that has the mean and the covariance
    of that vector's nearest neighbours (manifold Parzen windows: Vincent and Bengio, 2003), and put on the sphere.
    A draw from it is a random combination of the neighbours with weights that sum to one, so no covariance is computed.

    Args:
        real: at least two vectors, `(_, dimension)`, unit norm.
        n: how many.
        seed: other seeds give other vectors.
        neighbours: how many real vectors a neighbourhood has.
        spread: the deviation from the neighbourhood's mean, as a multiple of that of the neighbours.
    """
    hoods = nearest(real, neighbours)
    width = hoods.shape[1]
    for chunk, begin in enumerate(range(0, n, CHUNK)):
        rng = np.random.default_rng([seed, chunk])
        hood = real[hoods[rng.integers(len(real), size=CHUNK)]]
        weights = rng.standard_normal((CHUNK, width), dtype=np.float32)
        weights -= weights.mean(axis=1, keepdims=True)
        weights = 1 / width + spread / np.sqrt(width - 1, dtype=np.float32) * weights
        made = np.matmul(weights[:, None, :], hood)[:, 0]
        yield (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)[: n - begin]


def stored_vectors(real: NDArray[np.float32], n: int, file: Path) -> Path:
    """A NumPy file of at least `n` vectors, `(_, dimension)`: the real ones first, made ones after them."""
    if file.exists() and len(np.load(file, mmap_mode="r")) >= n:
        return file
    stored = np.lib.format.open_memmap(file, "w+", np.float32, (max(n, len(real)), real.shape[1]))
    stored[: len(real)] = real
    at = len(real)
    for made in made_vectors(real, len(stored) - at, seed=1):
        stored[at : at + len(made)] = made
        at += len(made)
    stored.flush()
    return file
