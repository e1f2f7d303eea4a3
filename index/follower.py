"""Keeping the indexes of a running server up to date, beside its questions."""

import logging
import os
import sqlite3
import threading
from contextlib import suppress
from typing import Self

from index.derived import DerivedIndexes
from index.errors import QuothError

_EVERY_S = 0.2
"""Between two looks at the Library's generation, which cost some ten microseconds each."""
_NICENESS = 10
_log = logging.getLogger(__name__)


class Follower:
    """A thread that takes in what any process has written, within a second, and merges what has gathered.

    While it runs, questions do not wait for an index to catch up. Use it as a context manager.
    """

    def __init__(self, derived: DerivedIndexes) -> None:
        self._derived = derived
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quoth-follower", daemon=True)

    def __enter__(self) -> Self:
        self._derived.is_followed = True
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._derived.is_followed = False
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # of this thread alone, on Linux: questions go first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        said = ""
        while not self._stopped.wait(_EVERY_S):
            try:
                self._derived.refresh()
                self._derived.merge()
                said = ""
            except (QuothError, OSError, ValueError, sqlite3.Error) as error:
                # It is tried again; what is held until then is right as far as it goes.
                if str(error) != said:
                    _log.warning("the indexes cannot catch up with the Library: %s", error)
                    said = str(error)
