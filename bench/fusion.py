"""How the two rankings are best made one: the ways that were tried, on held-out questions, and the fitted weights.

    python -m bench.fusion SQUAD_TRAIN.json.gz [--fit 4000]

Method: the validation questions of SQuAD train (the titles that `training.data` keeps out) are asked of all its
paragraphs, and the tune half of the seeds of the seeds' articles. Weights are fitted on questions of the other titles,
so that no article is in both, by maximum likelihood: the probability of a passage is the softmax of its weighted
features over all candidates of the question, and that of the gold ones is to be high (a conditional logit; McFadden
1974). Nothing is chosen on SQuAD dev. Rows are as in `bench.retrieval`.

The embedder has seen SQuAD train, question and paragraph as a pair: its share is rather too high here than too low.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track
from scipy.optimize import minimize

from bench.retrieval import (
    ABSENT,
    Candidates,
    Floats,
    Scores,
    built,
    dense,
    gathered,
    lexical,
    min_max,
    reciprocal_rank,
    sampled,
    shipped,
    show,
)
from eval.datasets import read_dataset
from eval.questions import Question
from index.articles import Article, find_files, read_file
from training.data import is_validation

PULL = 1e-3
"""Of the weights of standardised features towards 0."""
SEEDS = Path("seeds")
FEATURES: dict[str, Callable[[Candidates], Floats]] = {
    "cosine": lambda one: one.cosine,
    "bm25": lambda one: one.bm25 / (one.bm25.max() or 1.0),
    "share": lambda one: one.share,
    "near": lambda one: one.near,
    "pairs": lambda one: one.pairs,
    "dense rank": lambda one: 1 / (5 + one.dense_rank),
    "lexical rank": lambda one: 1 / (5 + one.lexical_rank),
    "in both": lambda one: ((one.dense_rank < ABSENT) & (one.lexical_rank < ABSENT)).astype(np.float64),
}
SETS = (
    ("cosine", "bm25"),
    ("cosine", "share"),
    ("cosine", "share", "near"),
    ("cosine", "share", "pairs"),
    ("cosine", "share", "near", "pairs"),
    ("cosine", "bm25", "share", "near", "pairs"),
    tuple(FEATURES),
)


def main(
    train_file: Path,
    fit: Annotated[int, typer.Option(help="Questions to fit on.")] = 4000,
    limit: Annotated[int, typer.Option(help="A random sample of this many validation questions; 0 takes all.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where the archives are kept between runs.")] = Path("runs/bench-fusion"),
) -> None:
    """Print one JSON line for each way and archive."""
    dataset = read_dataset(train_file)
    validation = {article.article_id for article in dataset.articles or [] if is_validation(article.title)}
    kept_out = [question for question in dataset.questions if set(question.article_ids) & validation]
    others = [question for question in dataset.questions if not set(question.article_ids) & validation]
    articles = dataset.articles or []
    found = _gathered(articles, [*sampled(kept_out, limit), *sampled(others, fit)], folder / "squad")
    seen, fitted_on = found[: len(found) - fit], found[len(found) - fit :]
    tune = [question for question in read_dataset(SEEDS / "questions.jsonl").questions if question.split == "tune"]
    seeds = _gathered(_seed_articles(), sampled(tune, 0), folder / "seeds")
    for name, scores in {**_plain(), **_learned(fitted_on)}.items():
        show({"archive": train_file.name, "part": "validation", "ranking": name}, seen, scores)
        show({"archive": "seeds", "part": "tune", "ranking": name}, seeds, scores)


def _plain() -> dict[str, Scores]:
    ways: dict[str, Scores] = {"dense": dense, "lexical": lexical}
    ways |= {f"rrf, k = {k}": reciprocal_rank(k) for k in (1, 3, 10, 60)}
    ways |= {f"min-max, dense {w:.1f}": min_max(w) for w in (0.3, 0.4, 0.5, 0.6)}
    ways |= {f"z-scores, dense {w:.1f}": _z_scores(w) for w in (0.3, 0.4, 0.5, 0.6)}
    ways |= {f"cosine and bm25 / best, dense {w:.1f}": _best_is_one(w) for w in (0.5, 0.6, 0.7)}
    return {**ways, "shipped": shipped}


def _learned(fitted_on: Sequence[Candidates]) -> dict[str, Scores]:
    ways: dict[str, Scores] = {}
    for names in SETS:
        weights = fitted(fitted_on, names)
        shares = dict(zip(names, (weights / weights.sum()).round(3).tolist(), strict=True))
        print(json.dumps({"weights": shares, "sum": round(float(weights.sum()), 1)}), flush=True)
        ways[f"learned: {', '.join(names)}"] = _weighted(names, weights)
    return ways


def fitted(found: Sequence[Candidates], names: Sequence[str]) -> Floats:
    """The weights of the features, `(n_features,)`; only their ratios matter to the order."""
    useful = [one for one in found if one.is_gold.any()]
    features = np.concatenate([_columns(one, names) for one in useful])
    gold = np.concatenate([one.is_gold for one in useful])
    starts = np.cumsum([0, *(len(one.is_gold) for one in useful[:-1])])
    question = np.repeat(np.arange(len(useful)), [len(one.is_gold) for one in useful])
    spread = features.std(axis=0) + 1e-9
    standard = (features - features.mean(axis=0)) / spread

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = standard @ weights
        masses = np.exp(scores - np.maximum.reduceat(scores, starts)[question])
        whole, part = np.add.reduceat(masses, starts), np.add.reduceat(masses * gold, starts)
        pushed = masses / whole[question] - masses * gold / part[question]
        slope = standard.T @ pushed / len(useful) + 2 * PULL * weights
        return float(np.log(whole / part).mean() + PULL * weights @ weights), slope

    weights: Floats = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B").x / spread
    return weights


def _weighted(names: Sequence[str], weights: Floats) -> Scores:
    return lambda one: _columns(one, names) @ weights


def _columns(one: Candidates, names: Sequence[str]) -> Floats:
    return np.column_stack([FEATURES[name](one) for name in names])


def _z_scores(dense_weight: float) -> Scores:
    def scores(one: Candidates) -> Floats:
        z_dense, z_lexical = (_z(one.cosine, one.dense_rank), _z(one.bm25, one.lexical_rank))
        return dense_weight * z_dense + (1 - dense_weight) * z_lexical

    return scores


def _z(values: Floats, ranks: Floats) -> Floats:
    """What the ranking lacks has its lowest score."""
    held = values[ranks < ABSENT]
    if not len(held):
        return np.zeros(len(values))
    z: Floats = (np.where(ranks < ABSENT, values, held.min()) - held.mean()) / (held.std() or 1.0)
    return z


def _best_is_one(dense_weight: float) -> Scores:
    """Normalised by what is the least possible, 0, and not the least found."""
    return lambda one: dense_weight * one.cosine + (1 - dense_weight) * one.bm25 / (one.bm25.max() or 1.0)


def _gathered(articles: Sequence[Article], questions: Sequence[Question], folder: Path) -> list[Candidates]:
    archive = built(articles, folder)
    return [gathered(archive, question) for question in track(questions)]


def _seed_articles() -> list[Article]:
    files, _ = find_files([SEEDS / "articles"])
    return [article for file in files for article in read_file(file) if isinstance(article, Article)]


if __name__ == "__main__":
    typer.run(main)
