"""Ask a dataset's questions and keep every candidate with its scores, before any confidence.

    python -m training.asked DATASET OUT.jsonl READER_DIR [--articles DIR] [--half tune] [--questions N]

What `training.confidence` fits on and `training.calibration` tests on. DATASET is what `quoth eval run` takes; one in
JSON lines is asked of the articles in `--articles`.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from pydantic import TypeAdapter

from api.settings import Settings
from api.wiring import Archive, open_archive
from eval.datasets import read_dataset
from eval.questions import Question
from index.articles import Article, find_files, read_file
from index.errors import ArticleError, DatasetError
from index.records import Filters
from qa.candidates import Candidate, candidates
from qa.pipeline import PASSAGES_READ
from qa.reader import Reader
from qa.windows import passage_text

SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question's golds (none where the archive lacks the answer) and every candidate found."""

    question: str
    golds: tuple[str, ...]
    found: list[Candidate]


_FORM = TypeAdapter(Asked)


def ask_all(
    dataset_file: Path,
    out_file: Path,
    reader_dir: Path,
    articles: Annotated[Path | None, typer.Option(help="The articles of a dataset in JSON lines.")] = None,
    half: Annotated[str, typer.Option(help="Only questions whose field `split` says so.")] = "",
    questions: Annotated[int, typer.Option(help="At most so many, chosen at random.")] = 0,
) -> None:
    """Ask and write one line a question.

    Raises:
        DatasetError: the dataset is bad or brings no articles, or no question is of that half.
        ArticleError: an article cannot be read.
    """
    dataset = read_dataset(dataset_file)
    archived = _articles(articles) if articles else dataset.articles
    if archived is None:
        raise DatasetError(f"{dataset_file}: brings no articles of its own; name theirs with --articles")
    chosen = [question for question in dataset.questions if not half or question.split == half]
    if not chosen:
        raise DatasetError(f"{dataset_file}: no question has the `split` {half!r}")
    if questions and questions < len(chosen):
        places = np.random.default_rng(SEED).choice(len(chosen), size=questions, replace=False)
        chosen = [chosen[place] for place in places]
    settings = Settings()
    reader = Reader(reader_dir, threads=settings.threads)
    with tempfile.TemporaryDirectory() as folder, out_file.open("w", encoding="utf-8") as out:
        archive = open_archive(settings.model_copy(update={"library": Path(folder)}), create=True)
        list(archive.intake().take_in(archived))
        archive.derived.refresh()
        for one in _asked(archive, reader, chosen):
            out.write(_FORM.dump_json(one).decode() + "\n")
    print(json.dumps({"file": out_file.name, "questions": len(chosen), "articles": len(archived)}))


def read_asked(file: Path) -> list[Asked]:
    """What `ask_all` wrote."""
    return [_FORM.validate_json(line) for line in file.read_bytes().splitlines()]


def _articles(folder: Path) -> list[Article]:
    files, errors = find_files([folder])
    read = [*errors, *(article for file in files for article in read_file(file))]
    for bad in read:
        if isinstance(bad, ArticleError):
            raise bad
    return [article for article in read if isinstance(article, Article)]


def _asked(archive: Archive, reader: Reader, questions: Sequence[Question]) -> Iterator[Asked]:
    for question in questions:
        passages = archive.retriever.retrieve(question.question, PASSAGES_READ, Filters())
        texts = [passage_text(found.passage) for found in passages]
        found = candidates(passages, reader.read(question.question, texts))
        yield Asked(question=question.question, golds=tuple(question.answers), found=found)


if __name__ == "__main__":
    typer.run(ask_all)
