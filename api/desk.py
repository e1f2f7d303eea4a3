"""The desk: model work in turn. A few pieces run, a few wait, and more is refused at once, never piled up."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import anyio
from starlette.types import Message

from api import metrics
from api.problems import ProblemError, problem

_SMOOTHING = 0.1
_FIRST_GUESS_S = 0.1

T = TypeVar("T")


class Client(Protocol):
    """Who waits for the work: a request, whose next message is that the client has hung up."""

    @property
    def receive(self) -> Callable[[], Awaitable[Message]]:
        """Gives the next message of the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T]):
    """What the work came to, and how long it had waited for its turn."""

    value: T
    waited_ms: float


class Desk:
    """Runs work in `places` threads of its own, in the order it came, while at most `waiting` pieces wait.

    A client that hangs up while it waits gives its turn to the next; work that runs is never stopped in the middle,
    and keeps its place until it is done.
    """

    def __init__(self, name: str, *, places: int, waiting: int, deadline_s: float) -> None:
        """`name` stands in metrics and messages."""
        self._name = name
        self._most_waiting = waiting
        self._places = places
        self._deadline_s = deadline_s
        self._free = asyncio.Semaphore(places)
        self._threads = ThreadPoolExecutor(places, thread_name_prefix=f"quoth-{name}")
        self._n_waiting = 0
        self._usual_s = _FIRST_GUESS_S

    async def do(self, client: Client, work: Callable[[], T]) -> Done[T]:
        """The work's result, in its turn. What the work raises is raised here.

        Raises:
            ProblemError: `busy` at once, where too many wait; `deadline`, where it is not done in time; `client_gone`.
        """
        if self._free.locked() and self._n_waiting >= self._most_waiting:
            metrics.REFUSED.labels(self._name, "busy").inc()
            wait_s = self._retry_after_s()
            raise problem(
                "busy", f"{self._n_waiting} {self._name} are waiting already; try again in {wait_s} s",
                retry_after_s=wait_s,
            )  # fmt: skip
        job: asyncio.Future[Done[T]] | None = None
        try:
            with anyio.fail_after(self._deadline_s):
                async with anyio.create_task_group() as group:
                    group.start_soon(_cancel_when_gone, client, group.cancel_scope)
                    job = await self._begun(work)
                    await asyncio.wait([job])  # it is not cancelled with us, and raises nothing here
                    group.cancel_scope.cancel()
        except TimeoutError:
            raise self._given_up("deadline", f"not answered within {self._deadline_s:g} s; try again") from None
        if job is None or not job.done():
            raise self._given_up("client_gone", "the client hung up")
        return job.result()

    async def _begun(self, work: Callable[[], T]) -> asyncio.Future[Done[T]]:
        """The work, running, once its turn has come."""
        came = time.perf_counter()
        self._n_waiting += 1
        waiting = metrics.WAITING.labels(self._name)
        waiting.inc()
        try:
            await self._free.acquire()
        finally:
            self._n_waiting -= 1
            waiting.dec()
        waited_ms = (time.perf_counter() - came) * 1000
        metrics.RUNNING.labels(self._name).inc()
        job = asyncio.get_running_loop().run_in_executor(self._threads, self._timed, work, waited_ms)
        job.add_done_callback(self._end)
        return job

    def _timed(self, work: Callable[[], T], waited_ms: float) -> Done[T]:
        began = time.perf_counter()
        try:
            return Done(value=work(), waited_ms=waited_ms)
        finally:
            self._usual_s += _SMOOTHING * (time.perf_counter() - began - self._usual_s)

    def _end(self, job: asyncio.Future[Done[T]]) -> None:
        self._free.release()
        metrics.RUNNING.labels(self._name).dec()
        if not job.cancelled():
            job.exception()  # seen, even if nobody waits any more

    def _retry_after_s(self) -> int:
        """When there should be room: after half of those who wait had their turn."""
        return max(1, math.ceil(self._n_waiting * self._usual_s / self._places / 2))

    def _given_up(self, code: str, detail: str) -> ProblemError:
        metrics.REFUSED.labels(self._name, code).inc()
        return problem(code, detail, retry_after_s=self._retry_after_s() if code == "deadline" else None)


async def _cancel_when_gone(client: Client, scope: anyio.CancelScope) -> None:
    while (await client.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
