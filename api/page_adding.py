"""The page that takes articles in: pasted, or from files."""

import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from api.access import needs
from api.bulk import stored, turns
from api.guards import MAX_BODY_BYTES, MAX_STREAM_BYTES
from api.keys import Scope
from api.problems import ProblemError, problem, problem_of
from api.service import Service
from api.view_page import page
from api.view_problems import sentence
from api.view_uploads import Added, PasteForm, articles_in, file_name
from index.articles import SUFFIXES, Article
from index.errors import ArticleError, QuothError

_MAX_FILES = 1000
_FORM_BYTES = 10_000
"""What a form adds to its file, and more."""
_MAX_LISTED = 500
"""Articles of each kind, refused or not, that are named on the page; all are counted."""
_KINDS = ("added", "replaced", "unchanged", "refused")
_PLACE = re.compile(r"(, line \d+)?: ")


def add_adding(app: FastAPI, service: Service) -> None:
    """Add the routes."""

    @app.get("/add", include_in_schema=False, dependencies=[needs(Scope.ASK)])
    def empty(request: Request) -> HTMLResponse:
        """The boxes to put articles into."""
        return _page(request, service, PasteForm(), Results())

    @app.post("/add", include_in_schema=False, dependencies=[needs(Scope.WRITE)])
    async def add(request: Request) -> HTMLResponse:
        """Takes the articles in and says what became of each."""
        form = await _form(request)
        try:
            paste, results = _paste(form), Results()
            async for added in _added(service, request, form, paste):
                results.note(added)
        finally:
            await form.close()
        was_refused = bool(paste.text) and bool(results.refused)
        return await run_in_threadpool(_page, request, service, paste if was_refused else PasteForm(), results)


class Results:
    """What became of the articles of a form: the number of each kind, and the first of them by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refused: list[Added] = []
        self.taken: list[Added] = []

    def note(self, added: Added) -> None:
        """Count one, and keep it if there is room."""
        self.counts[added.status] += 1
        kept = self.refused if added.status == "refused" else self.taken
        if len(kept) < _MAX_LISTED:
            kept.append(added)


async def _form(request: Request) -> FormData:
    if (
        "charset" in request.headers.get("content-type", "").lower()
    ):  # browsers name none, and some take minutes to decode
        raise problem("media_type", "send the form as a browser does, without a charset")
    return await request.form(max_files=_MAX_FILES, max_fields=20, max_part_size=MAX_BODY_BYTES)


def _paste(form: FormData) -> PasteForm:
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return PasteForm(**{name: fields.get(name, "") for name in ("text", "title", "source", "url", "published")})


async def _added(service: Service, request: Request, form: FormData, paste: PasteForm) -> AsyncIterator[Added]:
    files = [value for value in form.getlist("files") if isinstance(value, UploadFile) and value.filename]
    if paste.text.strip() or not files:
        yield await _pasted(service, request, paste)
    for file in files:
        async for added in _from_file(service, request, file):
            yield added


async def _from_file(service: Service, request: Request, file: UploadFile) -> AsyncIterator[Added]:
    name = file_name(file.filename or "")
    n_read = 0
    async for batch in turns(articles_in(name, file.file), lambda read: read):
        n_read += len(batch)
        for added in await _taken_in(service, request, name, batch):
            yield added
    if not n_read:
        yield Added(name=name, status="refused", message="There is no article in this file.")


async def _pasted(service: Service, request: Request, paste: PasteForm) -> Added:
    name = paste.title.strip() or "The pasted text"
    try:
        article = await run_in_threadpool(lambda: paste.article)
    except ArticleError as error:
        return _refused(name, error)
    (added,) = await _taken_in(service, request, name, [article])
    return added


async def _taken_in(
    service: Service, request: Request, name: str, read: Sequence[Article | ArticleError]
) -> list[Added]:
    """What became of the articles; those that cannot be stored now are refused together."""
    refused = [_misread(name, each) for each in read if isinstance(each, ArticleError)]
    articles = [each for each in read if isinstance(each, Article)]
    try:
        taken = await stored(service, request, articles) if articles else []
    except (QuothError, ProblemError, sqlite3.OperationalError) as error:
        if problem_of(error).code in {"client_gone", "internal"}:
            raise
        return [*refused, *(_refused(each.title or name, error) for each in articles)]
    return [
        *refused,
        *(
            Added(name=article.title or name, status=each.status, article_id=each.article_id)
            for article, each in zip(articles, taken, strict=True)
        ),
    ]


def _misread(name: str, error: ArticleError) -> Added:
    """What is wrong with a file: its name, and the line if there is one, stand before the message."""
    place = _PLACE.match(str(error), len(name)) if str(error).startswith(name) else None
    message = str(error)[place.end() :] if place else str(error)
    return Added(name=name + (place[1] or "" if place else ""), status="refused", message=sentence(message))


def _refused(name: str, error: Exception) -> Added:
    return Added(name=name, status="refused", message=sentence(problem_of(error).detail))


def _page(request: Request, service: Service, paste: PasteForm, results: Results) -> HTMLResponse:
    listed = [*results.refused, *results.taken][:_MAX_LISTED]
    counts = {kind: results.counts[kind] for kind in _KINDS if results.counts[kind]}
    context = {
        "may_write": Scope.WRITE in service.access.scopes_of(request),
        "paste": paste,
        "results": listed,
        "counts": counts,
        "summary": ", ".join(f"{count} {kind}" for kind, count in counts.items()) + "." if counts else "",
        "n_unlisted": results.counts.total() - len(listed),
        "suffixes": ",".join(SUFFIXES),
        "max_bytes": MAX_STREAM_BYTES - _FORM_BYTES,
    }
    return page(request, "add.html", context, 422 if results.refused and not results.taken else 200)
