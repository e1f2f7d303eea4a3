"""`quoth eval ...`: score answers offline."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.settings import Settings
from api.wiring import MODEL_FILES, Archive, open_archive
from eval.datasets import Dataset, read_dataset
from eval.report import report
from eval.runs import (
    OracleRetriever,
    check_archive,
    file_sha256,
    read_predictions,
    run,
    run_threshold,
    sample,
    write_json,
    write_run_facts,
)
from eval.scores import COLUMNS, Estimate, Scores, score, scores_document, squad_predictions
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS
from index.retriever import Retriever
from qa.confidence import load_confidence
from qa.pipeline import PASSAGES_READ, Pipeline
from qa.reader import Reader

_SHORT = dict(zip(COLUMNS, ("EM", "F1", "EM+", "F1+", "R+", "R-", "s@1", "s@5", "s@10"), strict=True))

commands = typer.Typer(no_args_is_help=True, help="Score how right the answers are.")


@commands.callback()
def _group() -> None:
    """Score how right the answers are."""


@commands.command("run")
def run_command(
    context: typer.Context,
    dataset_file: Annotated[
        Path,
        typer.Argument(metavar="DATASET", help="SQuAD-format JSON (.json, .json.gz), or Quoth's JSON lines (.jsonl)."),
    ],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Give the reader the gold passages instead of retrieving.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take a random sample of this many questions.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 7,
    passages: Annotated[int, typer.Option(min=1, max=100, help="Passages read for each question.")] = PASSAGES_READ,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Answer only at or above this confidence.")
    ] = None,
) -> None:
    """Ask every question of DATASET and score the answers.

    A SQuAD-format file brings its archive: its paragraphs. JSON lines are asked of the Library (--library).
    """
    settings: Settings = context.obj
    dataset = read_dataset(dataset_file)
    questions = sample(dataset.questions, limit, seed)
    archive = _archive(dataset, dataset_file, settings)
    check_archive(questions, archive.library)
    retriever: Retriever = OracleRetriever(archive.library, questions) if oracle else archive.retriever
    pipeline = Pipeline(archive.library, retriever, Reader(threads=settings.threads), load_confidence())
    threshold = pipeline.min_confidence if min_confidence is None else min_confidence
    with _progress() as progress:
        task = progress.add_task("Asking", total=len(questions))
        run(questions, pipeline, out, k=passages, on_progress=lambda: progress.advance(task))
    facts = {"oracle": oracle, "limit": limit, "seed": seed, "passages": passages, "min_confidence": threshold}
    write_run_facts(out, settings=facts, embedder=archive.embedder.info, model_files=MODEL_FILES, dataset=dataset_file)
    _score(out, threshold)


@commands.command("score")
def score_command(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Instead of the run's own.")] = None,
) -> None:
    """Score a finished run again, without running a model."""
    _score(run_folder, run_threshold(run_folder) if min_confidence is None else min_confidence)


def _archive(dataset: Dataset, dataset_file: Path, settings: Settings) -> Archive:
    """The Library, or the archive that the dataset brings: built once and kept in the cache."""
    if dataset.articles is None:
        return open_archive(settings)
    embedder = hashlib.sha256(settings.embedder.encode()).hexdigest()[:8]
    name = f"{file_sha256(dataset_file)[:16]}-{embedder}-{PASSAGE_TOKENS}-{OVERLAP_TOKENS}"
    archive = open_archive(settings.model_copy(update={"library": settings.cache / "eval" / name}), create=True)
    with _progress() as progress:
        task = progress.add_task("Building the archive", total=len(dataset.articles))
        for _ in archive.intake().take_in(dataset.articles):
            progress.advance(task)
    archive.derived.refresh()
    return archive


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _score(run_folder: Path, min_confidence: float) -> None:
    predicted = list(read_predictions(run_folder))
    scores = score(predicted, min_confidence)
    write_json(run_folder / "scores.json", scores_document(scores))
    write_json(run_folder / "squad_predictions.json", squad_predictions(predicted, min_confidence))
    (run_folder / "report.html").write_text(report(run_folder.name, predicted, scores), encoding="utf-8")
    console = Console(emoji=False)
    console.print(_headline(scores.everything))
    for title, groups in scores.groups():
        if len(groups) > 1:
            console.print(_table(title, groups))
    console.print(
        f"In %, answered at confidence >= {min_confidence:.3f}. EM+ and F1+: answerable questions, always answered."
        " R+ and R-: the share\nof unanswerable and of answerable questions left unanswered. s@k: success@k.",
        style="dim",
    )


def _headline(scores: Scores) -> Table:
    table = Table(title=f"All {scores.n} questions", title_justify="left", box=box.SIMPLE, show_header=False)
    for column, value in scores.values.items():
        if value is not None:
            table.add_row(column, f"{value.mean:.1f}", f"({value.low:.1f} to {value.high:.1f}, n = {value.n})")
    return table


def _table(title: str, groups: Mapping[str, Scores]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("n", justify="right")
    for column in COLUMNS:
        table.add_column(_SHORT[column], justify="right", no_wrap=True)
    for name, scores in groups.items():
        table.add_row(name, str(scores.n), *(_cell(scores.values[column]) for column in COLUMNS))
    return table


def _cell(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.mean:.1f}"
