"""`quoth eval ...`: score answers offline."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from api.eval_archive import LibraryFolder, chosen_questions, dataset_archive, with_library
from api.eval_terminal import show_scores
from api.terminal import progress
from api.wiring import MODEL_FILES
from eval.datasets import read_dataset
from eval.facts import run_facts
from eval.predictors import AnswerPredictor, OracleRetriever, RetrievalPredictor
from eval.questions import Dataset, Question
from eval.run_folder import write_text
from eval.runs import Predictor, check_archive, check_questions, run
from eval.scored_run import ScoredRun, scored_run, write_scores
from eval.scores import INVALID, RunScores
from qa.confidence import load_confidence
from qa.pipeline import PASSAGES_READ, Pipeline
from qa.reader import Reader

ARTICLES_RANKED = 100
"""For datasets that judge articles and hold no answers."""
FAILED = 1

commands = typer.Typer(no_args_is_help=True, help="Score how right the answers are.")
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@commands.callback()
def _group() -> None:
    """Score how right the answers are."""


@commands.command("run")
def run_command(
    context: typer.Context,
    dataset_path: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="SQuAD-format JSON, Quoth's or Natural Questions' JSON lines (each also .gz), or a BEIR folder.",
        ),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="The run folder to write; a stopped run in it goes on.")],
    library: LibraryFolder = None,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Give the reader the gold passages instead of retrieving.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take a random sample of this many questions.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample.")] = 7,
    split: Annotated[str, typer.Option(help="Only questions of this split ('tune' or 'report' in the seeds).")] = "",
    passages: Annotated[int, typer.Option(min=1, max=100, help="Passages read for each question.")] = PASSAGES_READ,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Answer only at or above this confidence.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out bad records, naming them on stderr.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask every question of DATASET and score the answers.

    A SQuAD-format file or a BEIR folder brings its archive; JSON lines are asked of the Library (--library). Stop it
    and run it again: it goes on. Exit code 1 if an answer is not in its article where it says.
    """
    settings = with_library(context.obj, library)
    dataset = read_dataset(dataset_path, skip_bad=skip_bad)
    for fault in dataset.skipped:
        Console(stderr=True, emoji=False).print(f"[yellow]left out:[/yellow] {escape(fault)}", soft_wrap=True)
    questions = chosen_questions(dataset, split=split, limit=limit, seed=seed)
    if oracle:
        _check_golds(dataset, questions)
    reader = Reader(threads=settings.threads)
    if not dataset.retrieval_only:
        check_questions(questions, reader.check)
    archive = dataset_archive(dataset, settings)
    check_archive(questions, archive.library)
    confidence = load_confidence()
    threshold = confidence.min_confidence if min_confidence is None else min_confidence
    k = ARTICLES_RANKED if dataset.retrieval_only else passages
    asked = {"oracle": oracle, "limit": limit, "seed": seed, "split": split, "passages": k}
    facts = run_facts(
        settings={**asked, "threads": settings.threads, "min_confidence": threshold},
        dataset=dataset_path,
        library=archive.library,
        embedder=archive.embedder.info,
        models=MODEL_FILES,
    )
    if dataset.retrieval_only:
        predictor: Predictor = RetrievalPredictor(archive.retriever, k=k)
    else:
        retriever = OracleRetriever(archive.library, questions) if oracle else archive.retriever
        pipeline = Pipeline(archive.library, retriever, reader, confidence)
        predictor = AnswerPredictor(pipeline, archive.library, k=k)
    with progress() as shown:
        task = shown.add_task("Asking", total=len(questions))
        done = partial(shown.update, task)
        run(questions, predictor, archive.library, out, facts=facts, on_progress=lambda n: done(completed=n))
    scored = scored_run(out)
    _show(scored, out, as_json=as_json)
    _write_report(scored, out)
    _fail_if_invalid(scored.scores)


@commands.command("score")
def score_command(
    run_folder: RunFolder,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Instead of the run's own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a finished run again, without running a model."""
    scored = scored_run(run_folder, min_confidence)
    _show(scored, run_folder, as_json=as_json)
    _fail_if_invalid(scored.scores)


@commands.command("report")
def report_command(
    run_folder: RunFolder,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Instead of the run's own.")] = None,
) -> None:
    """Write RUN/report.html: charts and every wrong answer, in one file that needs no network."""
    typer.echo(_write_report(scored_run(run_folder, min_confidence), run_folder))


def _check_golds(dataset: Dataset, questions: Sequence[Question]) -> None:
    """Raise typer.BadParameter where there are no gold passages to give to the reader."""
    if dataset.retrieval_only or any(q.is_answerable and not q.article_ids for q in questions):
        raise typer.BadParameter("this dataset does not say which articles answer its questions", param_hint="--oracle")


def _show(scored: ScoredRun, run_folder: Path, *, as_json: bool) -> None:
    """Write the scores beside the run and print them."""
    write_scores(scored, run_folder)
    if as_json:
        typer.echo((run_folder / "scores.json").read_text(encoding="utf-8"), nl=False)
    else:
        show_scores(Console(emoji=False), scored)


def _write_report(scored: ScoredRun, run_folder: Path) -> Path:
    from eval.report import report  # draws with matplotlib, which takes a second to import

    file = run_folder / "report.html"
    write_text(file, report(scored))
    return file


def _fail_if_invalid(scores: RunScores) -> None:
    if not scores.all_citations_valid:
        valid = scores.everything.values[INVALID]
        n_invalid = round((1 - valid.value) * valid.n)
        Console(stderr=True, emoji=False).print(
            f"[red]quoth:[/red] {n_invalid} of {valid.n} given answers are not in their articles where they say:"
            " this run has failed",
            soft_wrap=True,
        )
        raise typer.Exit(FAILED)
