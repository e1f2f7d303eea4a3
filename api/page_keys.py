"""The page for a key, where keys are on: it takes the key, keeps it in a cookie, and goes back."""

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from api.access import COOKIE
from api.problems import Problem, ProblemError
from api.service import Service
from api.view_forms import small_form
from api.view_links import local_path
from api.view_page import key_page

_KEPT_S = 90 * 24 * 3600


def add_keys(app: FastAPI, service: Service) -> None:
    """Add the routes. Nobody needs a key for them."""

    @app.get("/login", include_in_schema=False)
    def ask_for_key(request: Request) -> Response:
        """The box for the key."""
        back = local_path(request.query_params.get("back", "/"))
        if not service.access.is_on:
            return RedirectResponse(back, status_code=303)
        return key_page(request, Problem(code="key_required", detail=""), back, status=200)

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        """Keeps a key that is good, and goes back to where the person was."""
        form = await small_form(request)
        key, back = form.get("key", "").strip(), local_path(form.get("back", "/"))
        if not service.access.is_on:
            return RedirectResponse(back, status_code=303)
        try:
            service.access.caller_of(_with_key(request, key))
        except ProblemError as error:
            if error.problem.status != 401:
                raise
            return key_page(request, error.problem, back, status=401)
        response = RedirectResponse(back, status_code=303)
        is_https = request.url.scheme == "https"
        response.set_cookie(COOKIE, key, max_age=_KEPT_S, httponly=True, samesite="lax", secure=is_https, path="/")
        return response

    @app.post("/logout", include_in_schema=False)
    def log_out() -> Response:
        """Forgets the key."""
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
        return response


def _with_key(request: Request, key: str) -> Request:
    """The request as it would be with that key: it counts for the rate of whoever sent it, so guesses are bounded."""
    return Request({**request.scope, "headers": [(b"authorization", b"Bearer " + key.encode())]})
