"""success@1/5/10 of dense, lexical and fused retrieval over the paragraphs of a SQuAD-format file, side by side.

    python -m bench.retrieval SQUAD.json.gz [--part validation] [--limit 2000]

Method: the paragraphs are split, embedded and indexed by the product's own parts; every question is asked of all of
them. Both rankings (50 deep) are taken once, and each row orders what they hold anew. `rrf` is reciprocal rank fusion
with k = 60 (Cormack et al. 2009), `min-max` the mean of min-max-normalised scores, `shipped` what the retriever does.
Intervals are 95 % bootstrap intervals over questions. `bench.fusion` is how the shipped one was chosen.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from api.settings import Settings
from api.wiring import Archive, open_archive
from eval.bootstrap import estimate_mean
from eval.datasets import read_dataset
from eval.questions import Dataset, Question
from eval.retrieval_metrics import is_gold
from index.articles import Article
from index.fusion import normalised, weight
from index.overlap import QuestionWords
from index.records import Filters
from index.retriever import DENSE_WEIGHT, DEPTH, N_WEIGHED
from training.data import is_validation

Floats = NDArray[np.float64]
ABSENT = 10**6
"""The rank of a passage that a ranking lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """All passages of both rankings for one question; every array is `(n,)`, ranks begin at 1.

    `cosine` is exact for all; `bm25` is 0 and a rank `ABSENT` where the ranking lacks the passage.
    """

    cosine: Floats
    bm25: Floats
    dense_rank: Floats
    lexical_rank: Floats
    share: Floats
    near: Floats
    pairs: Floats
    words: Floats
    is_gold: NDArray[np.bool_]


Scores = Callable[[Candidates], Floats]


class Part(StrEnum):
    """Which paragraphs of the file."""

    VALIDATION = "validation"
    WHOLE = "whole"


def main(
    squad_file: Path,
    part: Part = Part.WHOLE,
    limit: Annotated[int, typer.Option(help="A random sample of this many questions; 0 takes all.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where the archive is kept between runs.")] = Path(
        "runs/bench-retrieval"
    ),
) -> None:
    """Print one JSON line for each way of ranking."""
    dataset = chosen_part(read_dataset(squad_file), part)
    archive = built(dataset.articles or [], folder / part.value)
    found = [gathered(archive, question) for question in track(sampled(dataset.questions, limit))]
    for name, scores in {
        "dense": dense, "lexical": lexical, "rrf, k = 60": reciprocal_rank(60),
        "min-max": min_max(0.5), "shipped": shipped,
    }.items():  # fmt: skip
        show({"archive": squad_file.name, "part": part.value, "ranking": name}, found, scores)


def chosen_part(dataset: Dataset, part: Part) -> Dataset:
    """The dataset, or its articles with validation titles and their questions."""
    articles = dataset.articles or []
    if part is Part.WHOLE:
        return dataset
    kept = [article for article in articles if is_validation(article.title)]
    ids = {article.article_id for article in kept}
    return Dataset(articles=kept, questions=[q for q in dataset.questions if set(q.article_ids) & ids])


def built(articles: Iterable[Article], folder: Path) -> Archive:
    """A Library of the articles; what is already there is not embedded again."""
    archive = open_archive(Settings(library=folder), create=True)
    for _ in archive.intake().take_in(articles):
        pass
    archive.derived.refresh()
    return archive


def sampled(questions: Iterable[Question], limit: int) -> list[Question]:
    """The answerable questions, or a random `limit` of them in their order."""
    answerable = [question for question in questions if question.answers]
    if not limit or limit >= len(answerable):
        return answerable
    places = np.random.default_rng(7).choice(len(answerable), size=limit, replace=False)
    return [answerable[place] for place in sorted(places)]


def gathered(archive: Archive, question: Question) -> Candidates:
    """What both indexes find for a question, and all that is known of it."""
    vector = archive.embedder.embed_question(question.question)
    rankings = archive.derived.search(question.question, vector, DEPTH, Filters())
    ranks = [{key: rank for rank, (key, _) in enumerate(ranking, start=1)} for ranking in rankings]
    bm25 = dict(rankings[1])
    keys, vectors = archive.library.vectors(np.array(list({**ranks[0], **ranks[1]}), dtype=np.int64))
    stored = archive.library.passages(keys.tolist())
    words = QuestionWords(question.question, archive.derived.lexical.rarity)
    overlaps = [words.overlap(stored[key].heading, stored[key].text) for key in keys.tolist()]
    return Candidates(
        cosine=(vectors @ vector).astype(np.float64),
        bm25=np.array([bm25.get(key, 0.0) for key in keys.tolist()]),
        dense_rank=np.array([ranks[0].get(key, ABSENT) for key in keys.tolist()], dtype=np.float64),
        lexical_rank=np.array([ranks[1].get(key, ABSENT) for key in keys.tolist()], dtype=np.float64),
        share=np.array([overlap.share for overlap in overlaps]),
        near=np.array([overlap.near for overlap in overlaps]),
        pairs=np.array([overlap.pairs for overlap in overlaps]),
        words=np.array([overlap.score for overlap in overlaps]),
        is_gold=np.array([is_gold(stored[key], question) for key in keys.tolist()], dtype=np.bool_),
    )


def dense(one: Candidates) -> Floats:
    """The dense ranking alone."""
    return -one.dense_rank


def lexical(one: Candidates) -> Floats:
    """The lexical ranking alone."""
    return -one.lexical_rank


def reciprocal_rank(k: float) -> Scores:
    """The sum of 1 / (k + rank)."""
    return lambda one: 1 / (k + one.dense_rank) + 1 / (k + one.lexical_rank)


def min_max(dense_weight: float) -> Scores:
    """The weighted mean of the rankings' scores, each first mapped to [0, 1]; what a ranking lacks counts 0."""
    return lambda one: (
        dense_weight * _mapped(one.cosine, one.dense_rank) + (1 - dense_weight) * _mapped(one.bm25, one.lexical_rank)
    )


def shipped(one: Candidates) -> Floats:
    """The retriever's own order: the first of `fuse`, then by `weight`; the rest after them."""
    chosen = min_max(0.5)(one)
    scores = chosen - 2
    for row in np.argsort(-chosen, kind="stable")[:N_WEIGHED]:
        scores[row] = weight(float(one.cosine[row]), float(one.words[row]), DENSE_WEIGHT)
    return scores


def show(names: dict[str, str], found: Sequence[Candidates], scores: Scores) -> None:
    """Print the row: success@k in % with its interval."""
    row: dict[str, str | int | list[float]] = {**names, "n": len(found)}
    hits = np.array([_hits(one, scores(one)) for one in found], dtype=np.float64)
    for column, k in enumerate((1, 5, 10)):
        estimate = estimate_mean(hits[:, column])
        if estimate is not None:
            row[f"success@{k}"] = [round(100 * value, 2) for value in (estimate.value, estimate.low, estimate.high)]
    print(json.dumps(row), flush=True)


def _hits(one: Candidates, scores: Floats) -> list[bool]:
    ranked = one.is_gold[np.argsort(-scores, kind="stable")]
    return [bool(ranked[:k].any()) for k in (1, 5, 10)]


def _mapped(values: Floats, ranks: Floats) -> Floats:
    rows = np.flatnonzero(ranks < ABSENT)
    mapped = np.zeros(len(values))
    mapped[rows] = list(normalised(dict(zip(rows.tolist(), values[rows].tolist(), strict=True))).values())
    return mapped


if __name__ == "__main__":
    typer.run(main)
