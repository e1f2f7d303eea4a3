"""Who is let in: by a key's scopes, and no more often than the rate allows."""

import ipaddress
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from api.keys import EVERY_SCOPE, KeyStore, Scope
from api.problems import problem

COOKIE = "quoth_key"
"""Where the page keeps a key: out of reach of scripts, and not sent from other sites' forms."""
_OPEN = frozenset({"/healthz", "/readyz", "/openapi.json", "/login", "/logout"})
_OPEN_BELOW = "/static/"
"""Addresses for which nobody needs a key."""
DEFAULT_RATE = "120/minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the name of the key, or the address where keys are off."""

    name: str
    scopes: frozenset[Scope]


class Access:
    """Finds out who calls. The rate is counted in this process: each worker allows it once."""

    def __init__(self, keys: KeyStore | None, rate: RateLimitItem | None) -> None:
        """`keys` is None where anybody may do anything; `rate` None where as often as they like."""
        self._keys = keys
        self._rate = rate
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    @property
    def is_on(self) -> bool:
        """Whether a key is required."""
        return self._keys is not None

    def caller_of(self, request: Request) -> Caller:
        """Who calls.

        Raises:
            ProblemError: 401, no key came or one that is not known; 429, too many requests came. The rate is of a key
                that is known, else of the address: guessing keys is bounded too.
        """
        address = _network(request.client.host) if request.client else "unknown"
        if self._keys is None:
            self._count(address)
            return Caller(name=address, scopes=EVERY_SCOPE)
        given = _key_in(request)
        known = self._keys.find(given) if given else None
        self._count(known.key_id if known else address)
        if known is None and given is None:
            raise problem("key_required", "send a key: Authorization: Bearer KEY; `quoth keys add` makes one")
        if known is None:
            raise problem("key_unknown", "this key was never made, or is revoked; `quoth keys add` makes another")
        return Caller(name=known.name, scopes=known.scopes)

    def scopes_of(self, request: Request) -> frozenset[Scope]:
        """What the caller may do; nothing where no good key came. Does not count for the rate."""
        if self._keys is None:
            return EVERY_SCOPE
        given = _key_in(request)
        known = self._keys.find(given) if given else None
        return known.scopes if known else frozenset()

    def _count(self, who: str) -> None:
        if self._rate is None or self._limiter.hit(self._rate, who):
            return
        wait_s = max(1, math.ceil(self._limiter.get_window_stats(self._rate, who).reset_time - time.time()))
        raise problem("rate_limited", f"{self._rate} are let in: try again in {wait_s} s", retry_after_s=wait_s)


class Entrance:
    """ASGI middleware: who has no key, or comes too often, is turned away before anything of the request is read."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Let the request through with its caller, or raise what `caller_of` raises."""
        if scope["type"] == "http" and scope["path"] not in _OPEN and not scope["path"].startswith(_OPEN_BELOW):
            caller = self._access.caller_of(Request(scope))
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def needs(scope: Scope) -> Dependency:
    """A dependency of a route: the caller, whom `Entrance` let in, must have the scope."""

    async def check(request: Request) -> None:  # not in a thread: refusing must cost little when all are busy
        caller: Caller = request.state.caller
        if scope not in caller.scopes:
            raise problem("scope_missing", f"this needs a key with the scope {scope}; {caller.name!r} does not have it")

    return _dependency(check)


def _dependency(check: Callable[[Request], Awaitable[None]]) -> Dependency:
    found = Depends(check)
    assert isinstance(found, Dependency)  # noqa: S101 (for the type checker)
    return found


def _network(address: str) -> str:
    """The address; of IPv6 the network that one client has, for it may choose any address of it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address


def _key_in(request: Request) -> str | None:
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    return request.cookies.get(COOKIE)
