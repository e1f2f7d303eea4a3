"""Question and passages to scored spans, with ONNX Runtime."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from index.errors import ModelError
from index.passages import CharSpan
from qa.decode import top_spans
from qa.windows import Window, WindowBuilder

WEIGHTS = Path(__file__).parent / "weights"
_SPANS_PER_PASSAGE = 10
_BATCH_SIZE = 8
_LENGTH_STEP = 16
"""Windows whose lengths, rounded up to this many tokens, are equal are read together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageText:
    """What the reader reads of a passage: the title gives context, answers come from the text only."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpan:
    """A span of a passage that may answer the question.

    `span` holds characters of the passage. `margin` is the span's logit less that of "no answer here" in its window;
    `log_probability` (<= 0) is that of the span in its window. Higher is better in both.
    """

    span: CharSpan
    margin: float
    log_probability: float


class Reader:
    """The extractive reader. Safe to share between threads."""

    def __init__(self, folder: Path = WEIGHTS, *, graph: str = "reader.onnx", threads: int = 0) -> None:
        """Open the reader in `folder` (the graph and `tokenizer.json`); `threads` 0 takes every core.

        Raises:
            ModelError: a file is missing or damaged.
        """
        self._builder = WindowBuilder(folder / "tokenizer.json")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises its own unexported types
            raise ModelError(f"{folder / graph}: cannot be opened ({error}); reinstall quoth") from error

    def read(self, question: str, passages: Sequence[PassageText]) -> list[list[ReadSpan]]:
        """For each passage its best spans, best first; a passage that is nothing but blanks has none."""
        windows = [
            (place, window)
            for place, passage in enumerate(passages)
            for window in self._builder.windows(question, passage.title, passage.text)
        ]
        found: list[dict[CharSpan, ReadSpan]] = [{} for _ in passages]
        for batch in _batches(windows):
            starts, ends = self._run([window for _, window in batch])
            for (place, window), start, end in zip(batch, starts, ends, strict=True):
                for span in _spans(window, start, end):
                    seen = found[place].get(span.span)
                    if seen is None or span.log_probability > seen.log_probability:
                        found[place][span.span] = span
        return [
            sorted(spans.values(), key=lambda s: (-s.log_probability, s.span))[:_SPANS_PER_PASSAGE] for spans in found
        ]

    def _run(self, windows: Sequence[Window]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Start and end logits, each `(n_windows, n_tokens)` float32."""
        width = max(len(window.input_ids) for window in windows)
        ids, types, mask = (np.zeros((len(windows), width), dtype=np.int64) for _ in range(3))
        for row, window in enumerate(windows):
            n_tokens = len(window.input_ids)
            ids[row, :n_tokens] = window.input_ids
            types[row, window.passage_start : n_tokens] = 1
            mask[row, :n_tokens] = 1
        start, end = self._session.run(
            ["start_logits", "end_logits"], {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
        )
        return start, end


def _batches(windows: Sequence[tuple[int, Window]]) -> Iterator[list[tuple[int, Window]]]:
    """Windows of like length together: padding is computed and thrown away."""
    ordered = sorted(windows, key=lambda item: len(item[1].input_ids))
    batch: list[tuple[int, Window]] = []
    for item in ordered:
        if batch and (len(batch) == _BATCH_SIZE or _rounded(item) != _rounded(batch[0])):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _rounded(item: tuple[int, Window]) -> int:
    return -(-len(item[1].input_ids) // _LENGTH_STEP)


def _spans(window: Window, start: NDArray[np.float32], end: NDArray[np.float32]) -> Iterator[ReadSpan]:
    passage = slice(window.passage_start, window.passage_start + len(window.offsets))
    null = (float(start[0]), float(end[0]))
    for found in top_spans(start[passage], end[passage], null, k=_SPANS_PER_PASSAGE):
        begin, stop = int(window.offsets[found.first, 0]), int(window.offsets[found.last, 1])
        if begin < stop:
            margin = found.logit - sum(null)
            yield ReadSpan(span=CharSpan(begin, stop), margin=margin, log_probability=found.log_probability)
