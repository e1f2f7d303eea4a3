"""What a program is told when something is wrong: problem documents, as RFC 9457 has them, each with a stable code."""

import errno
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from api.problem_schemas import FieldDocument, ProblemDocument
from index.errors import (
    ArticleError,
    CitationError,
    InputError,
    LibraryBusyError,
    LibraryError,
    ModelError,
    NotFoundError,
    QuestionError,
    QuothError,
)

MEDIA_TYPE = "application/problem+json"
KINDS: Mapping[str, tuple[int, str]] = {
    "invalid_request": (422, "A field of the request is wrong"),
    "invalid_question": (422, "The question cannot be taken"),
    "invalid_article": (422, "The article cannot be taken in"),
    "key_required": (401, "A key is required"),
    "key_unknown": (401, "The key is not known"),
    "scope_missing": (403, "The key does not have the scope"),
    "cross_site": (403, "Another site's page may not do this"),
    "article_not_found": (404, "No article has that id"),
    "address_not_found": (404, "There is nothing at this address"),
    "method_not_allowed": (405, "The address does not have this method"),
    "too_slow": (408, "The request took too long to arrive"),
    "article_changed": (409, "An article changed while the question was answered"),
    "too_large": (413, "The request is too large"),
    "media_type": (415, "The body is of another kind than the address takes"),
    "wrong_host": (421, "This server does not answer to that host name"),
    "rate_limited": (429, "Too many requests"),
    "client_gone": (499, "The client hung up"),
    "internal": (500, "Something went wrong that should not have"),
    "library_unusable": (500, "The Library cannot be used as it is"),
    "model_unusable": (500, "The models cannot be used"),
    "busy": (503, "More is asked than can be answered"),
    "deadline": (503, "The answer was not ready in time"),
    "library_busy": (503, "Another process is writing to the Library"),
    "not_ready": (503, "The server is not ready yet"),
    "disk_full": (507, "The disk is full"),
}
"""Every code, with its status and what it means."""
_FIELDS_NAMED, _FIELD_CHARS = 20, 100
"""A request can have as many wrong fields as fit in it; an answer names the first."""
_CODES: Sequence[tuple[type[QuothError], str, str]] = (
    (NotFoundError, "article_not_found", "article_id"),
    (QuestionError, "invalid_question", "question"),
    (ArticleError, "invalid_article", ""),
    (InputError, "invalid_request", ""),
    (CitationError, "article_changed", ""),
    (LibraryBusyError, "library_busy", ""),
    (LibraryError, "library_unusable", ""),
    (ModelError, "model_unusable", ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """A field that is wrong, and what to do; an empty `field` is the body as a whole."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong: `code` is one of `KINDS`, and stays the same when words change."""

    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    retry_after_s: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.code][0]

    @property
    def title(self) -> str:
        """What the code means, the same each time."""
        return KINDS[self.code][1]

    @property
    def headers(self) -> dict[str, str]:
        """What the response says beside the body."""
        found = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return found | ({"WWW-Authenticate": 'Bearer realm="quoth"'} if self.status == 401 else {})


class ProblemError(HTTPException):
    """Carries a problem to the place where the response is made. The framework lets its own kind of error through."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(status_code=problem.status, detail=problem.detail)
        self.problem = problem


def problem(code: str, detail: str, *, field: str | None = None, retry_after_s: int | None = None) -> ProblemError:
    """An error to raise: of one field, if one is named."""
    errors = () if field is None else (FieldError(field=field, message=detail),)
    return ProblemError(Problem(code=code, detail=detail, errors=errors, retry_after_s=retry_after_s))


def problem_of(error: Exception) -> Problem:
    """What a client is told of any exception; of those that nobody expects, nothing but that they were."""
    match error:
        case ProblemError():
            found = error.problem
        case QuothError():
            found = _of_quoth(error)
        case RequestValidationError():
            found = _of_fields(error)
        case HTTPException():
            codes = {404: "address_not_found", 405: "method_not_allowed"}
            found = Problem(code=codes.get(error.status_code, "invalid_request"), detail=str(error.detail))
        case ClientDisconnect():
            found = Problem(code="client_gone", detail="the client hung up before its request was whole")
        case _ if _is_full_disk(error):
            found = Problem(code="disk_full", detail="the disk is full: make room, then try again")
        case _:
            found = Problem(code="internal", detail="the server's log has the reason, under the request_id")
    return found


def document_of(request: Request, found: Problem) -> ProblemDocument:
    """The problem as a program reads it."""
    return ProblemDocument(
        type=f"urn:quoth:problem:{found.code}",
        title=found.title,
        status=found.status,
        detail=found.detail,
        code=found.code,
        errors=[FieldDocument(field=each.field, message=each.message) for each in found.errors],
        request_id=request.scope.get("request_id", ""),
    )


def response_of(request: Request, found: Problem) -> JSONResponse:
    """The problem document as a response."""
    content = document_of(request, found).model_dump()
    return JSONResponse(content, status_code=found.status, headers=found.headers, media_type=MEDIA_TYPE)


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of an operation's problems, with an example of each code."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title = KINDS[code]
        response = found.setdefault(status, {"description": title, "content": {MEDIA_TYPE: {"examples": {}}}})
        content = response["content"][MEDIA_TYPE]
        content["schema"] = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
        content["examples"][code] = {"summary": title, "value": _example(code)}
        response["description"] = "; ".join(each["summary"] for each in content["examples"].values())
    return found


def _example(code: str) -> dict[str, Any]:
    status, title = KINDS[code]
    return ProblemDocument(
        type=f"urn:quoth:problem:{code}",
        title=title,
        status=status,
        detail=_EXAMPLES.get(code, title.lower()),
        code=code,
        errors=[FieldDocument(field="question", message=_EXAMPLES[code])] if code == "invalid_question" else [],
        request_id="1f0c9a2b7d3e4f50",
    ).model_dump()


_EXAMPLES: Mapping[str, str] = {
    "invalid_request": "k: Input should be less than or equal to 100",
    "invalid_question": "the question is empty: ask in words",
    "invalid_article": "field 'text' is empty: there is nothing to quote",
    "key_required": "send a key: Authorization: Bearer KEY; `quoth keys add` makes one",
    "article_not_found": "no article has the id 'nowhere'; `quoth list` shows the ids",
    "busy": "8 questions are waiting already; try again in 1 s",
}


def _is_full_disk(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return "full" in str(error)
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def _of_quoth(error: QuothError) -> Problem:
    code, field = next((code, field) for kind, code, field in _CODES if isinstance(error, kind))
    errors = (FieldError(field=field, message=str(error)),) if field else ()
    return Problem(code=code, detail=str(error), errors=errors, retry_after_s=1 if KINDS[code][0] == 503 else None)


def _of_fields(error: RequestValidationError) -> Problem:
    """Names each field; the value is not echoed, for not every value can be written as JSON."""
    found = error.errors()
    errors = tuple(
        FieldError(field=".".join(str(part)[:_FIELD_CHARS] for part in each["loc"][1:]), message=each["msg"])
        for each in found[:_FIELDS_NAMED]
    )
    detail = "; ".join(f"{each.field or 'body'}: {each.message}" for each in errors)
    if len(found) > len(errors):
        detail += f"; and {len(found) - len(errors)} more"
    return Problem(code="invalid_request", detail=detail, errors=errors)
