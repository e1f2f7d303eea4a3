"""Calling a function in a process of its own: for memory that is its alone, and to stop it when it takes too long."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def alone(limit_s: float, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
    """What the function returns, called in a fresh process; None if that takes more than `limit_s` seconds.

    Raises:
        EOFError: the process ended without an answer; what it raised is on stderr.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_answer, args=(theirs, function, args, kwargs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(limit_s):
            return None
        answer: _T = ours.recv()
        return answer
    finally:
        process.kill()
        process.join()


def _answer(
    theirs: Connection, function: Callable[..., object], args: tuple[object], kwargs: dict[str, object]
) -> None:
    theirs.send(function(*args, **kwargs))
