"""Texts to vectors with ONNX Runtime, from the files that `index.export` writes once.

The query path imports neither torch nor transformers: `import sentence_transformers` alone takes seconds. The weights
have eight bits: success@5 of 4,084 held-out questions is 91.7 %, in float32 91.6 %, at a third of the time.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from index.errors import ModelError

MAX_TITLE_TOKENS = 32
"""What is read of a title: it gives context to each passage, and must leave room for it."""
_N_SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderInfo:
    """What an exported embedder is: vectors of different `weights_sha256` must never meet."""

    name: str
    weights_sha256: str
    dimension: int
    window_tokens: int


class Embedder:
    """An exported sentence-transformers model. Safe to share between threads."""

    def __init__(self, folder: Path, *, graph: str = "model.onnx", threads: int = 0) -> None:
        """Open an exported model.

        Args:
            folder: what `index.export.exported_embedder` returned.
            graph: the file that computes; `float32.onnx` is the one with the original's weights.
            threads: passages embedded side by side; 0 takes every core. A question takes one.

        Raises:
            ModelError: a file is missing or damaged.
        """
        try:
            self.info = EmbedderInfo(**json.loads((folder / "embedder.json").read_text(encoding="utf-8")))
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            # Without that fusion a passage of 170 tokens takes 12.4 ms instead of 15.4 (see docs/adr/0009).
            self._session = onnxruntime.InferenceSession(
                str(folder / graph),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:  # the two libraries raise bare Exception and their own unexported types
            raise ModelError(f"{folder}: the exported embedder is damaged ({error}); delete this folder") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._inputs = {value.name for value in self._session.get_inputs()}
        self._threads = threads or available_cores()

    @property
    def max_passage_tokens(self) -> int:
        """How many tokens of its own a passage may have beside its title and the special tokens."""
        return self.info.window_tokens - MAX_TITLE_TOKENS - _N_SPECIAL_TOKENS

    def n_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of the embedder's own tokens of each text, special tokens not counted."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def embed_passages(self, titles: Sequence[str], bodies: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of passages in the context of their titles, `(n_passages, dimension)` float32, unit norm.

        Raises:
            ValueError: a passage is longer than `max_passage_tokens`: its end could never be found.
        """
        title_ids = [ids[:MAX_TITLE_TOKENS] for ids in self._ids(titles)]
        body_ids = self._ids(bodies)
        too_long = max((len(ids) for ids in body_ids), default=0)
        if too_long > self.max_passage_tokens:
            raise ValueError(f"a passage has {too_long} tokens, more than the {self.max_passage_tokens} that fit")
        return self._embed_each([title + body for title, body in zip(title_ids, body_ids, strict=True)])

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """The vector of a question, `(dimension,)` float32, unit norm; what exceeds the window is not read."""
        ids = self._ids([question])[0]
        vector: NDArray[np.float32] = self._run(ids[: self.info.window_tokens - _N_SPECIAL_TOKENS])
        return vector

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _embed_each(self, sequences: Sequence[list[int]]) -> NDArray[np.float32]:
        """One passage a thread: nothing is padded, and a vector does not depend on what stands beside it.

        Some 2.5 times as many a second as sentence-transformers encodes (`python -m bench.adding SQUAD.json.gz`).
        """
        vectors = np.empty((len(sequences), self.info.dimension), dtype=np.float32)
        # Longest first: the threads end together.
        order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
        with ThreadPoolExecutor(self._threads) as pool:
            for row, vector in zip(order, pool.map(lambda i: self._run(sequences[i]), order), strict=True):
                vectors[row] = vector
        return vectors

    def _run(self, ids: list[int]) -> NDArray[np.float32]:
        full = np.array([[self._special("[CLS]"), *ids, self._special("[SEP]")]], dtype=np.int64)
        feed = {"input_ids": full, "attention_mask": np.ones_like(full), "token_type_ids": np.zeros_like(full)}
        vector: NDArray[np.float32] = self._session.run(
            None, {name: array for name, array in feed.items() if name in self._inputs}
        )[0][0]
        return vector / np.linalg.norm(vector)

    def _special(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(f"{self.info.name}: the tokenizer has no {token}: only BERT-like embedders can be used")
        return int(found)


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has, in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
