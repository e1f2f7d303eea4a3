"""How well made vectors and texts match real ones.

    python -m bench.made_match SQUAD.json.gz

Prints a row of figures for the real vectors, for as many that are all made from them, and for as many of which three
quarters are made from the first quarter: what the making of ever more rests on. Questions are real, and the paragraphs
that answer them are among the real ones alone, so their nearest is nearer there. `n` nearest: cosines at the 10th, 50th
and 90th percentile. `dimensions`: effective (sum of eigenvalues squared, over the sum of their squares). `local`: the
dimension of a passage's fifty nearest (Levina and Bickel, 2004). `found`: the share of the ten nearest that an index of
4 sqrt(n) lists finds with 8, 16, 32 and 64 of them. Then the same for texts: terms, and the share of texts that hold
the 10th, 100th, 1,000th and 10,000th most frequent term.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import typer
from numpy.typing import NDArray

from bench.made import made_vectors
from bench.made_texts import language_of, made_texts
from bench.real import real_vectors
from bench.vector_kinds import Kind, Vectors, add, train, untrained
from bench.vector_rows import nearest_of, recall
from eval.datasets import read_dataset

PROBES = (8, 16, 32, 64)
_N_SAMPLE = 500
_RANKS = (10, 100, 1000, 10_000)
_TERM = re.compile(r"\w+")
Figures = dict[str, float | list[float]]


def main(squad_file: Path, folder: Path = Path("runs/bench-vectors"), n_questions: int = 400) -> None:
    """Print the rows."""
    real = real_vectors(squad_file, folder, n_questions=n_questions)
    n, questions = len(real.passages), real.questions
    quarter = real.passages[: n // 4]
    grown = [quarter, *made_vectors(quarter, n - len(quarter), seed=1)]
    shown("vectors, real", of_vectors(real.passages, questions))
    shown("vectors, made", of_vectors(np.concatenate(list(made_vectors(real.passages, n, seed=1))), questions))
    shown("vectors, grown from a quarter", of_vectors(np.concatenate(grown), questions))
    texts = [article.text for article in read_dataset(squad_file).articles or []]
    made = [text for chunk in made_texts(language_of(texts), len(texts), seed=1) for text in chunk]
    shown("texts, real", of_texts(texts))
    shown("texts, made", of_texts(made))


def of_vectors(vectors: Vectors, questions: Vectors) -> Figures:
    """The figures of vectors, which are more than fifty."""
    sample = vectors[np.random.default_rng(1).permutation(len(vectors))[:_N_SAMPLE]]
    asked, _ = faiss.knn(questions, vectors, 50, metric=faiss.METRIC_INNER_PRODUCT)
    near, _ = faiss.knn(sample, vectors, 51, metric=faiss.METRIC_INNER_PRODUCT)
    figures: Figures = {}
    for name, cosines in (("question", asked), ("passage", near[:, 1:])):
        for rank in (1, 10, 50):
            figures[f"{name}, {rank} nearest"] = rounded(np.percentile(cosines[:, rank - 1], [10, 50, 90]))
    eigenvalues = np.linalg.eigvalsh(np.cov(vectors.T))
    return figures | {
        "dimensions": round(float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum()), 1),
        "local": round(local_dimension(near[:, 1:]), 1),
        "found": found(vectors, questions),
    }


def local_dimension(cosines: NDArray[np.float32]) -> float:
    """The maximum-likelihood dimension around each row's point, from its neighbours' cosines; the mean over rows."""
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 1e-6))
    return float(np.mean(-1 / np.mean(np.log(distances[:, :-1] / distances[:, -1:]), axis=1)))


def found(vectors: Vectors, questions: Vectors) -> list[float]:
    """Recall of the ten nearest with each number of lists searched."""
    index = untrained(Kind(name="lists", factory="IVF{lists},Flat"), len(vectors), vectors.shape[1])
    train(index, vectors)
    add(index, vectors)
    exact = nearest_of(vectors, questions)
    shares = []
    for index.nprobe in PROBES:
        _, rows = index.search(questions, 10)
        shares.append(np.mean([recall(row, best, 10) for row, best in zip(rows, exact, strict=True)]))
    return rounded(np.array(shares), 3)


def of_texts(texts: Sequence[str]) -> Figures:
    """The figures of texts."""
    split = [_TERM.findall(text.lower()) for text in texts]
    holding = sorted(Counter(term for terms in split for term in set(terms)).values(), reverse=True)
    ranks = [rank for rank in _RANKS if rank <= len(holding)]
    return {
        "terms": len(holding),
        "words of a text": round(float(np.mean([len(terms) for terms in split])), 1),
        "terms of a text": round(sum(holding) / len(texts), 1),
        "share of texts": rounded(np.array([holding[rank - 1] / len(texts) for rank in ranks]), 4),
    }


def rounded(values: NDArray[np.floating], digits: int = 2) -> list[float]:
    """For printing."""
    return [round(float(value), digits) for value in values]


def shown(name: str, figures: Figures) -> None:
    """Print a row."""
    print(json.dumps({"of": name, **figures}), flush=True)


if __name__ == "__main__":
    typer.run(main)
