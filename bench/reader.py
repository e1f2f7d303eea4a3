"""Milliseconds to read a question's passages: the product's reader, and the same weights in PyTorch.

    python -m bench.reader LIBRARY QUESTIONS READER_DIR [--limit 100] [--rounds 1] [--out FILE.jsonl]

READER_DIR is what `make reader` leaves in RUN, or for the reader that ships `python -m training.shipped
qa/weights/reader.onnx READER_DIR`: `reader.onnx` (int8), `reader-float32.onnx`, `weights.pt` and `tokenizer.json`.

Method: three readers of the same training. `int8` and `float32` are the product's `qa.reader.Reader` on the two graphs.
`pytorch` is `bench.torch_reader`: transformers' BertForQuestionAnswering with the same float32 weights, in inference
mode, all windows of a question in one padded batch; windows are built and spans decoded by the product's own parts. A
time is that of the whole reading, from texts to spans. Retrieval is done before and is not in it.

For each question, every count of passages is read by every reader with every number of threads, one after the other, in
an order that turns by one from question to question; 10 ms of rest lie between two readings, so that the threads of the
one before have gone to sleep. Before that, each reads the first question's passages once, for warm-up. Nothing else may
run on the machine.

Prints one JSON line a reading (or writes them to --out), then for each setting the median and the 99th percentile, how
many times faster than `pytorch` it is at as many threads (the median of the ratios question by question), both with the
95 % bootstrap interval over questions, and the share of questions whose best span is the one that `pytorch` finds.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import onnxruntime
import torch
import transformers
import typer
from numpy.typing import NDArray

from api.settings import Settings
from api.wiring import open_archive
from bench.torch_reader import TorchReader
from eval.bootstrap import interval, resamples
from eval.datasets import read_dataset
from index.errors import DatasetError
from index.passages import CharSpan
from index.records import Filters
from qa.reader import Reader, ReadSpan
from qa.windows import PassageText, passage_text

PEER = "pytorch"
GRAPHS = {"int8": "reader.onnx", "float32": "reader-float32.onnx"}
PASSAGES = (5, 10, 20)
THREADS = (1, 2)
REST_S = 0.01
Best = tuple[int, CharSpan]
"""A passage, by its place, and the characters of the best span of all in it."""


class Reads(Protocol):
    """Anything that reads passages as the product's reader does."""

    def read(self, question: str, passages: Sequence[PassageText]) -> list[list[ReadSpan]]:
        """For each passage its best spans, best first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a time belongs to."""

    reader: str
    passages: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement; `question` is the row of the sample."""

    setting: Setting
    round: int
    question: int
    ms: float
    best: Best | None


def main(
    library: Path,
    questions_file: Annotated[Path, typer.Argument(metavar="QUESTIONS")],
    reader_dir: Path,
    limit: Annotated[int, typer.Option(min=1, help="A random sample of this many questions.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="How often each question is read in each setting.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write the readings here, not to stdout.")] = None,
) -> None:
    """Measure, then print the summary."""
    asked = sample(library, questions_file, limit)
    readers = opened(reader_dir)
    print(json.dumps(machine() | {"questions": len(asked), "rounds": rounds}), flush=True)
    readings = []
    with out.open("w", encoding="utf-8") if out else nullcontext(sys.stdout) as file:
        for reading in measured(readers, asked, rounds):
            readings.append(reading)
            line = {**asdict(reading.setting), "round": reading.round, "question": reading.question, "ms": reading.ms}
            print(json.dumps(line), file=file, flush=True)
    for summary in summaries(readings):
        print(json.dumps(summary))


def sample(library: Path, questions_file: Path, limit: int) -> list[tuple[str, list[PassageText]]]:
    """Questions and the passages that the product would read for each, best first.

    Raises:
        DatasetError: the Library has too few passages.
    """
    archive = open_archive(Settings(library=library))
    held = [question.question for question in read_dataset(questions_file).questions]
    rows = np.random.default_rng(7).permutation(len(held))[:limit]
    asked = []
    for question in (held[row] for row in rows):
        found = archive.retriever.retrieve(question, max(PASSAGES), Filters())
        if len(found) < max(PASSAGES):
            raise DatasetError(
                f"{library}: {len(found)} passages for {question!r}, {max(PASSAGES)} are needed; add more"
            )
        asked.append((question, [passage_text(one.passage) for one in found]))
    return asked


def opened(reader_dir: Path) -> dict[tuple[str, int], Reads]:
    """Every reader with every number of threads."""
    readers: dict[tuple[str, int], Reads] = {}
    for threads in THREADS:
        for name, graph in GRAPHS.items():
            readers[name, threads] = Reader(reader_dir, graph=graph, threads=threads)
        readers[PEER, threads] = TorchReader(reader_dir, threads=threads)
    return readers


def machine() -> dict[str, str | int | None]:
    """What the times depend on."""
    versions = {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__}
    return {"cores": os.cpu_count(), **versions, "transformers": transformers.__version__}


def measured(
    readers: dict[tuple[str, int], Reads], asked: Sequence[tuple[str, list[PassageText]]], rounds: int
) -> Iterator[Reading]:
    """Every reading, as it is done."""
    settings = [Setting(reader=r, passages=n, threads=t) for n in PASSAGES for r, t in readers]
    for setting in settings:
        readers[setting.reader, setting.threads].read(asked[0][0], asked[0][1][: setting.passages])
    for turn in range(rounds * len(asked)):
        round_, row = divmod(turn, len(asked))
        question, passages = asked[row]
        first = turn % len(settings)
        for setting in settings[first:] + settings[:first]:
            time.sleep(REST_S)
            reader = readers[setting.reader, setting.threads]
            began = time.perf_counter()
            found = reader.read(question, passages[: setting.passages])
            ms = round(1000 * (time.perf_counter() - began), 2)
            yield Reading(setting=setting, round=round_, question=row, ms=ms, best=best_of(found))


def best_of(found: Sequence[Sequence[ReadSpan]]) -> Best | None:
    """The span of highest margin of all passages; None if there is none."""
    ranked = [(span.margin, -place, span.span) for place, spans in enumerate(found) for span in spans]
    if not ranked:
        return None
    _, place, span = max(ranked)
    return -place, span


def summaries(readings: Sequence[Reading]) -> Iterator[dict[str, str | int | float | list[float]]]:
    """One row a setting."""
    of: dict[Setting, list[Reading]] = {}
    for reading in readings:
        of.setdefault(reading.setting, []).append(reading)
    for setting, own in sorted(of.items(), key=lambda item: (item[0].passages, item[0].threads)):
        peers = of[Setting(reader=PEER, passages=setting.passages, threads=setting.threads)]
        times = by_question(own)
        row: dict[str, str | int | float | list[float]] = {**asdict(setting), "n": len(own)}
        row |= with_interval("p50_ms", times, 50) | with_interval("p99_ms", times, 99)
        if setting.reader != PEER:
            row |= with_interval("times_faster", by_question(peers) / times, 50)
            same = [one.best == other.best for one, other in zip(own, peers, strict=True)]
            row["same_best_span"] = round(float(np.mean(same)), 4)
        yield row


def by_question(readings: Sequence[Reading]) -> NDArray[np.float64]:
    """Milliseconds, `(n_questions, n_rounds)`; readings come round by round."""
    n_rounds = max(reading.round for reading in readings) + 1
    return np.array([reading.ms for reading in readings]).reshape(n_rounds, -1).T


def with_interval(name: str, values: NDArray[np.float64], percentile: float) -> dict[str, float | list[float]]:
    """The percentile of all values and its interval; whole questions are drawn, with all their rounds."""
    drawn = [float(np.percentile(values[rows], percentile)) for rows in resamples(len(values))]
    found = interval(float(np.percentile(values, percentile)), drawn, len(values))
    return {name: round(found.value, 2), f"{name}_95": [round(found.low, 2), round(found.high, 2)]}


if __name__ == "__main__":
    typer.run(main)
