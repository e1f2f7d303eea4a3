"""What every request passes before a route sees it, and every response after: sizes, hosts, other sites, headers.

What they raise is answered by `RequestLog`, which stands outside of them.
"""

from collections.abc import Sequence

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, problem

MAX_BODY_BYTES = 2_000_000
"""The longest request: an article of this size has some 300,000 words."""
MAX_STREAM_BYTES = 64_000_000
"""The longest request of many articles, which is read piece by piece."""
STREAMED = frozenset({("POST", "/v1/articles"), ("POST", "/add")})
BODY_SECONDS = 30
"""A body must have arrived by then; one that is read piece by piece, its next piece."""
_ANY_HOST = frozenset({"/healthz", "/readyz"})
"""Asked by address, from within the machine or the container; they tell nothing of the archive."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, Chromium calls the page's own forms another site's
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class HeadAsGet:
    """ASGI middleware: HEAD is answered as GET is. The server, which has seen the request, sends no body for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


class SecurityHeaders:
    """ASGI middleware: nothing from elsewhere is loaded, framed, guessed or told; answers are not kept by caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to every response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class KnownHosts:
    """ASGI middleware: answers only to its own names, so that no other site's name can be made to mean this machine."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        """`hosts` without ports; none means any."""
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or raise."""
        if scope["type"] == "http" and self._hosts and scope["path"] not in _ANY_HOST:
            host = _host_of(Headers(scope=scope).get("host", ""))
            if host not in self._hosts:
                raise problem("wrong_host", "this server does not answer to that name; QUOTH_HOSTS sets its names")
        await self._app(scope, receive, send)


class SameSite:
    """ASGI middleware: a page of another site may link here, and do nothing more. Programs are not concerned."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or raise."""
        if scope["type"] == "http" and _is_of_another_site(scope["method"], Headers(scope=scope)):
            raise problem("cross_site", "this was sent by the page of another site")
        await self._app(scope, receive, send)


class BodyLimits:
    """ASGI middleware: bodies are bounded in size and time, whatever they declare.

    A body is read whole before the route is called; of those in `STREAMED` the route reads pieces.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or raise."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (scope["method"], scope["path"]) in STREAMED:
            await self._app(scope, _counted(receive), send)
        else:
            await self._app(scope, _replayed(await _whole_body(receive), receive), send)


async def _whole_body(receive: Receive) -> bytes:
    body = bytearray()
    with anyio.move_on_after(BODY_SECONDS) as limit:
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > MAX_BODY_BYTES:
                raise _too_large(MAX_BODY_BYTES)
            if message["type"] == "http.disconnect":
                raise problem("client_gone", "the client hung up before its request was whole")
            if not message.get("more_body", False):
                break
    if limit.cancelled_caught:
        raise _too_slow()
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message


def _counted(receive: Receive) -> Receive:
    n_bytes = 0
    has_ended = False

    async def next_message() -> Message:
        nonlocal n_bytes, has_ended
        if has_ended:
            return await receive()  # that the client hangs up: no hurry
        with anyio.move_on_after(BODY_SECONDS) as limit:
            message = await receive()
        if limit.cancelled_caught:
            raise _too_slow()
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_STREAM_BYTES:
            raise _too_large(MAX_STREAM_BYTES)
        has_ended = not message.get("more_body", False)
        return message

    return next_message


def _too_large(limit: int) -> ProblemError:
    return problem("too_large", f"a request here has at most {limit} bytes: send less at a time")


def _too_slow() -> ProblemError:
    return problem("too_slow", f"the body did not arrive within {BODY_SECONDS} s")


def _is_of_another_site(method: str, headers: Headers) -> bool:
    """Whether another site's page sent it; following a link from there is the person's own doing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_link = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
        return site not in {"same-origin", "none"} and not is_link
    origin = headers.get("origin")
    return method not in _SAFE and origin is not None and origin.partition("://")[2] != headers.get("host", "")


def _host_of(value: str) -> str:
    """The name or address in a Host header, without the port."""
    name, bracket, _ = value.partition("]")
    return (name + bracket if bracket else value.partition(":")[0]).lower()
