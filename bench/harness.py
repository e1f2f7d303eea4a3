"""What the harness itself costs: the share of an evaluation's time that is not spent retrieving and reading.

    python -m bench.harness DATASET OUT [--library DIR] [--limit N]

Runs `quoth eval run` in a process of its own, from start to exit: imports, opening, golds, re-reading citations,
writing, scoring with its bootstraps and the report are all in. Model time is the sum of `timings.jsonl`. The archive of
a dataset is built before, in a run of one question that is not counted. Prints one JSON line.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from eval.run_folder import read_timings


def main(
    dataset: Path,
    out: Path,
    library: Annotated[Path | None, typer.Option(help="For datasets that bring no archive.")] = None,
    limit: Annotated[int | None, typer.Option(help="A random sample.")] = None,
) -> None:
    """Measure one run."""
    environment = os.environ | ({"QUOTH_LIBRARY": str(library)} if library else {})
    command = [str(Path(sys.executable).with_name("quoth")), "eval", "run", str(dataset)]
    subprocess.run(
        [*command, "--limit", "1", "--out", f"{out}-warm"], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    began = time.perf_counter()
    sampled = ["--limit", str(limit)] if limit else []
    subprocess.run([*command, *sampled, "--out", str(out)], env=environment, check=True, stdout=subprocess.DEVNULL)
    wall_s = time.perf_counter() - began
    model_ms = read_timings(out)["total_ms"]
    figures = {
        "dataset": dataset.name,
        "questions": len(model_ms),
        "wall_s": round(wall_s, 1),
        "model_s": round(float(model_ms.sum()) / 1000, 1),
        "harness_share": round(1 - float(model_ms.sum()) / 1000 / wall_s, 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
