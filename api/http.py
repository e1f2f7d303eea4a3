"""The application: every route and guard, over ready objects."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.access import Entrance
from api.articles import articles_router
from api.examples import EXAMPLES
from api.guards import BodyLimits, HeadAsGet, KnownHosts, SameSite, SecurityHeaders
from api.health import health_router
from api.logs import RequestLog
from api.pages import add_pages, error_page
from api.problem_schemas import FieldDocument, ProblemDocument
from api.problems import Problem, problem_of, response_of
from api.questions import questions_router
from api.readiness import Readiness
from api.service import Service
from index.errors import QuothError

_EXPECTED = (QuothError, HTTPException, RequestValidationError, sqlite3.OperationalError, OSError, ClientDisconnect)
_MACHINE_ADDRESSES = ("/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json")
_DESCRIPTION = """Exact answers from your own archive of news articles, quoted and cited to the character.

Every quote is `text[start:end]` of the article at `/v1/articles/{article_id}`, counted in Unicode characters: check it.
What goes wrong is a problem document (RFC 9457) whose `code` is stable."""


def build_app(service: Service) -> FastAPI:
    """The application over ready objects. While it runs, indexes are kept up to date and models are warmed."""
    readiness = Readiness(service.pipeline, service.archive.derived)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        with readiness:
            yield

    app = FastAPI(
        title="Quoth",
        version=service.version,
        description=_DESCRIPTION,
        docs_url=None,  # the interactive pages load scripts from the network, and Quoth is offline
        redoc_url=None,
        redirect_slashes=False,  # an article's id may end in a slash
        lifespan=running,
    )
    app.state.service = service
    # The last to be added is the first to see a request.
    app.add_middleware(BodyLimits)
    app.add_middleware(Entrance, access=service.access)
    app.add_middleware(SameSite)
    app.add_middleware(KnownHosts, hosts=service.hosts)
    app.add_middleware(RequestLog, answer=_answer)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadAsGet)
    for kind in _EXPECTED:
        app.add_exception_handler(kind, _on_error)
    app.include_router(questions_router(service))
    app.include_router(articles_router(service))
    app.include_router(health_router(service, readiness))
    add_pages(app, service)
    app.openapi = lambda: _described(app, service)  # type: ignore[method-assign]
    return app


async def _on_error(request: Request, error: Exception) -> Response:
    found = problem_of(error)
    if found.code == "internal":
        raise error  # for the log
    response = _answer(request, found)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    if found.status == 405 and _is_for_machines(request):
        response.headers["Allow"] = ", ".join(_methods_at(request.app, request.url.path))
    return response


def _answer(request: Request, found: Problem) -> Response:
    return response_of(request, found) if _is_for_machines(request) else error_page(request, found)


def _is_for_machines(request: Request) -> bool:
    return request.url.path.startswith(_MACHINE_ADDRESSES)


def _methods_at(app: FastAPI, path: str) -> list[str]:
    """Every method that the address has: the framework names those of one route only."""
    document = app.openapi()
    methods = {
        method.upper()
        for template, operations in document["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]*\}", ".+", template), path)
        for method in operations
    }
    return sorted(methods) or ["GET"]


def _described(app: FastAPI, service: Service) -> dict[str, Any]:
    """The OpenAPI document, with problems, examples and keys."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document["components"]["schemas"]
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas["ProblemDocument"].pop("$defs")
        schemas["FieldDocument"] = FieldDocument.model_json_schema()
        for name, example in EXAMPLES.items():
            schemas[name]["examples"] = [example]
        if service.access.is_on:
            document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for path, operations in document["paths"].items():
                for operation in operations.values() if path.startswith(("/v1/", "/metrics")) else ():
                    operation["security"] = [{"key": []}]
        app.openapi_schema = document
    return app.openapi_schema
