"""success@1/5/10 of dense, lexical and fused retrieval over the paragraphs of a SQuAD-format file.

    python -m bench.retrieval SQUAD.json.gz [--part validation] [--limit 2000]

Method: the paragraphs are split, embedded and indexed by the product's own parts; every question is asked of all of
them. Both rankings (50 deep) are taken once, and each row fuses them anew. `rrf` is reciprocal rank fusion with k = 60.
The weights that ship were chosen on `--part validation` of SQuAD train (the titles that `training.data` keeps out).
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from api.settings import Settings
from api.wiring import Archive, open_archive
from eval.datasets import read_dataset
from eval.questions import Dataset, Question
from eval.retrieval_metrics import is_gold, success_at
from index.records import StoredPassage
from index.retriever import DEPTH, fuse
from training.data import is_validation

Ranking = list[tuple[int, float]]
WEIGHTS = [round(0.1 * step, 1) for step in range(11)]
TITLE_WEIGHTS = (0.0, 0.25, 0.5, 1.0)


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
    archive = built(dataset, folder / part.value)
    held = [archive.library.article_passages(summary.article_id) for summary in archive.library.articles()]
    passages = {passage.key: passage for of_article in held for passage in of_article}
    questions = [question for question in dataset.questions if question.answers]
    if limit:
        rng = np.random.default_rng(7)
        questions = [questions[i] for i in rng.choice(len(questions), size=min(limit, len(questions)), replace=False)]
    dense = [
        archive.derived.dense.search(archive.embedder.embed_question(question.question), DEPTH)
        for question in questions
    ]
    show(passages, questions, "dense", dense)
    for title_weight in TITLE_WEIGHTS:
        archive.derived.lexical.title_weight = title_weight
        lexical = [archive.derived.lexical.search(question.question, DEPTH) for question in questions]
        show(passages, questions, f"lexical, title {title_weight}", lexical)
        pairs = list(zip(dense, lexical, strict=True))
        show(passages, questions, f"rrf, title {title_weight}", [reciprocal_rank(d, x) for d, x in pairs])
        for weight in WEIGHTS[1:-1]:
            fused = [fuse([d, x], [weight, 1 - weight]) for d, x in pairs]
            show(passages, questions, f"fused, dense {weight}, title {title_weight}", fused)


def chosen_part(dataset: Dataset, part: Part) -> Dataset:
    """The dataset, or its articles with validation titles and their questions."""
    articles = dataset.articles or []
    if part is Part.WHOLE:
        return dataset
    kept = [article for article in articles if is_validation(article.title)]
    ids = {article.article_id for article in kept}
    return Dataset(articles=kept, questions=[q for q in dataset.questions if set(q.article_ids) & ids])


def built(dataset: Dataset, folder: Path) -> Archive:
    """A Library of the dataset's articles; what is already there is not embedded again."""
    archive = open_archive(Settings(library=folder), create=True)
    for _ in archive.intake().take_in(dataset.articles or []):
        pass
    archive.derived.refresh()
    return archive


def reciprocal_rank(*rankings: Ranking) -> Ranking:
    """Cormack et al. 2009: the sum of 1 / (60 + rank)."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, (key, _) in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (60 + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def show(passages: dict[int, StoredPassage], questions: list[Question], name: str, rankings: list[Ranking]) -> None:
    """Print the row."""
    flags = [
        [is_gold(passages[key], question) for key, _ in ranking[:10]]
        for question, ranking in zip(questions, rankings, strict=True)
    ]
    row = {f"success@{k}": round(100 * float(np.mean([success_at(k, f) for f in flags])), 2) for k in (1, 5, 10)}
    print(json.dumps({"ranking": name, "n": len(questions), **row}), flush=True)


if __name__ == "__main__":
    typer.run(main)
