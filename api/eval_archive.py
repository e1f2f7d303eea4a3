"""What an evaluation asks, and the archive that it asks: the Library, or one built from the dataset and cached."""

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.settings import Settings
from api.terminal import progress
from api.wiring import Archive, open_archive, open_library
from eval.questions import Dataset, Question
from eval.runs import sample
from index import embedder, intake, passages
from index.articles import Article
from index.errors import DatasetError
from index.export import exported_embedder
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS

_CUTTING = (passages, intake, embedder)
"""The code that cuts and embeds: who changes it wants to measure the change, not an archive from before it."""


LibraryFolder = Annotated[
    Path | None,
    typer.Option("--library", help="The Library to ask, where the dataset brings no archive; also before `eval`."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitting:
    """How articles are cut into passages, in cl100k tokens."""

    passage_tokens: int = PASSAGE_TOKENS
    overlap_tokens: int = OVERLAP_TOKENS


def with_library(settings: Settings, library: Path | None) -> Settings:
    """The settings with another Library, if one is named."""
    return settings if library is None else settings.model_copy(update={"library": library})


def chosen_questions(dataset: Dataset, *, split: str, limit: int | None, seed: int) -> list[Question]:
    """The questions of a split, of all splits if it is empty, or a random sample of them.

    Raises:
        DatasetError: there is no such split, or no question.
    """
    splits = {question.split for question in dataset.questions}
    if split and split not in splits:
        known = ", ".join(sorted(splits - {""})) or "none"
        raise DatasetError(f"no question has the split {split!r}; there are: {known}")
    questions = sample([question for question in dataset.questions if split in ("", question.split)], limit, seed)
    if not questions:
        raise DatasetError("there is no question to ask: look at --split and at the dataset")
    return questions


def dataset_archive(dataset: Dataset, settings: Settings) -> Archive:
    """The archive that the dataset brings, built once; the Library where it brings none."""
    if dataset.articles is None:
        return open_archive(settings)
    return built_archive(dataset.articles, settings, Splitting())


def library_articles(settings: Settings) -> list[Article]:
    """Every article of the Library, by id."""
    library = open_library(settings)
    return [library.get(article_id) for article_id in sorted(summary.article_id for summary in library.articles())]


def built_archive(articles: Sequence[Article], settings: Settings, splitting: Splitting) -> Archive:
    """An archive of these articles, cut like this: built once and kept in the cache. A stopped build goes on."""
    folder = settings.cache / "eval" / _name(articles, settings, splitting)
    archive = open_archive(settings.model_copy(update={"library": folder}), create=True)
    taking = archive.intake(passage_tokens=splitting.passage_tokens, overlap_tokens=splitting.overlap_tokens)
    if archive.library.counts()[0] < len(articles):
        with progress() as shown:
            task = shown.add_task("Building the archive", total=len(articles))
            for _ in taking.take_in(articles):
                shown.advance(task)
    archive.derived.refresh()
    return archive


def _name(articles: Sequence[Article], settings: Settings, splitting: Splitting) -> str:
    """What the archive depends on: the articles, the embedder's weights, the splitting, and the code for it."""
    weights = exported_embedder(settings.embedder, settings.cache / "embedders").name
    parts = [weights, *map(inspect.getsource, _CUTTING)]
    parts += [part for article in articles for part in (article.article_id, article.title, article.text)]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return f"{digest.hexdigest()[:16]}-{splitting.passage_tokens}-{splitting.overlap_tokens}"
