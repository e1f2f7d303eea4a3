"""Texts to vectors with ONNX Runtime, from the files that `index.export` writes once.

The query path imports neither torch nor transformers: `import sentence_transformers` alone takes seconds.
"""

import json
from collections.abc import Sequence
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
_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderInfo:
    """What an exported embedder is: vectors of different `weights_sha256` must never meet."""

    name: str
    weights_sha256: str
    dimension: int
    window_tokens: int


class Embedder:
    """An exported sentence-transformers model. Safe to share between threads."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        """Open an exported model.

        Args:
            folder: what `index.export.exported_embedder` returned.
            threads: for one computation; 0 takes every core.

        Raises:
            ModelError: a file is missing or damaged.
        """
        try:
            self.info = EmbedderInfo(**json.loads((folder / "embedder.json").read_text(encoding="utf-8")))
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the two libraries raise bare Exception and their own unexported types
            raise ModelError(f"{folder}: the exported embedder is damaged ({error}); delete this folder") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._inputs = {value.name for value in self._session.get_inputs()}

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
        return self._embed([title + body for title, body in zip(title_ids, body_ids, strict=True)])

    def embed_question(self, question: str) -> NDArray[np.float32]:
        """The vector of a question, `(dimension,)` float32, unit norm; what exceeds the window is not read."""
        ids = self._ids([question])[0]
        vector: NDArray[np.float32] = self._embed([ids[: self.info.window_tokens - _N_SPECIAL_TOKENS]])[0]
        return vector

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _embed(self, sequences: Sequence[list[int]]) -> NDArray[np.float32]:
        vectors = np.empty((len(sequences), self.info.dimension), dtype=np.float32)
        # Longest first, so that neighbours are of like length and padding is little.
        order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
        for begin in range(0, len(order), _BATCH_SIZE):
            rows = order[begin : begin + _BATCH_SIZE]
            vectors[rows] = self._session.run(None, self._batch([sequences[i] for i in rows]))[0]
        return vectors

    def _batch(self, sequences: Sequence[list[int]]) -> dict[str, NDArray[np.int64]]:
        cls, sep = self._special("[CLS]"), self._special("[SEP]")
        width = max(len(sequence) for sequence in sequences) + _N_SPECIAL_TOKENS
        ids = np.zeros((len(sequences), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            full = [cls, *sequence, sep]
            ids[row, : len(full)] = full
            mask[row, : len(full)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return {name: array for name, array in feed.items() if name in self._inputs}

    def _special(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(f"{self.info.name}: the tokenizer has no {token}: only BERT-like embedders can be used")
        return int(found)
