"""Thousands of requests that Schemathesis makes from the OpenAPI document, to a real server.

    python -m tests.fuzz [--examples 800] [--seed 7] [--out runs/fuzz]

The server is `quoth serve` over the articles of seeds/. Exit code 1 if any answer is a 5xx, is not what the document
says, or takes what it should not. The counts are of the server's own log.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from api.settings import Settings
from tests.api.serving import Server

HERE = Path(__file__).parent
SEEDS = HERE.parent.parent / "seeds" / "articles"
MINUTES = 40


def main(
    examples: Annotated[int, typer.Option(help="Tries of each operation, in each way.")] = 800,
    seed: Annotated[int, typer.Option(help="The same seed makes the same requests.")] = 7,
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("runs/fuzz"),
) -> None:
    """Fuzz, and print what came of it."""
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(library=Path(name) / "library")
        code, counts = fuzz(settings, SEEDS, Path(name), examples=examples, seed=seed, out=out)
    print(json.dumps({"requests": counts.total(), "statuses": dict(sorted(counts.items())), "exit": code}))  # noqa: T201
    raise typer.Exit(code)


def fuzz(
    settings: Settings, articles: Path, folder: Path, *, examples: int, seed: int, out: Path
) -> tuple[int, collections.Counter[int]]:
    """Schemathesis' exit code, and how many answers had each status. What it prints goes to `report.txt` in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **settings.environment(), "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "NO_COLOR": "1"}
    quoth = Path(sys.executable).with_name("quoth")
    subprocess.run([quoth, "add", articles], env=environment, check=True, stdout=subprocess.DEVNULL)
    with Server(settings, folder) as server:
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"),
            "run", f"{server.url}/openapi.json", "--continue-on-failure",
            "--max-examples", str(examples), "--seed", str(seed), "--workers", "2",
        ]  # fmt: skip
        with (out / "report.txt").open("wb") as report:
            done = subprocess.run(
                command, env=environment, stdout=report, stderr=report, check=False, timeout=MINUTES * 60
            )
        server.stop()
        requests = [line for line in server.lines() if line.get("event") == "request" and line["route"] != "/readyz"]
        counts = collections.Counter(line["status"] for line in requests)
    return done.returncode, counts


if __name__ == "__main__":
    typer.run(main)
