"""The page: ask, read, browse, add. Plain HTML over ordinary addresses; scripts only make it smoother."""

from typing import TypeVar
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from api.access import needs
from api.articles import page_of, removed
from api.keys import Scope
from api.page_adding import add_adding
from api.page_keys import add_keys
from api.problems import Problem, problem
from api.questions import answered, found
from api.schemas import AskRequest, SearchRequest
from api.service import Service
from api.view_forms import QuestionForm, small_form
from api.view_links import parsed_span
from api.view_page import media_type_of, page, problem_page, static_files
from api.view_text import paragraphs
from api.views import rivals, sources_of
from index.articles import Article
from index.passages import CharSpan
from index.records import Filters
from qa.pipeline import checked_question

R = TypeVar("R", bound=SearchRequest)
_LATEST = 5
_PAGE = 50
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def add_pages(app: FastAPI, service: Service) -> None:
    """Add the routes of the page."""
    _add_static(app)
    _add_asking(app, service)
    _add_reading(app, service)
    _add_removing(app, service)
    add_adding(app, service)
    add_keys(app, service)


def error_page(request: Request, found: Problem) -> HTMLResponse:
    """What is wrong, for people."""
    return problem_page(request, found)


def _add_static(app: FastAPI) -> None:
    @app.get("/static/{version}/{name}", include_in_schema=False)
    def static(version: str, name: str) -> Response:
        """A file of the page; under its present version it never changes."""
        known = static_files()
        if name not in known.bodies:
            raise problem("address_not_found", f"no file of the page is called {name!r}")
        headers = _FOREVER if version == known.version else {"Cache-Control": "no-cache"}
        return Response(known.bodies[name], media_type=media_type_of(name), headers=headers)


def _add_asking(app: FastAPI, service: Service) -> None:
    @app.get("/", include_in_schema=False, dependencies=[needs(Scope.ASK)])
    async def ask(request: Request) -> HTMLResponse:
        """The question box; with `q`, the answer to it."""
        form = QuestionForm.of(request.query_params)
        if not form.question:
            return await run_in_threadpool(_home, request, service, form)
        reply = await answered(service, request, _asked(form, AskRequest))
        context = {
            "form": form,
            "reply": reply,
            "rivals": rivals(reply),
            "sources": sources_of(reply.passages),
            "n_articles": await run_in_threadpool(_n_articles, service),
        }
        return page(request, "answer.html", context)


def _home(request: Request, service: Service, form: QuestionForm) -> HTMLResponse:
    latest = service.archive.library.articles(limit=_LATEST)
    return page(request, "home.html", {"form": form, "latest": latest, "n_articles": _n_articles(service)})


def _add_reading(app: FastAPI, service: Service) -> None:
    @app.get("/articles", include_in_schema=False, dependencies=[needs(Scope.ASK)])
    async def articles(request: Request) -> HTMLResponse:
        """The list of articles; with `q`, passages for it; with `id`, an article that has no address of its own."""
        if "id" in request.query_params:
            return await run_in_threadpool(_article, request, service, request.query_params["id"])
        form = QuestionForm.of(request.query_params)
        if not form.question:
            return await run_in_threadpool(_list, request, service, form)
        passages = await found(service, request, _asked(form, SearchRequest))
        context = {
            "form": form,
            "passages": passages,
            "n_articles": await run_in_threadpool(_n_articles, service),
            "sources": sources_of(passages),
            "was_removed": False,
        }
        return page(request, "articles.html", context)

    @app.get("/articles/{article_id:path}", include_in_schema=False, dependencies=[needs(Scope.ASK)])
    def article(request: Request, article_id: str) -> HTMLResponse:
        """An article; the place that the address names behind its # is marked by the browser, one in `mark` here."""
        return _article(request, service, article_id)


def _article(request: Request, service: Service, article_id: str) -> HTMLResponse:
    article = service.archive.library.get(article_id)
    mark = parsed_span(request.query_params.get("mark", ""))
    return page(request, "article.html", _reading(request, service, article, mark))


def _reading(request: Request, service: Service, article: Article, mark: CharSpan | None) -> dict[str, object]:
    return {
        "article": article,
        "n_chars": len(article.text),
        "mark": mark,
        "paragraphs": paragraphs(article.text, mark),
        "may_write": Scope.WRITE in service.access.scopes_of(request),
    }


def _list(request: Request, service: Service, form: QuestionForm) -> HTMLResponse:
    cursor = request.query_params.get("cursor")
    listed = page_of(service.archive.library, limit=_PAGE, cursor=cursor, filters=form.filters)
    narrowed = {name: value for name, value in form.parameters.items() if value}
    context = {
        "form": form,
        "passages": None,
        "n_articles": _n_articles(service),
        "total": listed.total,
        "articles": listed.articles,
        "sources": sorted({each.source for each in listed.articles if each.source}),
        "older": _address(narrowed | {"cursor": listed.next_cursor}) if listed.next_cursor else None,
        "first": _address(narrowed),
        "is_first": not cursor,
        "was_removed": "removed" in request.query_params,
    }
    return page(request, "articles.html", context)


def _add_removing(app: FastAPI, service: Service) -> None:
    @app.get("/remove", include_in_schema=False, dependencies=[needs(Scope.WRITE)])
    def confirm(request: Request) -> HTMLResponse:
        """Asks whether to remove the article."""
        article = service.archive.library.get(request.query_params.get("id", ""))
        return page(request, "remove.html", {"article": article})

    @app.post("/remove", include_in_schema=False, dependencies=[needs(Scope.WRITE)])
    async def remove(request: Request) -> RedirectResponse:
        """Removes it, and goes back to the list."""
        form = await small_form(request)
        await removed(service, request, form.get("id", ""))
        return RedirectResponse("/articles?removed=1", status_code=303)


def _asked(form: QuestionForm, kind: type[R]) -> R:
    """What was typed, as a program would ask it."""
    filters = form.filters
    question = checked_question(form.question)
    return kind(question=question, before=filters.before, after=filters.after, source=filters.source)


def _address(parameters: dict[str, str]) -> str:
    return f"/articles?{urlencode(parameters)}" if parameters else "/articles"


def _n_articles(service: Service) -> int:
    return service.archive.library.count_articles(Filters())
