"""Many articles in one request: JSON lines in, a JSON line out for each."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from api.article_schemas import LineDocument, RecordFields, StoredDocument
from api.guards import MAX_BODY_BYTES
from api.problems import Problem, document_of, problem, problem_of
from api.service import Service
from index.articles import Article
from index.errors import QuothError
from index.intake import TakenIn

MEDIA_TYPE = "application/x-ndjson"
_AT_ONCE, _CHARS_AT_ONCE = 32, 500_000
"""Articles of one turn at the desk, and characters of them: seconds of work, then whoever waits has their turn."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the request: an article, or what is wrong with it."""

    number: int
    read: Article | Problem


async def whole_body(request: Request) -> IO[bytes]:
    """The body, on the disk if it is long: answering while it still comes could make both sides wait for ever.

    Raises:
        ProblemError: it is too large, or comes too slowly.
    """
    file = SpooledTemporaryFile(max_size=MAX_BODY_BYTES)  # noqa: SIM115 (closed by `results`)
    async for piece in request.stream():
        file.write(piece)
    file.seek(0)
    return file


async def results(service: Service, request: Request, body: IO[bytes]) -> AsyncIterator[str]:
    """A JSON line for each line of the body that is not blank, in their order, once its article is stored."""
    with body:
        async for batch in turns(_lines(body), lambda line: line.read):
            yield await _stored(service, request, batch)


async def turns(read: Iterable[T], article_in: Callable[[T], object]) -> AsyncIterator[list[T]]:
    """What is read, in pieces for one turn at the desk each; `article_in` gives the article of it, or anything else.

    It is read in a thread: parsing takes time that other requests need.
    """
    pieces = _pieces(read, article_in)
    while piece := await run_in_threadpool(lambda: next(pieces, None)):
        yield piece


async def stored(service: Service, request: Request, articles: Sequence[Article]) -> list[TakenIn]:
    """What taking the articles in did, in their order; they are on the disk and can be found.

    Raises:
        ProblemError: there is no room for it.
        QuothError: what taking in raises.
    """

    def work() -> list[TakenIn]:
        by_id: dict[str, list[TakenIn]] = {}
        for taken in service.intake.take_in(articles):  # those that are unchanged come first
            by_id.setdefault(taken.article_id, []).append(taken)
        service.archive.derived.refresh()
        return [by_id[article.article_id].pop(0) for article in articles]

    return (await service.writing.do(request, work)).value


def _pieces(read: Iterable[T], article_in: Callable[[T], object]) -> Iterator[list[T]]:
    piece: list[T] = []
    n_chars = 0
    for each in read:
        article = article_in(each)
        piece.append(each)
        n_chars += len(article.text) if isinstance(article, Article) else 0
        if len(piece) >= _AT_ONCE or n_chars >= _CHARS_AT_ONCE:
            yield piece
            piece, n_chars = [], 0
    if piece:
        yield piece


def _lines(body: IO[bytes]) -> Iterator[Line]:
    number = 0
    while line := body.readline(MAX_BODY_BYTES + 1):
        number += 1
        if len(line) > MAX_BODY_BYTES:
            yield Line(number=number, read=problem("too_large", f"a line has at most {MAX_BODY_BYTES} bytes").problem)
            while line and not line.endswith(b"\n"):
                line = body.readline(MAX_BODY_BYTES)
        elif line.strip():
            yield Line(number=number, read=_read(line))


def _read(line: bytes) -> Article | Problem:
    try:
        fields = RecordFields.model_validate_json(line)
        return fields.article(fields.id)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        return problem("invalid_article", f"{field or 'line'}: {first['msg']}", field=field).problem
    except QuothError as error:
        return problem_of(error)


async def _stored(service: Service, request: Request, batch: Sequence[Line]) -> str:
    """The lines of the response for a batch. If its turn fails, each article has the reason: send them again."""
    articles = [line.read for line in batch if isinstance(line.read, Article)]
    try:
        taken = iter(await stored(service, request, articles) if articles else [])
        failed = None
    except Exception as error:
        taken, failed = iter(()), problem_of(error)
        if failed.code in {"client_gone", "internal"}:
            raise
    documents = []
    for line in batch:
        if isinstance(line.read, Problem) or failed:
            found = line.read if isinstance(line.read, Problem) else failed
            assert found is not None  # noqa: S101 (for the type checker)
            documents.append(LineDocument(line=line.number, problem=document_of(request, found)))
        else:
            documents.append(LineDocument(line=line.number, stored=StoredDocument.of(next(taken))))
    return "".join(document.model_dump_json(exclude_none=True) + "\n" for document in documents)
