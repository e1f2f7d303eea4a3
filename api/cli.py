"""The command `quoth`. Results go to stdout, diagnostics to stderr.

Exit codes: 0 answered or done, 1 failed, 2 wrong usage, 3 the archive holds no answer.
"""

import json
import logging
import os
import sqlite3
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console
from rich.markup import escape

from api import article_schemas, eval_commands, key_commands, schemas, terminal
from api.eval_compare import compare_command
from api.eval_sweep import sweep_command
from api.settings import PREFIX, Settings
from api.taking_in import give_way, say_skipped, take_in
from api.wiring import open_archive, open_library, open_pipeline
from index.articles import find_files
from index.check import faults
from index.check import repair as rebuild
from index.database import FILE_NAME
from index.errors import QuestionError, QuothError
from index.records import Filters
from qa.pipeline import PASSAGES_READ, checked_question

FAILED, WRONG_USAGE, NO_ANSWER = 1, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Exact answers from your own archive of news articles, quoted and cited to the character.",
)
eval_commands.commands.command("compare")(compare_command)
eval_commands.commands.command("sweep")(sweep_command)
app.add_typer(eval_commands.commands, name="eval")
app.add_typer(key_commands.commands, name="keys")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
_Question = Annotated[str, typer.Argument(metavar="QUESTION", help="In plain words.")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="An article's id, as `quoth list` shows it.")]
_Before = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only articles published before this date.")
]
_After = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only articles published on or after it.")]
_Source = Annotated[str | None, typer.Option(help="Only articles of this source.")]
_Passages = Annotated[int, typer.Option(min=1, max=schemas.MAX_PASSAGES, help="How many passages to retrieve.")]


@app.callback()
def common(
    context: typer.Context,
    library: Annotated[
        Path | None, typer.Option(help="The folder of the Library; else $QUOTH_LIBRARY, else the user's data folder.")
    ] = None,
) -> None:
    """Exact answers from your own archive of news articles, quoted and cited to the character."""
    settings = Settings()
    context.obj = settings.model_copy(update={"library": library}) if library else settings


@app.command()
def add(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files (.txt, .md, .jsonl) or folders of them.")
    ],
    as_json: _Json = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print a line for each article, once it is safely stored.")
    ] = False,
) -> None:
    """Take in articles. A changed file replaces its article; one bad file never stops the rest.

    Stopped in the middle and run again, it goes on where it was.
    """
    if verbose and as_json:
        raise typer.BadParameter("--verbose prints lines and --json one document: choose one")
    give_way()
    files, errors = find_files(paths)
    say_skipped(Console(stderr=True), "", [str(error) for error in errors])
    archive = open_archive(context.obj, create=True)
    taken_in, more_errors = take_in(archive.intake(), files, verbose=verbose)
    failed = [*map(str, errors), *more_errors]
    archive.derived.refresh()
    archive.derived.merge()
    by_status = {
        status: [t.article_id for t in taken_in if t.status == status] for status in ("added", "replaced", "unchanged")
    }
    if as_json:
        _print_json({**by_status, "failed": failed})
    else:
        counts = ", ".join(f"{len(ids)} {status}" for status, ids in by_status.items())
        typer.echo(f"{counts}, {len(failed)} failed; the Library is {archive.library.folder}")
    if failed or not files:
        raise typer.Exit(FAILED)


@app.command()
def ask(
    context: typer.Context,
    question: _Question,
    as_json: _Json = False,
    before: _Before = None,
    after: _After = None,
    source: _Source = None,
    passages: _Passages = PASSAGES_READ,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Answer only at or above this confidence.")
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Answer only if answers as sure were right this often on held-out questions."),
    ] = None,
) -> None:
    """Answer a question with a quote and its citation; exit code 3 if the archive holds no answer."""
    checked_question(question)
    pipeline = open_pipeline(open_archive(context.obj), context.obj)
    reply = pipeline.ask(
        question,
        k=passages,
        filters=_filters(before, after, source),
        min_confidence=min_confidence,
        precision=precision,
    )
    if as_json:
        _print_document(schemas.AskDocument.of(reply))
    else:
        terminal.show_reply(_console(), reply)
    if reply.answer is None:
        raise typer.Exit(NO_ANSWER)


@app.command()
def search(
    context: typer.Context,
    question: _Question,
    as_json: _Json = False,
    before: _Before = None,
    after: _After = None,
    source: _Source = None,
    passages: _Passages = PASSAGES_READ,
) -> None:
    """Rank passages for a question."""
    question = checked_question(question)
    found = open_archive(context.obj).retriever.retrieve(question, passages, _filters(before, after, source))
    if as_json:
        documents = [schemas.FoundPassageDocument.of(passage) for passage in found]
        _print_document(schemas.SearchDocument(question=question, passages=documents))
    else:
        terminal.show_passages(_console(), found)


@app.command("list")
def list_articles(context: typer.Context, as_json: _Json = False) -> None:
    """List the articles, newest first."""
    summaries = open_library(context.obj).articles()
    if as_json:
        documents = [article_schemas.SummaryDocument.of(summary) for summary in summaries]
        _print_document(article_schemas.ArticlesDocument(total=len(documents), articles=documents))
    else:
        terminal.show_articles(_console(), summaries)


@app.command()
def show(context: typer.Context, article_id: _Id, as_json: _Json = False) -> None:
    """Print an article as it is stored."""
    article = open_library(context.obj).get(article_id)
    if as_json:
        _print_document(article_schemas.ArticleDocument.of(article))
        return
    for fact in (article.title, article.source, article.published, article.url):
        if fact:
            typer.echo(fact)
    typer.echo(f"\n{article.text}")


@app.command()
def remove(context: typer.Context, article_id: _Id, as_json: _Json = False) -> None:
    """Remove an article: from here on no answer cites it."""
    open_library(context.obj).remove(article_id)
    if as_json:
        _print_json({"removed": article_id})
    else:
        typer.echo(f"removed {article_id}")


@app.command()
def check(
    context: typer.Context,
    as_json: _Json = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="First make the indexes anew from what the Library holds.")
    ] = False,
) -> None:
    """Verify the Library and its indexes; exit code 1 if something is wrong."""
    library = open_library(context.obj)
    if repair:
        rebuild(library)
    found = list(faults(library))
    articles, passages = library.counts()
    if as_json:
        _print_json({"articles": articles, "passages": passages, "faults": found})
    else:
        for fault in found:
            typer.echo(fault)
        typer.echo(f"{articles} articles, {passages} passages, {len(found)} faults")
    if found:
        raise typer.Exit(FAILED)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="The address to listen on; keys are asked for on any but loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; they share the indexes' memory.")] = 1,
    require_keys: Annotated[
        bool, typer.Option("--require-keys", help="Ask for keys on the loopback address too: behind a proxy.")
    ] = False,
) -> None:
    """Serve the page and the HTTP API (described at /openapi.json)."""
    from api.serve import serve as serve_http

    settings = context.obj.with_values(require_keys=True) if require_keys else context.obj
    serve_http(settings, host=host, port=port, workers=workers)


def main() -> None:
    """Run the command, turning expected errors into one line on stderr and an exit code."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.basicConfig(format="quoth: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        app()
    except QuestionError as error:
        _fail(error, WRONG_USAGE)
    except QuothError as error:
        _fail(error, FAILED)
    except sqlite3.Error as error:
        advice = "make room on the disk" if "full" in str(error) else "run quoth check"
        _fail(f"{FILE_NAME}: {error}; {advice}", FAILED)
    except (OSError, UnicodeError) as error:
        _fail(error, FAILED)
    except ValidationError as error:
        _fail("; ".join(map(_problem_of_setting, error.errors())), WRONG_USAGE)


def _problem_of_setting(error: ErrorDetails) -> str:
    variable = f"{PREFIX}{'_'.join(map(str, error['loc'])).upper()}: " if error["loc"] else ""
    return variable + error["msg"]


def _filters(before: datetime | None, after: datetime | None, source: str | None) -> Filters:
    return Filters(before=before.date() if before else None, after=after.date() if after else None, source=source)


def _console() -> Console:
    return Console(highlight=False, emoji=False)


def _print_document(document: BaseModel) -> None:
    typer.echo(document.model_dump_json(indent=2))


def _print_json(document: dict[str, object]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _fail(error: object, code: int) -> None:
    Console(stderr=True, emoji=False).print(f"[red]quoth:[/red] {escape(str(error))}", soft_wrap=True)
    sys.exit(code)
