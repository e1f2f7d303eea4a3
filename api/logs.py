"""The log: one line of JSON for each request and each warning, on stderr, under the request's id."""

import logging
import re
import secrets
import sys
import time
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.problems import Problem, problem_of

HEADER = b"x-request-id"
_GOOD_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: counted, and not logged while all is well."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Any word can come as a method; a counter for each would be memory that strangers fill."""
log = structlog.get_logger("quoth")


def configure_logs() -> None:
    """Write every record of this process as a line of JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


def note(**facts: object) -> None:
    """Facts for the line of the request that runs."""
    structlog.contextvars.bind_contextvars(**facts)


class RequestLog:
    """ASGI middleware: gives the request its id, answers what was raised further in, counts it, and logs it."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Problem], ASGIApp]) -> None:
        """`answer` makes the response to what is raised within."""
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _id_of(scope)
        scope["request_id"] = request_id
        status = 0
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (HEADER, request_id.encode())]
            await send(message)

        structlog.contextvars.clear_contextvars()
        note(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            found = problem_of(error)
            if found.code == "internal":
                log.exception("unexpected")
            if status:
                raise  # the response has begun: it is cut off, so that nobody takes it for whole
            await self._answer(Request(scope, receive), found)(scope, receive, send_with_id)
        finally:
            _end(scope, status, time.perf_counter() - began)


def _end(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "none")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    metrics.REQUESTS.labels(method, route, status).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    if route in _QUIET and status < 400:
        return
    caller = scope.get("state", {}).get("caller")
    log.log(
        logging.ERROR if status >= 500 and status not in {503, 507} else logging.INFO,
        "request",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        client=(scope.get("client") or ("unknown",))[0],
        caller=caller.name if caller else None,
    )


def _id_of(scope: Scope) -> str:
    given = dict(scope["headers"]).get(HEADER, b"")
    return given.decode() if _GOOD_ID.fullmatch(given) else secrets.token_hex(8)
