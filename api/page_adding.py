"""The page that takes articles in: pasted, or from files."""

import re
from collections.abc import AsyncIterator, Sequence

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from api.access import needs
from api.bulk import stored
from api.guards import MAX_STREAM_BYTES
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
_AT_ONCE = 32
"""Articles of one transaction, and of one turn among everybody's."""
_MAX_LISTED = 500
"""Articles that are named on the page; those that were refused come first."""

_PLACE = re.compile(r"(, line \d+)?: ")


def add_adding(app: FastAPI, service: Service) -> None:
    """Add the routes."""

    @app.get("/add", include_in_schema=False, dependencies=[needs(Scope.ASK)])
    def empty(request: Request) -> HTMLResponse:
        """The boxes to put articles into."""
        return _page(request, service, PasteForm(), ())

    @app.post("/add", include_in_schema=False, dependencies=[needs(Scope.WRITE)])
    async def add(request: Request) -> HTMLResponse:
        """Takes the articles in and says what became of each."""
        form = await _form(request)
        try:
            paste = _paste(form)
            results = [added async for added in _added(service, request, form, paste)]
        finally:
            await form.close()
        was_refused = bool(paste.text) and any(each.status == "refused" for each in results)
        return await run_in_threadpool(_page, request, service, paste if was_refused else PasteForm(), results)


async def _form(request: Request) -> FormData:
    try:
        return await request.form(max_files=_MAX_FILES, max_fields=20, max_part_size=MAX_STREAM_BYTES)
    except MultiPartException as error:
        raise problem("invalid_request", error.message) from error


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
    read = await run_in_threadpool(lambda: list(articles_in(name, file.file)))
    for start in range(0, len(read), _AT_ONCE):
        for added in await _taken_in(service, request, name, read[start : start + _AT_ONCE]):
            yield added
    if not read:
        yield Added(name=name, status="refused", message="There is no article in this file.")


async def _pasted(service: Service, request: Request, paste: PasteForm) -> Added:
    name = paste.title.strip() or "The pasted text"
    try:
        article = paste.article
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
    except (QuothError, ProblemError) as error:
        if problem_of(error).code == "client_gone":
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


def _page(request: Request, service: Service, paste: PasteForm, results: Sequence[Added]) -> HTMLResponse:
    refused = [each for each in results if each.status == "refused"]
    taken = [each for each in results if each.status != "refused"]
    listed = [*refused, *taken][:_MAX_LISTED]
    context = {
        "may_write": Scope.WRITE in service.access.scopes_of(request),
        "paste": paste,
        "results": listed,
        "counts": (counts := _counts(results)),
        "summary": ", ".join(f"{count} {kind}" for kind, count in counts.items()) + "." if counts else "",
        "n_unlisted": len(results) - len(listed),
        "suffixes": ",".join(SUFFIXES),
        "max_bytes": MAX_STREAM_BYTES - _FORM_BYTES,
    }
    return page(request, "add.html", context, 422 if refused and not taken else 200)


def _counts(results: Sequence[Added]) -> dict[str, int]:
    """How many of each kind, without those of which there are none."""
    kinds = ("added", "replaced", "unchanged", "refused")
    counts = {kind: sum(each.status == kind for each in results) for kind in kinds}
    return {kind: count for kind, count in counts.items() if count}
