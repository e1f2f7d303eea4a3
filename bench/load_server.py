"""`quoth serve` as a process of its own, and what the system says of it."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

QUOTH = str(Path(sys.executable).with_name("quoth"))
READY_S = 120
_IN_PLACES = """import sys
import api.service
from api.cli import main
assert api.service._PLACES  # a line of Python sets them: they are no setting of the product
api.service._PLACES = int(sys.argv.pop(1))
main()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Megabytes of all processes of a server; in `pss_mb` a page that several share is counted once."""

    rss_mb: float
    pss_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """How it is served: workers, questions that may wait, questions at once in one worker; None is as it is shipped."""

    workers: int = 1
    queue: int | None = None
    places: int | None = None

    @property
    def name(self) -> str:
        """As it stands in the results."""
        places = "as shipped" if self.places is None else self.places
        return f"workers {self.workers}, places {places}"

    def command(self) -> list[str]:
        """What is run, before its arguments."""
        return [QUOTH] if self.places is None else [sys.executable, "-c", _IN_PLACES, str(self.places)]

    def settings(self) -> dict[str, str]:
        """As environment variables."""
        return {"QUOTH_RATE": "off"} | ({} if self.queue is None else {"QUOTH_QUEUE": str(self.queue)})


class Served:
    """A server on a free port of the loopback address. A context manager: ready in it, and stopped at its end."""

    def __init__(self, library: Path, variant: Variant) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._command = [*variant.command(), "serve", "--port", str(self.port), "--workers", str(variant.workers)]
        self._environment = {**os.environ, **variant.settings(), "QUOTH_LIBRARY": str(library)}
        self._log = library.with_name(f"serve-{self.port}.log")
        self._n_workers = variant.workers

    def __enter__(self) -> Self:
        began = time.monotonic()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        ready: set[int] = set()
        while len(ready) < self._n_workers:
            ready |= {self.who_answers()} - {0}
            if time.monotonic() > began + READY_S or self.process.poll() is not None:
                self.stop()
                raise RuntimeError(self._log.read_text(encoding="utf-8")[-2000:])
            time.sleep(0.02)
        self.ready_s = round(time.monotonic() - began, 2)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Tell it to stop and wait: the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def pids(self) -> list[int]:
        """The server's process and all below it."""
        found = [self.process.pid]
        for pid in found:
            found += _children(pid)
        return found

    def workers(self) -> list[int]:
        """The processes that answer."""
        return [pid for pid in self.pids() if b"spawn_main" in _read(pid, "cmdline")] or [self.process.pid]

    def memory(self) -> Memory:
        """What it takes now."""
        lines = [line.split() for pid in self.pids() for line in _read(pid, "smaps_rollup").splitlines()]
        kb = {name: sum(int(line[1]) for line in lines if line[0] == name) for name in (b"Rss:", b"Pss:")}
        return Memory(rss_mb=round(kb[b"Rss:"] / 1024, 1), pss_mb=round(kb[b"Pss:"] / 1024, 1))

    def cpu_s(self) -> float:
        """Processor time taken so far."""
        fields = [_read(pid, "stat").rpartition(b")")[2].split() for pid in self.pids()]
        return sum(int(field[11]) + int(field[12]) for field in fields if field) / os.sysconf("SC_CLK_TCK")

    def who_answers(self) -> int:
        """The process that says on a new connection that it is ready; 0 if none does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            response.read()
            if response.status != 200 or connection.sock is None:
                return 0
            return self._owner(connection.sock.getsockname()[1])
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _owner(self, client_port: int) -> int:
        """The process at the other end of a connection."""
        here, there = f":{self.port:04X}", f":{client_port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        sockets = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(here) and row[2].endswith(there)}
        return next((pid for pid in self.pids() if sockets & _open_files(pid)), 0)


def make_library(folder: Path, articles: Sequence[Path]) -> Path:
    """A Library of these articles, anew."""
    library = folder / "library"
    shutil.rmtree(library, ignore_errors=True)
    add = [QUOTH, "--library", str(library), "add", *map(str, articles)]
    subprocess.run(add, check=True, stdout=subprocess.DEVNULL)
    return library


def _children(pid: int) -> list[int]:
    try:
        lists = [file.read_text(encoding="ascii") for file in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it is gone
        return []
    return [int(child) for children in lists for child in children.split()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _open_files(pid: int) -> set[str]:
    try:
        return {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()
