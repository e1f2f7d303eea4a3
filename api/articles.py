"""Articles over HTTP: list, read, put, remove, and take in many."""

import base64
import json
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api import bulk
from api.access import needs
from api.article_schemas import ArticleDocument, ArticleFields, ArticlesDocument, StoredDocument, SummaryDocument
from api.bulk import stored
from api.keys import Scope
from api.problems import problem, responses
from api.questions import EVERYWHERE
from api.schemas import Day, Text
from api.service import Service
from index.intake import Status
from index.library import Library
from index.records import Filters, ListPlace
from index.seals import article_seal

MAX_PAGE = 1000
_WRITING = (
    *EVERYWHERE,
    "cross_site",
    "invalid_request",
    "busy",
    "deadline",
    "client_gone",
    "library_busy",
    "disk_full",
)
_BODY = ("too_large", "too_slow", "invalid_article", "model_unusable")
_Id = Annotated[
    str, Path(description="An article's id; it may hold slashes.", examples=["idlib-2020-02-28"], min_length=1)
]
_EXAMPLE_LINES = '{"id": "a", "text": "One."}\n{"id": "b", "title": "Two", "text": "Two.", "published": "2020-02-28"}\n'


def articles_router(service: Service) -> APIRouter:
    """The routes over these objects."""
    router = APIRouter(prefix="/v1/articles", tags=["Articles"])
    _add_reading(router, service)
    _add_writing(router, service)
    return router


def _add_reading(router: APIRouter, service: Service) -> None:
    library = service.archive.library

    @router.get(
        "",
        responses=responses(*EVERYWHERE, "invalid_request"),
        dependencies=[needs(Scope.ASK)],
        summary="List articles",
    )
    def list_articles(
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        cursor: Annotated[
            str | None, Query(max_length=2000, description="The `next_cursor` of the page before.")
        ] = None,
        before: Annotated[Day | None, Query(description="Only articles published before this date.")] = None,
        after: Annotated[Day | None, Query(description="Only articles published on or after this date.")] = None,
        source: Annotated[Text | None, Query(description="Only articles of this source.")] = None,
    ) -> ArticlesDocument:
        """Newest first, undated ones last. A page stays in its place when articles come and go before it."""
        return page_of(library, limit=limit, cursor=cursor, filters=Filters(before=before, after=after, source=source))

    @router.get(
        "/{article_id:path}",
        response_model=ArticleDocument,
        responses=responses(*EVERYWHERE, "article_not_found", "invalid_request")
        | {304: {"description": "The article is the one that the client has"}},
        dependencies=[needs(Scope.ASK)],
        summary="Read an article",
    )
    def get_article(
        article_id: _Id, if_none_match: Annotated[str | None, Header(description="ETags that the client has.")] = None
    ) -> Response:
        """The article as it is stored: with its `text`, any citation can be checked. The ETag changes when it does."""
        article = library.get(article_id)
        etag = f'"{article_seal(article)}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}  # may be kept, and is asked for again each time
        if _matches(if_none_match, etag):
            return Response(status_code=304, headers=headers)
        document = ArticleDocument.of(article).model_dump_json()
        return Response(document, media_type="application/json", headers=headers)


def _add_writing(router: APIRouter, service: Service) -> None:
    @router.post(
        "",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "A JSON line for each line that is not blank, in their order",
                "content": {
                    bulk.MEDIA_TYPE: {
                        "schema": {"type": "string"},
                        "example": '{"line":1,"stored":{"article_id":"a","status":"added","n_passages":1}}\n',
                    }
                },
            },
            **responses(*_WRITING, "too_large", "too_slow", "media_type"),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {bulk.MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE_LINES}},
            }
        },
        dependencies=[needs(Scope.WRITE)],
        summary="Add many articles",
    )
    async def add_articles(request: Request) -> StreamingResponse:
        """JSON lines, each an article with its `id`. A line of the answer says what became of it, once it is stored;
        a bad line keeps no other out. Send the same again after a failure: what is stored is left as it is.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != bulk.MEDIA_TYPE:
            raise problem("media_type", f"send JSON lines, as content-type {bulk.MEDIA_TYPE}")
        body = await bulk.whole_body(request)
        return StreamingResponse(bulk.results(service, request, body), media_type=bulk.MEDIA_TYPE)

    @router.put(
        "/{article_id:path}",
        responses={201: {"model": StoredDocument, "description": "It is new"}, **responses(*_WRITING, *_BODY)},
        dependencies=[needs(Scope.WRITE)],
        summary="Add or replace an article",
    )
    async def put_article(
        request: Request, article_id: _Id, fields: ArticleFields, response: Response
    ) -> StoredDocument:
        """Stored and findable when this returns: 201 if it is new, else 200. The same again changes nothing."""
        article = await run_in_threadpool(fields.article, article_id)
        (taken,) = await stored(service, request, [article])
        response.status_code = 201 if taken.status is Status.ADDED else 200
        return StoredDocument.of(taken)

    @router.delete(
        "/{article_id:path}",
        status_code=204,
        responses=responses(*_WRITING, "article_not_found"),
        dependencies=[needs(Scope.WRITE)],
        summary="Remove an article",
    )
    async def delete_article(request: Request, article_id: _Id) -> None:
        """From here on no answer cites it."""
        await removed(service, request, article_id)


async def removed(service: Service, request: Request, article_id: str) -> None:
    """Remove an article, in its turn.

    Raises:
        NotFoundError: there is none.
        ProblemError: there is no room for it.
    """
    await service.writing.do(request, lambda: service.archive.library.remove(article_id))


def page_of(library: Library, *, limit: int, cursor: str | None, filters: Filters) -> ArticlesDocument:
    """A page of the list of articles, newest first.

    Raises:
        ProblemError: the cursor is not one.
    """
    summaries = library.articles(limit=limit + 1, after=_place(cursor) if cursor else None, filters=filters)
    page = summaries[:limit]
    last = page[-1] if len(summaries) > limit else None
    return ArticlesDocument(
        total=library.count_articles(filters),
        articles=[SummaryDocument.of(summary) for summary in page],
        next_cursor=_cursor(ListPlace(published=last.published, article_id=last.article_id)) if last else None,
    )


def _cursor(place: ListPlace) -> str:
    fields = [place.published.isoformat() if place.published else None, place.article_id]
    return base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode().rstrip("=")


def _place(cursor: str) -> ListPlace:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        published, article_id = json.loads(base64.b64decode(padded, altchars="-_", validate=True))
        article_id.encode()
        return ListPlace(published=date.fromisoformat(published) if published else None, article_id=article_id)
    except (ValueError, TypeError, AttributeError):
        raise problem("invalid_request", "give the next_cursor of the page before", field="cursor") from None


def _matches(if_none_match: str | None, etag: str) -> bool:
    given = [] if if_none_match is None else [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in given or "*" in given
