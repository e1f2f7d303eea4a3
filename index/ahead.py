"""Making items in a thread, a few ahead of whoever uses them."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK_UP_S = 0.1


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing comes after this; `error` is why, if it was not the end of the items."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


def ahead(items: Iterable[T], n: int) -> Iterator[T]:
    """The same items in the same order, made up to `n` ahead in a thread; an error comes in the place it was raised.

    When the caller stops early, the thread ends after the item that it is making.
    """
    queue: Queue[_Item[T] | _End] = Queue(maxsize=n)
    stopped = threading.Event()
    thread = threading.Thread(target=_make, args=(items, queue, stopped), name="quoth-ahead", daemon=True)
    thread.start()
    try:
        while isinstance(made := queue.get(), _Item):
            yield made.value
        if made.error is not None:
            raise made.error
    finally:
        stopped.set()
        thread.join()


def _make(items: Iterable[T], queue: "Queue[_Item[T] | _End]", stopped: threading.Event) -> None:
    try:
        for item in items:
            _put(_Item(item), queue, stopped)
            if stopped.is_set():
                return
        _put(_End(), queue, stopped)
    except BaseException as error:  # noqa: BLE001 (raised again where it belongs)
        _put(_End(error), queue, stopped)


def _put(made: "_Item[T] | _End", queue: "Queue[_Item[T] | _End]", stopped: threading.Event) -> None:
    """Wait for room, as long as anybody wants it."""
    while not stopped.is_set():
        try:
            queue.put(made, timeout=_LOOK_UP_S)
        except Full:
            continue
        return
