"""The HTTP API. Endpoints are plain functions: the framework runs them in worker threads, off the event loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schemas import (
    ArticleDocument,
    ArticleFields,
    ArticlesDocument,
    AskDocument,
    AskRequest,
    ErrorDocument,
    FoundPassageDocument,
    SearchDocument,
    SearchRequest,
    StoredDocument,
    SummaryDocument,
)
from api.wiring import Archive
from index.articles import make_article
from index.errors import CitationError, InputError, LibraryBusyError, NotFoundError, QuothError
from index.intake import Status
from index.records import Filters
from qa.pipeline import Pipeline, checked_question

MAX_REQUEST_BYTES = 2_000_000
"""The longest request: an article of this size has some 300,000 words."""
_MAX_OFFSET = 2**63 - 1
_STATUS: tuple[tuple[type[QuothError], int], ...] = (
    (NotFoundError, 404),
    (InputError, 422),
    (CitationError, 409),
    (LibraryBusyError, 503),
    (QuothError, 500),
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorDocument, "description": "No article has that id"},
    409: {"model": ErrorDocument, "description": "An article changed while the question was answered; ask again"},
    413: {"model": ErrorDocument, "description": "The request is too large"},
    422: {"model": ErrorDocument, "description": "The request names a field that is wrong, and says why"},
    503: {"model": ErrorDocument, "description": "Another process is writing; try again"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the API serves."""

    archive: Archive
    pipeline: Pipeline


def build_app(service: Service, version: str) -> FastAPI:
    """The application over ready objects."""
    app = FastAPI(
        title="Quoth",
        version=version,
        description="Exact answers from your own archive of news articles, quoted and cited to the character.",
        docs_url=None,  # the interactive pages load scripts from the network, and Quoth is offline
        redoc_url=None,
    )
    app.add_middleware(LimitRequestSize, max_bytes=MAX_REQUEST_BYTES)
    app.add_exception_handler(QuothError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    _add_questions(app, service)
    _add_articles(app, service)
    _add_health(app, service)
    return app


def _add_questions(app: FastAPI, service: Service) -> None:
    @app.post("/v1/ask", responses={status: _ERRORS[status] for status in (409, 413, 422)}, summary="Ask a question")
    def ask(request: AskRequest) -> AskDocument:
        """The cited answer, or null where the archive holds none."""
        reply = service.pipeline.ask(
            request.question,
            k=request.passages,
            filters=_filters(request),
            min_confidence=request.min_confidence,
            precision=request.precision,
        )
        return AskDocument.of(reply)

    @app.post("/v1/search", responses={status: _ERRORS[status] for status in (413, 422)}, summary="Search passages")
    def search(request: SearchRequest) -> SearchDocument:
        """Passages for a question, best first."""
        question = checked_question(request.question)
        found = service.archive.retriever.retrieve(question, request.passages, _filters(request))
        return SearchDocument(question=question, passages=[FoundPassageDocument.of(passage) for passage in found])


def _add_articles(app: FastAPI, service: Service) -> None:
    library, intake = service.archive.library, service.archive.intake()

    @app.get("/v1/articles", responses={422: _ERRORS[422]}, summary="List articles")
    def list_articles(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, le=_MAX_OFFSET)] = 0
    ) -> ArticlesDocument:
        """Newest first."""
        page = [SummaryDocument.of(summary) for summary in library.articles(limit=limit, offset=offset)]
        return ArticlesDocument(total=library.counts()[0], articles=page)

    @app.get("/v1/articles/{article_id:path}", responses={404: _ERRORS[404]}, summary="Read an article")
    def get_article(article_id: str) -> ArticleDocument:
        """The article as it is stored."""
        return ArticleDocument.of(library.get(article_id))

    @app.put(
        "/v1/articles/{article_id:path}",
        responses={status: _ERRORS[status] for status in (413, 422, 503)},
        summary="Add or replace an article",
    )
    def put_article(article_id: str, fields: ArticleFields, response: Response) -> StoredDocument:
        """Stored and findable when this returns: 201 if it is new, else 200."""
        article = make_article(article_id=article_id, **fields.model_dump())
        (stored,) = intake.take_in([article])
        service.archive.derived.refresh()
        response.status_code = 201 if stored.status is Status.ADDED else 200
        return StoredDocument(article_id=stored.article_id, status=stored.status, n_passages=stored.n_passages)

    @app.delete(
        "/v1/articles/{article_id:path}",
        status_code=204,
        responses={status: _ERRORS[status] for status in (404, 503)},
        summary="Remove an article",
    )
    def delete_article(article_id: str) -> None:
        """From here on no answer cites it."""
        library.remove(article_id)


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Is the process alive?")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Can questions be answered?")
    def readyz() -> dict[str, int]:
        """The number of articles and of passages, read from the Library now."""
        articles, passages = service.archive.library.counts()
        return {"articles": articles, "passages": passages}


def _filters(request: SearchRequest) -> Filters:
    return Filters(before=request.before, after=request.after, source=request.source)


def _on_error(_: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


def _on_bad_request(_: Request, error: Exception) -> JSONResponse:
    """Names each field; the value is not echoed, for not every value can be written as JSON."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 (for the type checker: registered for nothing else)
    problems = [f"{'.'.join(str(part) for part in found['loc'][1:])}: {found['msg']}" for found in error.errors()]
    return JSONResponse({"detail": "; ".join(problems)}, status_code=422)


class LimitRequestSize:
    """ASGI middleware that answers 413 to a body longer than `max_bytes`, declared or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body first; it is bounded, and so is the memory."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                refusal = JSONResponse({"detail": f"a request has at most {self._max_bytes} bytes"}, status_code=413)
                await refusal(scope, receive, send)
                return
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                break
        await self._app(scope, _replayed(body, receive), send)


def _replayed(body: bytes, receive: Receive) -> Callable[[], Any]:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message
