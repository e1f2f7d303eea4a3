"""Questions over HTTP: ask one, ask many, search passages."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import APIRouter, Request

from api import metrics
from api.access import needs
from api.desk import Done
from api.keys import Scope
from api.logs import note
from api.problem_schemas import ProblemDocument
from api.problems import document_of, problem, problem_of, responses
from api.schemas import (
    AskDocument,
    AskRequest,
    BatchDocument,
    BatchRequest,
    FoundPassageDocument,
    SearchDocument,
    SearchRequest,
)
from api.service import Service
from index.errors import QuestionError
from index.retriever import RetrievedPassage
from qa.pipeline import Reply, checked_question

EVERYWHERE = (
    "key_required",
    "key_unknown",
    "scope_missing",
    "rate_limited",
    "wrong_host",
    "internal",
    "library_unusable",
)
"""Codes that every operation below /v1 can answer with."""
_BODY = ("invalid_request", "too_slow", "too_large", "cross_site")
_DESK = ("busy", "deadline", "client_gone", "model_unusable")
T = TypeVar("T")
_ASKING = (*EVERYWHERE, *_BODY, *_DESK, "invalid_question", "article_changed")


def questions_router(service: Service) -> APIRouter:
    """The routes over these objects."""
    router = APIRouter(prefix="/v1", tags=["Questions"], dependencies=[needs(Scope.ASK)])

    @router.post("/ask", responses=responses(*_ASKING), summary="Ask a question")
    async def ask(request: Request, asked: AskRequest) -> AskDocument:
        """The cited answer, or null where the archive holds none."""
        return AskDocument.of(await answered(service, request, asked))

    @router.post("/ask:batch", responses=responses(*_ASKING), summary="Ask several questions")
    async def ask_batch(request: Request, asked: BatchRequest) -> BatchDocument:
        """Each question's document, or the problem that kept it from one. They are asked one after the other, each in
        its turn among everybody's, so that a batch keeps nobody out; where the queue is full, the rest of the batch
        is refused.
        """
        results: list[AskDocument | ProblemDocument] = []
        for question in asked.questions:
            try:
                results.append(AskDocument.of(await answered(service, request, question)))
            except Exception as error:
                found = problem_of(error)
                if found.code in {"client_gone", "internal"}:
                    raise
                results.append(document_of(request, found))
        return BatchDocument(results=results)

    @router.post("/search", responses=responses(*_ASKING), summary="Search passages")
    async def search(request: Request, asked: SearchRequest) -> SearchDocument:
        """Passages for a question, best first."""
        passages = await found(service, request, asked)
        documents = [FoundPassageDocument.of(passage) for passage in passages]
        return SearchDocument(question=asked.question.strip(), passages=documents)

    return router


async def answered(service: Service, request: Request, asked: AskRequest) -> Reply:
    """The reply to a question, in its turn.

    Raises:
        ProblemError: the question or the threshold cannot be taken, or there is no room for it.
        QuothError: what asking raises.
    """
    _checked(service, asked)

    def work() -> Reply:
        return service.pipeline.ask(
            asked.question,
            k=asked.k,
            filters=asked.filters,
            min_confidence=asked.min_confidence,
            precision=asked.precision,
            alternatives=asked.alternatives,
        )

    done = await service.asking.do(request, work)
    _count(done)
    outcome = "answered" if done.value.answer else "refused"
    note(outcome=outcome, k=asked.k, waited_ms=round(done.waited_ms, 1), worked_ms=round(done.value.total_ms, 1))
    if service.log_questions:
        note(question=asked.question)
    return done.value


async def found(service: Service, request: Request, asked: SearchRequest) -> Sequence[RetrievedPassage]:
    """The passages for a question, in its turn.

    Raises:
        ProblemError: the question cannot be taken, or there is no room for it.
        QuothError: what searching raises.
    """
    question = _in_field("question", lambda: checked_question(asked.question))
    if service.log_questions:
        note(question=asked.question)
    work = lambda: service.archive.retriever.retrieve(question, asked.k, asked.filters)  # noqa: E731
    return (await service.asking.do(request, work)).value


def _checked(service: Service, asked: AskRequest) -> None:
    """Refuse what cannot be asked before it takes a place."""
    _in_field("question", lambda: service.pipeline.checked(asked.question))
    field = "precision" if asked.precision is not None else "min_confidence"
    _in_field(field, lambda: service.pipeline.threshold(asked.min_confidence, asked.precision))


def _in_field(field: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except QuestionError as error:
        raise problem("invalid_question", str(error), field=field) from error


def _count(done: Done[Reply]) -> None:
    reply = done.value
    seconds = {
        "wait": done.waited_ms / 1000,
        "retrieve": reply.timings.retrieve_ms / 1000,
        "read": reply.timings.read_ms / 1000,
        "total": reply.total_ms / 1000,
    }
    for stage, value in seconds.items():
        metrics.STAGE_SECONDS.labels(stage).observe(value)
    best = reply.answer or next(iter(reply.alternatives), None)
    metrics.ANSWERS.labels("answered" if reply.answer else "refused").inc()
    metrics.CONFIDENCE.observe(best.confidence if best else 0.0)
