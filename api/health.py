"""For machines that watch: is the process alive, can it answer, what has it counted?"""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from api import metrics
from api.access import needs
from api.keys import Scope
from api.problems import problem, responses
from api.readiness import Readiness
from api.service import Service


class AliveDocument(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["ok"])


class ReadyDocument(BaseModel):
    """Questions can be answered."""

    status: str = Field(examples=["ready"])


def health_router(service: Service, readiness: Readiness) -> APIRouter:
    """The routes over these objects. Keys are asked for the metrics alone."""
    router = APIRouter(tags=["Health"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> AliveDocument:
        """Yes, if this is answered."""
        return AliveDocument(status="ok")

    @router.get(
        "/readyz",
        responses=responses("not_ready", "internal", "library_unusable"),
        summary="Can questions be answered?",
    )
    def readyz() -> ReadyDocument:
        """Once the models are warm."""
        if not readiness.is_ready:
            raise problem("not_ready", "the models are not warm yet", retry_after_s=1)
        service.archive.library.generation  # noqa: B018 (read, so that a Library that cannot be is known here)
        return ReadyDocument(status="ready")

    @router.get(
        "/metrics",
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text form"},
            **responses("key_required", "key_unknown", "scope_missing", "rate_limited", "wrong_host", "internal"),
        },
        response_class=Response,
        dependencies=[needs(Scope.ADMIN)],
        summary="What has been counted?",
    )
    def show_metrics() -> Response:
        """Requests, latency by stage, the queue, abstentions, confidence, and the Library's generation and size."""
        return Response(metrics.exposition(service.archive.library), media_type=CONTENT_TYPE_LATEST)

    return router
