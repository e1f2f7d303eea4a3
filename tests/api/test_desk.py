"""The desk: turns, refusals, deadlines and clients that leave."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from starlette.types import Message

from api.desk import Desk
from api.problems import ProblemError

T = TypeVar("T")


class Caller:
    """A client that hangs up when it is told to."""

    def __init__(self) -> None:
        self.has_left = asyncio.Event()

    async def receive(self) -> Message:
        await self.has_left.wait()
        return {"type": "http.disconnect"}


class Gate:
    """Work that goes on until it is let through."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.opened.wait(10)
        return "done"


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), 20)

    asyncio.run(bounded())


def test_work_comes_back_with_its_value_or_its_error() -> None:
    async def test() -> None:
        desk = Desk("work", places=1, waiting=0, deadline_s=10)
        done = await desk.do(Caller(), lambda: 6 * 7)
        assert (done.value, done.waited_ms >= 0) == (42, True)
        with pytest.raises(ZeroDivisionError):
            await desk.do(Caller(), lambda: 1 // 0)
        assert (await desk.do(Caller(), lambda: "still here")).value == "still here"

    run(test)


def test_a_few_run_a_few_wait_in_their_order_and_more_is_refused_at_once() -> None:
    async def test() -> None:
        desk = Desk("work", places=1, waiting=2, deadline_s=10)
        gate, order = Gate(), list[int]()
        running = asyncio.create_task(desk.do(Caller(), gate))
        await asyncio.to_thread(gate.begun.wait)
        waiting = [asyncio.create_task(desk.do(Caller(), lambda n=n: order.append(n))) for n in range(2)]  # type: ignore[misc]
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as refused:
            await desk.do(Caller(), lambda: order.append(99))
        assert (refused.value.problem.code, refused.value.problem.status) == ("busy", 503)
        assert int(refused.value.problem.headers["Retry-After"]) >= 1
        gate.opened.set()
        assert (await running).value == "done"
        await asyncio.gather(*waiting)
        assert order == [0, 1]

    run(test)


def test_what_is_not_done_in_time_is_given_up_and_keeps_its_place_until_it_ends() -> None:
    async def test() -> None:
        desk = Desk("work", places=1, waiting=0, deadline_s=0.05)
        gate = Gate()
        with pytest.raises(ProblemError) as late:
            await desk.do(Caller(), gate)
        assert late.value.problem.code == "deadline"
        with pytest.raises(ProblemError) as refused:  # the thread is still at it: no pile-up behind it
            await desk.do(Caller(), lambda: None)
        assert refused.value.problem.code == "busy"
        gate.opened.set()
        await asyncio.sleep(0.2)
        assert (await desk.do(Caller(), lambda: 1)).value == 1

    run(test)


def test_a_client_that_hangs_up_gives_its_turn_to_the_next() -> None:
    async def test() -> None:
        desk = Desk("work", places=1, waiting=1, deadline_s=10)
        gate, order = Gate(), list[str]()
        running = asyncio.create_task(desk.do(Caller(), gate))
        await asyncio.to_thread(gate.begun.wait)
        leaver = Caller()
        left = asyncio.create_task(desk.do(leaver, lambda: order.append("left")))
        await asyncio.sleep(0)
        leaver.has_left.set()
        with pytest.raises(ProblemError) as gone:
            await left
        assert gone.value.problem.code == "client_gone"
        stays = asyncio.create_task(desk.do(Caller(), lambda: order.append("stayed")))
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(running, stays)
        assert order == ["stayed"]

    run(test)


def test_a_client_that_hangs_up_while_its_work_runs_does_not_stop_it() -> None:
    async def test() -> None:
        desk = Desk("work", places=1, waiting=0, deadline_s=10)
        gate, leaver = Gate(), Caller()
        left = asyncio.create_task(desk.do(leaver, gate))
        await asyncio.to_thread(gate.begun.wait)
        leaver.has_left.set()
        with pytest.raises(ProblemError):
            await left
        with pytest.raises(ProblemError):
            await desk.do(Caller(), lambda: None)
        gate.opened.set()
        await asyncio.sleep(0.2)
        assert (await desk.do(Caller(), lambda: 1)).value == 1

    run(test)
