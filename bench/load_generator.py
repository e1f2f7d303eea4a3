"""The generator of questions as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from bench.load_records import Traffic, read_traffic
from bench.load_server import Served

ROOT = Path(__file__).parent.parent


class Load:
    """Questions that come in stages of (questions a second, seconds); begun when made."""

    def __init__(self, served: Served, stages: Sequence[tuple[float, float]], folder: Path, *, order: int = 7) -> None:
        self._file = folder / "records.json"
        self._file.unlink(missing_ok=True)
        self.s = sum(seconds for _, seconds in stages)
        options = [
            "--address", f"127.0.0.1:{served.port}", "--stages", ",".join(f"{rate}:{s}" for rate, s in stages),
            "--questions", str(ROOT / "seeds" / "questions.jsonl"), "--records", str(self._file), "--order", str(order),
        ]  # fmt: skip
        locust = [sys.executable, "-m", "locust", "-f", str(ROOT / "bench" / "load_users.py"), "--headless", "-u", "1"]
        self._log: IO[bytes] = (folder / "locust.log").open("wb")
        self._process = subprocess.Popen(
            [*locust, "--only-summary", "--exit-code-on-error", "0", *options],
            stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        assert self._process.stdout  # noqa: S101
        line = next((line for line in self._process.stdout if line.startswith("began ")), None)
        if line is None:
            raise RuntimeError((folder / "locust.log").read_text(encoding="utf-8")[-2000:])
        self.began = float(line.split()[1])

    def wait_until(self, s: float) -> None:
        """Sleep until so many seconds after the beginning."""
        time.sleep(max(0.0, self.began + s - time.monotonic()))

    def traffic(self) -> Traffic:
        """What became of all questions, once the last is over."""
        self._process.communicate(timeout=self.s + 120)
        self._log.close()
        return read_traffic(self._file)
