"""Wall time and peak memory of `quoth ask`, a new process each time, beside `import sentence_transformers`.

    python -m bench.ask LIBRARY [--rounds 11]

Method: both commands run in turn, `rounds` times after one warm-up of each (so that files are in the page cache); the
time is that of the whole process, the memory its maximum resident set. Prints every measurement, then the medians.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

QUESTION = "How many Turkish soldiers were killed in the Idlib air strike?"


def main(library: Path, rounds: Annotated[int, typer.Option(min=1)] = 11) -> None:
    """Measure and print one JSON line a round, then the medians."""
    binaries = Path(sys.executable).parent
    commands = {
        "quoth ask": [str(binaries / "quoth"), "--library", str(library), "ask", QUESTION],
        "import sentence_transformers": [sys.executable, "-c", "import sentence_transformers"],
    }
    for command in commands.values():
        measure(command)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds, megabytes = measure(command)
            rows[name].append((seconds, megabytes))
            print(json.dumps({"command": name, "s": round(seconds, 3), "peak_mb": round(megabytes)}), flush=True)
    for name, measured in rows.items():
        times, memory = zip(*measured, strict=True)
        print(
            json.dumps({"command": name, "median_s": round(median(times), 3), "median_peak_mb": round(median(memory))})
        )


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds and megabytes of one run."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):  # 3: asked and refused, which takes as long
        raise SystemExit(f"{command} failed with exit code {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(main)
