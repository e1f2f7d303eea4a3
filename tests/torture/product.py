"""The product as a user has it: the command in processes of its own, and the parts that verify what those left."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from api.settings import Settings

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from api.cli import main; main()")
"""What the console script `quoth` runs, of this very checkout: an editable install elsewhere has no say."""
SIGKILLED = -signal.SIGKILL
TIMEOUT_S = 900
"""No command of the harness takes a tenth of this: one that does hangs, and that is a finding."""


def environment(settings: Settings, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process of the product is started with: the Library and the cache of `settings`, one thread a process."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "QUOTH_LIBRARY": str(settings.library),
        "QUOTH_CACHE": str(settings.cache),
        "QUOTH_THREADS": "1",
        "COLUMNS": "1000",
        **(more or {}),
    }


def quoth(
    settings: Settings, *arguments: str | Path, more: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, whatever that is; `prefix` is a program that starts it."""
    command = [*prefix, *COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, env=environment(settings, more), capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )


class Victim:
    """A process of the product that is going to be killed; its lines of stdout are read as they come."""

    def __init__(
        self,
        settings: Settings,
        *arguments: str | Path,
        more: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """Start it in a session of its own, so that a kill takes whatever it has started as well."""
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (a pipe could fill up and block it)
        self._process = subprocess.Popen(
            [*prefix, *COMMAND, *map(str, arguments)],
            env=environment(settings, more),
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._began = time.monotonic()
        self.lived_s = 0.0
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_lines(self, number: int) -> None:
        """Return once that many lines have come, or none can come any more."""
        with self._news:
            self._news.wait_for(lambda: len(self.lines) >= number or not self._reader.is_alive(), timeout=TIMEOUT_S)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def end(self, *, kill: bool) -> int:
        """Kill it with SIGKILL, or wait for its end; the exit code, -9 if it was the signal that ended it."""
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def errors(self) -> str:
        """What it wrote to stderr; to be called after its end."""
        self._errors.seek(0)
        found = self._errors.read()
        self._errors.close()
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                if line.endswith("\n"):  # half a line acknowledges nothing
                    with self._news:
                        self.lines.append(line.rstrip("\n"))
                        self._news.notify_all()
        with self._news:
            self.lived_s = time.monotonic() - self._began
            self._news.notify_all()


def acknowledged(lines: Sequence[str]) -> list[str]:
    """The ids of the articles that `quoth add --verbose` has said are stored, in order."""
    statuses = ("added ", "replaced ", "unchanged ")
    return [line.split(" ", 1)[1] for line in lines if line.startswith(statuses)]
