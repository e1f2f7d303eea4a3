"""Kinds of vector index at growing sizes: recall, latency, memory, and what building, adding and removing cost.

    python -m bench.vector_indexes SQUAD.json.gz [--sizes 10000,100000,1000000] [--out FILE.jsonl]

Method: the first vectors are real, those of the file's passages in a random order, and the questions are real; what is
beyond is made (`bench.made`). An index is built in a process of its own, which is stopped after --limit-s, opened in
another, which measures opening and memory, and searched in this one. There every index with every setting is asked
every question, k = 50, one after the other. `ms` is wall time and `cpu_ms` what the process computed: on a machine with
other work the high percentiles of the first come from interruptions, those of the second do not. With two threads the
lists of one question are shared out between them; the other kinds do not share a question out.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.alone import alone
from bench.made import stored_vectors
from bench.real import real_vectors
from bench.vector_kinds import KINDS, Kind
from bench.vector_rows import Built, Opened, Searched, built, choices, opened, searched

N_SHARED_OUT = 100
"""Questions asked with two threads: on a machine with other work those wait for each other, which takes long."""


def main(
    squad_file: Path,
    sizes: str = "10000,100000,1000000",
    kinds: Annotated[str, typer.Option(help="Names with blanks between them; nothing: all.")] = "",
    out: Annotated[Path, typer.Option(help="Rows are added to this file.")] = Path("runs/vector_indexes.jsonl"),
    folder: Annotated[Path, typer.Option(help="Where vectors and indexes are kept.")] = Path("runs/bench-vectors"),
    n_questions: int = 400,
    limit_s: Annotated[float, typer.Option(help="The longest that one index may be built.")] = 3600,
) -> None:
    """Write one JSON line for each measurement."""
    counts = [int(size) for size in sizes.split(",")]
    chosen = [kind for kind in KINDS if not kinds or kind.name in kinds.split()]
    real = real_vectors(squad_file, folder, n_questions=n_questions)
    vectors = stored_vectors(real.passages, max(counts), folder / "vectors.npy")
    for n in counts:
        files = [(kind, file) for kind in chosen if (file := _built(kind, vectors, n, folder, out, limit_s))]
        for kind, file in files:
            for way in kind.ways:
                note(out, alone(limit_s, opened, kind, file, way, real.questions))
        these = choices(files)
        held = np.load(vectors, mmap_mode="r")[:n]
        in_memory = [choice for choice in these if choice.way == "memory"]
        for row in searched(held, real.questions, these, 1):
            note(out, row)
        for row in searched(held, real.questions[:N_SHARED_OUT], in_memory, 2):
            note(out, row)


def _built(kind: Kind, vectors: Path, n: int, folder: Path, out: Path, limit_s: float) -> Path | None:
    file = folder / f"{kind.name}-{n}.faiss"
    if file.exists():
        return file
    row = alone(limit_s, built, kind, vectors, n, file)
    note(out, row)
    return file if row else None


def note(out: Path, row: Built | Opened | Searched | None) -> None:
    """Add a row to the file and print it."""
    if row is None:
        print("stopped: it took too long", flush=True)
        return
    line = json.dumps({"row": type(row).__name__.lower(), **asdict(row)})
    print(line, flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        print(line, file=file)


if __name__ == "__main__":
    typer.run(main)
