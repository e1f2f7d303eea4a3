"""`quoth eval sweep`: the shipped settings against their neighbours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from api.eval_archive import (
    LibraryFolder,
    Splitting,
    built_archive,
    chosen_questions,
    library_articles,
    with_library,
)
from api.eval_terminal import LEGEND, SHORT
from api.settings import Settings
from api.terminal import progress
from api.wiring import MODEL_FILES, open_library
from eval.datasets import read_dataset
from eval.differences import Verdict, points, signed_points
from eval.facts import run_facts
from eval.outcomes import outcomes
from eval.predictors import AnswerPredictor
from eval.questions import Question
from eval.run_folder import read_predictions, read_timings, write_json, write_text
from eval.runs import check_archive, check_questions, is_finished, run
from eval.sweep import THRESHOLD, Point, SettingSweep, Tried, setting_sweep, sweep_document
from index.articles import Article
from index.errors import DatasetError
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS
from index.retriever import DENSE_WEIGHT, HybridRetriever
from qa.confidence import Confidence, load_confidence
from qa.pipeline import PASSAGES_READ, Pipeline
from qa.reader import Reader

SHIPPED: dict[str, float] = {
    "passage_tokens": PASSAGE_TOKENS,
    "overlap_tokens": OVERLAP_TOKENS,
    "dense_weight": DENSE_WEIGHT,
    "passages": PASSAGES_READ,
}
_SHORT = {**SHORT, "best_f1": "F1*", "answered": "ans.", "precision": "prec."}
_MARKS = {Verdict.BETTER: " [green]▲[/]", Verdict.WORSE: " [red]▼[/]", Verdict.UNCLEAR: "  "}
_LIST = "V1,V2,..."


def sweep_command(
    context: typer.Context,
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="As for `quoth eval run`.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder to write; a stopped sweep in it goes on.")],
    library: LibraryFolder = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take a random sample of this many questions.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample.")] = 7,
    split: Annotated[str, typer.Option(help="Only questions of this split.")] = "",
    passage_tokens: Annotated[
        str, typer.Option(metavar=_LIST, help="Tokens of a passage, at least twice the shipped overlap.")
    ] = "100,150,200,300",
    overlap_tokens: Annotated[
        str, typer.Option(metavar=_LIST, help="Tokens that neighbouring passages share, at most half of a passage.")
    ] = "0,20,40,75",
    dense_weight: Annotated[
        str, typer.Option(metavar=_LIST, help="Weight of the dense index in the retrieval score.")
    ] = "0,0.2,0.3,0.4,0.5,0.6,0.7,0.8,1",
    passages: Annotated[str, typer.Option(metavar=_LIST, help="Passages read for each question.")] = "1,2,3,5,10,15,20",
    min_confidence: Annotated[
        str, typer.Option(metavar=_LIST, help="Answer only at or above this confidence.")
    ] = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Move one setting at a time away from what is shipped, and score each value on the same questions.

    Each splitting of the articles is built once and kept in the cache; each value is a run folder in OUT. An empty list
    ('') leaves a setting out. Writes OUT/sweep.json and OUT/sweep.html.
    """
    from eval.sweep_page import sweep_page  # draws with matplotlib, which takes a second to import

    wanted = {
        # An overlap is at most half of a passage: what is left of it must be new text.
        "passage_tokens": _numbers("--passage-tokens", passage_tokens, 2 * OVERLAP_TOKENS, 10_000, whole=True),
        "overlap_tokens": _numbers("--overlap-tokens", overlap_tokens, 0, PASSAGE_TOKENS // 2, whole=True),
        "dense_weight": _numbers("--dense-weight", dense_weight, 0, 1),
        "passages": _numbers("--passages", passages, 1, 100, whole=True),
    }
    thresholds = _numbers("--min-confidence", min_confidence, 0, 1)
    if not any((*wanted.values(), thresholds)):
        raise typer.BadParameter("every setting is left out: there is nothing to sweep")
    settings = with_library(context.obj, library)
    dataset = read_dataset(dataset_path)
    if dataset.retrieval_only:
        raise DatasetError(f"{dataset_path}: holds no answers; a sweep needs questions with answers")
    questions = chosen_questions(dataset, split=split, limit=limit, seed=seed)
    if dataset.articles is None:
        check_archive(questions, open_library(settings))
    articles = dataset.articles if dataset.articles is not None else library_articles(settings)
    runner = _Runner(settings, dataset_path, articles, questions, out)
    sweeps = [runner.sweep(setting, values) for setting, values in wanted.items() if values]
    if thresholds:
        sweeps.append(runner.threshold_sweep(thresholds))
    write_json(out / "sweep.json", sweep_document(sweeps))
    write_text(out / "sweep.html", sweep_page(dataset_path.name, len(questions), sweeps))
    if as_json:
        typer.echo((out / "sweep.json").read_text(encoding="utf-8"), nl=False)
    else:
        _show(Console(emoji=False, highlight=False), sweeps)


class _Runner:
    """Asks the questions under any settings, each combination once, in a run folder of its own."""

    def __init__(
        self,
        settings: Settings,
        dataset: Path,
        articles: Sequence[Article],
        questions: Sequence[Question],
        out: Path,
    ) -> None:
        self._settings, self._dataset, self._articles = settings, dataset, articles
        self._questions, self._out = questions, out
        self._reader = Reader(threads=settings.threads)
        check_questions(questions, self._reader.check)
        self._confidence: Confidence = load_confidence()

    def sweep(self, setting: str, values: Sequence[float]) -> SettingSweep:
        """The values of a setting, with the shipped one, and the others as shipped.

        Judged by F1 at each value's own best threshold, so that better reading is not mistaken for a luckier threshold.
        """
        tried = []
        for value in sorted({*values, SHIPPED[setting]}):
            folder = self._run({**SHIPPED, setting: value})
            found = outcomes(read_predictions(folder), self._confidence.min_confidence)
            is_shipped = value == SHIPPED[setting]
            tried.append(
                Tried(setting=setting, value=value, is_shipped=is_shipped, outcomes=found, total_ms=_median_ms(folder))
            )
        return setting_sweep(tried, "best_f1")

    def threshold_sweep(self, values: Sequence[float]) -> SettingSweep:
        """The thresholds, with the shipped one, over the predictions as shipped; judged by F1 under each."""
        folder = self._run(SHIPPED)
        predicted = read_predictions(folder)
        shipped = self._confidence.min_confidence
        tried = [
            Tried(
                setting=THRESHOLD,
                value=value,
                is_shipped=value == shipped,
                outcomes=outcomes(predicted, value),
                total_ms=_median_ms(folder),
            )
            for value in sorted({*values, shipped})
        ]
        return setting_sweep(tried, "f1")

    def _run(self, chosen: Mapping[str, float]) -> Path:
        splitting = Splitting(
            passage_tokens=int(chosen["passage_tokens"]), overlap_tokens=int(chosen["overlap_tokens"])
        )
        archive = built_archive(self._articles, self._settings, splitting)
        moved = {name: value for name, value in chosen.items() if value != SHIPPED[name]}
        folder = self._out / ("-".join(f"{name}-{value:g}" for name, value in moved.items()) or "shipped")
        facts = run_facts(
            settings={**chosen, "n_questions": len(self._questions), "min_confidence": self._confidence.min_confidence},
            dataset=self._dataset,
            library=archive.library,
            embedder=archive.embedder.info,
            models=MODEL_FILES,
        )
        if is_finished(folder, facts, self._questions):
            return folder
        retriever = HybridRetriever(
            archive.library, archive.derived, archive.embedder, dense_weight=chosen["dense_weight"]
        )
        pipeline = Pipeline(archive.library, retriever, self._reader, self._confidence)
        predictor = AnswerPredictor(pipeline, archive.library, k=int(chosen["passages"]))
        with progress() as shown:
            task = shown.add_task(folder.name, total=len(self._questions))
            run(
                self._questions,
                predictor,
                archive.library,
                folder,
                facts=facts,
                on_progress=lambda n: shown.update(task, completed=n),
            )
        return folder


def _median_ms(run_folder: Path) -> float:
    return float(np.median(read_timings(run_folder)["total_ms"]))


def _numbers(option: str, text: str, lowest: float, highest: float, *, whole: bool = False) -> list[float]:
    """The values of an option, which are whole numbers if `whole` says so.

    Raises:
        typer.BadParameter: one is no such number, or out of range.
    """
    return [_number(option, part.strip(), lowest, highest, whole=whole) for part in text.split(",") if text.strip()]


def _number(option: str, text: str, lowest: float, highest: float, *, whole: bool) -> float:
    kind = "a whole number" if whole else "a number"
    try:
        value = int(text) if whole else float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not {kind}", param_hint=option) from error
    if not lowest <= value <= highest:
        raise typer.BadParameter(f"{text} is not {kind} from {lowest:g} to {highest:g}", param_hint=option)
    return value


def _show(console: Console, sweeps: Sequence[SettingSweep]) -> None:
    for sweep in sweeps:
        console.print(_table(sweep))
        console.print()
    console.print(
        "In %; last the difference to what is shipped, with its 95 % interval: ▲ better, ▼ worse, else chance explains"
        f" it. F1*: F1 at the best threshold. ans.: share answered. prec.: share of answers that are right. {LEGEND}"
        " ms: median of a question.",
        style="dim",
    )


def _table(sweep: SettingSweep) -> Table:
    title = f"{sweep.setting}, judged by {_SHORT[sweep.decides]}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_edge=False, padding=0)  # 80 columns wide
    for column in ("value", *(_SHORT[name] for name in sweep.metrics), "ms", "against shipped"):
        table.add_column(column, justify="right", no_wrap=True)
    for point in sweep.points:
        values = (point.scores.get(name) for name in sweep.metrics)
        cells = ("–" if value is None else points(value.value) for value in values)
        style = "bold" if point.is_shipped else ""
        table.add_row(f"{point.value:g}", *cells, f"{point.total_ms:.0f}", _against_shipped(point), style=style)
    return table


def _against_shipped(point: Point) -> str:
    if point.change is None or point.verdict is None:
        return "shipped  "
    value, low, high = map(signed_points, (point.change.value, point.change.low, point.change.high))
    return f"{value} ({low} to {high}){_MARKS[point.verdict]}"
