"""Files into the archive, as `quoth add` does it: seen, said, and out of the way of a server."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from index.articles import Article, read_file
from index.errors import ArticleError
from index.intake import Intake, TakenIn

_NICENESS = 10
"""At 5, answers took 2.7 times as long while a thousand articles were added (bench/serving.py)."""
_ERRORS_SHOWN = 3
"""Of one file: a folder may hold a `.jsonl` of something else, and a thousand lines help nobody."""


def give_way() -> None:
    """Let a server on the same machine answer first: taking in a folder computes for minutes or hours."""
    with suppress(AttributeError, OSError):  # not every system has it
        os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def take_in(intake: Intake, files: list[Path], *, verbose: bool) -> tuple[list[TakenIn], list[str]]:
    """Take in files, with a progress bar: what was stored, and what was wrong with the rest, said at once and skipped.

    `verbose` prints a line for each article to stdout, once it is safe.
    """
    errors: list[str] = []
    console = Console(stderr=True)

    def good_articles() -> Iterator[Article]:
        for file in files:
            n_before = len(errors)
            for read in read_file(file):
                if isinstance(read, ArticleError):
                    errors.append(str(read))
                else:
                    yield read
            say_skipped(console, str(file), errors[n_before:])
            progress.advance(task)

    columns = (TextColumn("Adding"), BarColumn(), MofNCompleteColumn(), TextColumn("files"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(files))
        taken_in = []
        for stored in intake.take_in(good_articles()):
            taken_in.append(stored)
            if verbose:
                sys.stdout.write(f"{stored.status} {stored.article_id}\n")
                sys.stdout.flush()
        return taken_in, errors


def say_skipped(console: Console, file: str, errors: list[str]) -> None:
    """Say what was skipped of a file, the first few by name."""
    for error in errors[:_ERRORS_SHOWN]:
        console.print(f"[red]skipped:[/red] {escape(error)}", soft_wrap=True)
    if len(errors) > _ERRORS_SHOWN:
        console.print(f"[red]skipped:[/red] {escape(file)}: and {len(errors) - _ERRORS_SHOWN} more", soft_wrap=True)
