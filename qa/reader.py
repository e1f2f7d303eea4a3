"""Question and passages to scored spans, with ONNX Runtime."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from index.embedder import available_cores
from index.errors import ModelError, QuestionError
from index.passages import CharSpan
from qa.decode import top_spans
from qa.windows import MAX_QUESTION_TOKENS, PassageText, Window, WindowBuilder

WEIGHTS = Path(__file__).parent / "weights"
_SPANS_PER_PASSAGE = 10


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
    """The extractive reader. Safe to share: however many ask, `threads` windows are read at a time."""

    def __init__(self, folder: Path = WEIGHTS, *, graph: str = "reader.onnx", threads: int = 0) -> None:
        """Open the reader in `folder` (the graph and `tokenizer.json`); `threads` 0 takes every core.

        Raises:
            ModelError: a file is missing or damaged.
        """
        self._builder = WindowBuilder(folder / "tokenizer.json")
        options = onnxruntime.SessionOptions()
        # One window a thread, not several threads a window: see read().
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / graph),
                options,
                providers=["CPUExecutionProvider"],
                # Its kernel is slower than the two it replaces: 139 ms for ten passages against 125 (docs/adr/0009).
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:  # ONNX Runtime raises its own unexported types
            raise ModelError(f"{folder / graph}: cannot be opened ({error}); reinstall quoth") from error
        self._threads = ThreadPoolExecutor(threads or available_cores(), thread_name_prefix="reader")

    def check(self, question: str) -> None:
        """Refuse a question whose end would not be read: another one than was asked would be answered.

        Raises:
            QuestionError: it has more than `MAX_QUESTION_TOKENS` of the reader's tokens.
        """
        n_tokens = len(self._builder.tokenize([question])[0].ids)
        if n_tokens > MAX_QUESTION_TOKENS:
            raise QuestionError(
                f"the question has {n_tokens} tokens (words and parts of words); at most {MAX_QUESTION_TOKENS} are"
                " read, about 50 words: ask for one thing at a time"
            )

    def read(self, question: str, passages: Sequence[PassageText]) -> list[list[ReadSpan]]:
        """For each passage its best spans, best first; a passage that is nothing but blanks has none.

        Each window is read alone, so what is found in a passage does not depend on what else is read (in a batch, the
        scales of int8 activations would). It is also the fastest way (docs/adr/0009).
        """
        windows = [
            (place, window)
            for place, of_passage in enumerate(self._builder.windows_of_all(question, passages))
            for window in of_passage
        ]
        # Longest first: the threads end together.
        windows.sort(key=lambda one: -len(one[1].input_ids))
        found: list[dict[CharSpan, ReadSpan]] = [{} for _ in passages]
        readings = self._threads.map(self._read_window, [window for _, window in windows])
        for (place, _), spans in zip(windows, readings, strict=True):
            for span in spans:
                seen = found[place].get(span.span)
                if seen is None or span.log_probability > seen.log_probability:
                    found[place][span.span] = span
        return [
            sorted(spans.values(), key=lambda s: (-s.log_probability, s.span))[:_SPANS_PER_PASSAGE] for spans in found
        ]

    def _read_window(self, window: Window) -> list[ReadSpan]:
        ids = window.input_ids[None, :]
        types = np.zeros_like(ids)
        types[:, window.passage_start :] = 1
        start, end = self._session.run(["start_logits", "end_logits"], {"input_ids": ids, "token_type_ids": types})
        return list(_spans(window, start[0], end[0]))


def _spans(window: Window, start: NDArray[np.float32], end: NDArray[np.float32]) -> Iterator[ReadSpan]:
    passage = slice(window.passage_start, window.passage_start + len(window.offsets))
    null = (float(start[0]), float(end[0]))
    for found in top_spans(start[passage], end[passage], null, k=_SPANS_PER_PASSAGE):
        begin, stop = int(window.offsets[found.first, 0]), int(window.offsets[found.last, 1])
        if begin < stop:
            margin = found.logit - sum(null)
            yield ReadSpan(span=CharSpan(begin, stop), margin=margin, log_probability=found.log_probability)
