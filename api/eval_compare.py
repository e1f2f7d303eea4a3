"""`quoth eval compare A B`: is run B better or worse than run A on the same questions?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.compare import Comparison, Side, compare, comparison_document, read_side
from eval.differences import Difference, Verdict, points, signed_points
from eval.gate import reason
from eval.metrics import metric
from eval.pairs import CHANGED_BY, Change
from eval.run_folder import read_passages, write_text
from index.errors import DatasetError

FAILED = 1
_QUESTIONS_SHOWN = 5
_FACT_CHARS = 40
_WORDS = {Verdict.BETTER: "[green]better[/]", Verdict.WORSE: "[red]worse[/]", Verdict.UNCLEAR: ""}


def compare_command(
    a_folder: Annotated[Path, typer.Argument(metavar="A", help="The run folder to compare with.")],
    b_folder: Annotated[Path, typer.Argument(metavar="B", help="The run folder of what is new.")],
    gate: Annotated[
        str, typer.Option(metavar="METRICS", help="Fail if B is worse on one of these: f1,success@5.")
    ] = "",
    tolerance: Annotated[
        float,
        typer.Option(min=0, max=100, help="The loss that the gate puts up with, in points: 0.5 is half a percent."),
    ] = 0.0,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="For both, instead of each run's own.")
    ] = None,
    common: Annotated[bool, typer.Option("--common", help="Compare the questions that both have.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with all questions won and lost.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Compare run B with run A, question by question; exit code 1 if B is surely worse on a --gate metric.

    Surely: the whole one-sided bootstrap interval of the loss lies beyond the tolerance, and a test that few questions
    cannot fool agrees (McNemar's where answers are right or wrong, else one that swaps A and B at random). A gate may
    fail a B that is as good as A in 2.5 % of cases, however many metrics are named.
    """
    compared = compare(
        read_side(a_folder, min_confidence),
        read_side(b_folder, min_confidence),
        gated=_metric_names(gate),
        tolerance=tolerance / 100,
        common=common,
    )
    if out is not None:
        from eval.comparison_report import comparison_page

        write_text(out, comparison_page(compared, read_passages(a_folder), read_passages(b_folder)))
    if as_json:
        typer.echo(json.dumps(comparison_document(compared), ensure_ascii=False, indent=2))
    else:
        show_comparison(Console(highlight=False, emoji=False), compared)
    if compared.fails:
        raise typer.Exit(FAILED)


def show_comparison(console: Console, compared: Comparison) -> None:
    """What differs in the settings, the metrics, the first questions won and lost, and the gate's word last."""
    _show_sides(console, compared)
    console.print(_metric_table(compared.differences))
    console.print(
        f"\nIn %, of {compared.n_questions} questions, with 95 % bootstrap intervals; only A|B: right in one run alone."
        " Without a word, no difference is clear. Of so many rows, one in twenty would look clear by chance.",
        style="dim",
    )
    if compared.unmeasured:
        console.print(f"Only one of the runs has {', '.join(compared.unmeasured)}.", style="dim")
    _show_changes(console, "Lost", compared.lost, compared)
    _show_changes(console, "Won", compared.won, compared)
    _show_gate(console, compared)


def _metric_names(gate: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in gate.split(",") if name.strip()))
    try:
        return [metric(name).name for name in names]
    except DatasetError as error:
        raise typer.BadParameter(str(error), param_hint="--gate") from error


def _show_sides(console: Console, compared: Comparison) -> None:
    for label, side, left_out in (("A", compared.a, compared.only_in_a), ("B", compared.b, compared.only_in_b)):
        console.print(f"[bold]{label}[/bold]  {escape(_side(side, left_out))}", soft_wrap=True)
    if not compared.facts:
        console.print("Both were made with the same settings, models, data and versions.")
        return
    table = Table(title="What was different", title_justify="left", box=box.SIMPLE, pad_edge=False)
    for column in ("", "A", "B"):
        table.add_column(column, overflow="fold")
    for fact in compared.facts:
        table.add_row(fact.name, *(escape(_short(value)) for value in (fact.a, fact.b)))
    console.print(table)


def _side(side: Side, left_out: int) -> str:
    more = f", {left_out} more questions left out" if left_out else ""
    return f"{side.name} (answered at confidence >= {side.min_confidence:.3f}{more})"


def _metric_table(differences: Sequence[Difference]) -> Table:
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("metric", no_wrap=True)
    for column in ("A", "B", "B - A", "interval", "p", "only A|B"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for found in differences:
        change = found.change
        table.add_row(
            found.metric.name,
            points(found.a),
            points(found.b),
            signed_points(change.value),
            f"{signed_points(change.low)} to {signed_points(change.high)}",
            "<0.001" if found.p < 0.001 else f"{found.p:.3f}",
            "" if found.only_a is None else f"{found.only_a}|{found.only_b}",
            _WORDS[found.verdict],
        )
    return table


def _show_changes(console: Console, title: str, changed: Sequence[Change], compared: Comparison) -> None:
    direction = "falls" if title == "Lost" else "rises"
    console.print(
        f"\n[bold]{title}: {len(changed)} questions[/bold] [dim](F1 {direction} by {CHANGED_BY} or more)[/dim]"
    )
    for change in changed[:_QUESTIONS_SHOWN]:
        question = change.pair.a.question
        golds = " / ".join(question.answers) or "no answer"
        console.print(f"  {escape(question.question)} [dim]{escape(question.question_id)}: {escape(golds)}[/dim]")
        for label, side, predicted in (("A", compared.a, change.pair.a), ("B", compared.b, change.pair.b)):
            given = predicted.given(side.min_confidence) or "no answer"
            console.print(f"    {label}  {escape(given)} [dim]({predicted.confidence:.2f})[/dim]")
    if len(changed) > _QUESTIONS_SHOWN:
        console.print(
            f"  [dim]and {len(changed) - _QUESTIONS_SHOWN} more: --out FILE.html shows all, with passages[/dim]"
        )


def _show_gate(console: Console, compared: Comparison) -> None:
    if not compared.gated:
        return
    word = "[bold red]The gate fails[/bold red]" if compared.fails else "[bold green]The gate holds[/bold green]"
    console.print(f"\n{word}")
    for gated in compared.gated:
        console.print(f"  {escape(reason(gated))}", style="red" if gated.worse else "", soft_wrap=True)


def _short(value: str) -> str:
    return value if len(value) <= _FACT_CHARS else f"{value[: _FACT_CHARS - 1]}…"
