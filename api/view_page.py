"""HTML from templates, and the files they name. What comes from outside is escaped; nothing is loaded from it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api import view_links, view_text, views
from api.access import COOKIE
from api.problems import Problem
from api.service import Service
from api.view_forms import QuestionForm
from api.view_problems import advice_of, heading_of, sentence

_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_BOXES = frozenset({"question", "after", "before"})
"""Fields that show what is wrong with them."""
_FILTERS = {
    "percent": views.percent,
    "confidence_words": views.confidence_words,
    "size_of": views.size_of,
    "fits_the_box": views.fits_the_box,
    "long_date": views.long_date,
    "title_of": views.title_of,
    "citation_lines": views.citation_lines,
    "cited_link": views.cited_link,
    "cited_marked_link": views.cited_marked_link,
    "fact_line": views.fact_line,
    "passage_link": views.passage_link,
    "quotes": views.quotes,
    "marked_sentence": view_text.marked_sentence,
    "excerpt": view_text.excerpt,
    "article_link": view_links.article_link,
    "removal_link": view_links.removal_link,
    "web_link": view_links.web_link,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFiles:
    """Style, scripts and icon by name; `version` is of all of them, for the modules name each other."""

    bodies: Mapping[str, bytes]
    version: str

    def link(self, name: str) -> str:
        """The address of a file; it changes whenever any of them does, so that browsers may keep what they have.

        Raises:
            KeyError: there is no such file.
        """
        self.bodies[name]
        return f"/static/{self.version}/{name}"


@cache
def static_files() -> StaticFiles:
    """Read once: together they are some tens of kilobytes."""
    folder = files("api").joinpath("web", "static")
    bodies = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _MEDIA_TYPES}
    digest = hashlib.sha256()
    for name, body in sorted(bodies.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(body).digest())
    return StaticFiles(bodies=bodies, version=digest.hexdigest()[:12])


def media_type_of(name: str) -> str:
    """The media type of a static file."""
    return _MEDIA_TYPES[name.rpartition(".")[2]]


def page(request: Request, template: str, context: Mapping[str, object], status: int = 200) -> HTMLResponse:
    """A page from its template. With keys, nothing is kept by the browser; without, going back is instant."""
    service: Service = request.app.state.service
    common = {
        "path": request.url.path,
        "version": service.version,
        "is_logged_in": service.access.is_on and COOKIE in request.cookies,
    }
    html = _environment().get_template(template).render({**common, **context})
    headers = {} if service.access.is_on else {"Cache-Control": "private, no-cache"}
    return HTMLResponse(html, status_code=status, headers=headers)


def problem_page(request: Request, problem: Problem) -> HTMLResponse:
    """What is wrong, with the box that it was typed into, or with a box for the key that was missing."""
    is_read = request.method in {"GET", "HEAD"}
    back = view_links.local_path(_address(request)) if is_read else "/"
    if problem.status == 401:
        return key_page(request, problem, back, status=401)
    context = {
        "problem": problem,
        "form": QuestionForm.of(request.query_params),
        "errors": {each.field: sentence(each.message) for each in problem.errors},
        "sources": [],
        "back": back,
        "is_read": is_read,
        "is_in_box": any(each.field in _BOXES for each in problem.errors),
        "heading": heading_of(problem),
        "advice": advice_of(problem),
        "request_id": request.scope.get("request_id", ""),
    }
    response = page(request, "problem.html", context, problem.status)
    response.headers.update(problem.headers)
    return response


def key_page(request: Request, problem: Problem, back: str, *, status: int) -> HTMLResponse:
    """The box for a key; `back` is where the person wanted to go."""
    response = page(request, "login.html", {"problem": problem, "back": back}, status)
    response.headers.update(problem.headers if status == problem.status else {})
    return response


def _address(request: Request) -> str:
    """Path and query as they came: percent signs mean what they meant."""
    path = request.scope.get("raw_path", b"").decode("ascii", "replace") or "/"
    return f"{path}?{request.url.query}" if request.url.query else path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api", "web/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= _FILTERS
    environment.globals["static"] = static_files().link
    environment.globals["scale"] = views.CONFIDENCE_WORDS
    return environment
