"""Question, title and passage to the token windows that the reader reads.

A window is `[CLS] question [SEP] title, month year [SEP] passage [SEP]`; what an article lacks of title and date is
left out, and one `[SEP]` where it lacks both. Token type 1 marks the passage and its closing separator: an answer can
come from the passage only, never from what stands before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from index.errors import ModelError
from index.records import StoredPassage

MAX_WINDOW_TOKENS = 384
STRIDE_TOKENS = 128
"""Tokens by which neighbouring windows of a passage overlap: no answer is as long, so some window holds it whole."""
MAX_QUESTION_TOKENS = 64
MAX_TITLE_TOKENS = 32
_NO_TOKENS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageText:
    """What the reader reads of a passage: title and month give context, answers come from the text only."""

    title: str
    text: str
    month: str = ""

    @property
    def dateline(self) -> str:
        """What is read after the title."""
        return f", {self.month}" if self.title and self.month else self.month


def passage_text(passage: StoredPassage) -> PassageText:
    """A passage of a Library as the reader reads it."""
    return PassageText(title=passage.title, text=passage.text, month=passage.month)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedText:
    """Token ids `(n,)` int64 and the characters `[start, end)` of each in its text, `(n, 2)` int64."""

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One input of the reader.

    `input_ids` is `(n_tokens,)` int64. Passage tokens are `input_ids[passage_start:-1]`; row i of `offsets`,
    `(n_passage_tokens, 2)` int64, holds the characters `[start, end)` of passage token i in the passage.
    """

    input_ids: NDArray[np.int64]
    passage_start: int
    offsets: NDArray[np.int64]


class WindowBuilder:
    """Builds windows with one tokenizer. Not thread-bound: the tokenizer is only read."""

    def __init__(self, tokenizer_file: Path) -> None:
        if not tokenizer_file.is_file():
            raise ModelError(f"{tokenizer_file}: the reader's tokenizer is missing; reinstall quoth")
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{tokenizer_file}: cannot be opened ({error}); reinstall quoth") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._cls = np.array([self._special("[CLS]")], dtype=np.int64)
        self._sep = np.array([self._special("[SEP]")], dtype=np.int64)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Each text's tokens, without special tokens."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            TokenizedText(
                ids=np.array(encoding.ids, dtype=np.int64),
                offsets=np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2),
            )
            for encoding in encodings
        ]

    def windows(self, question: str, title: str, passage: str) -> list[Window]:
        """All windows over one passage, first to last; together they hold every token of it."""
        return self.windows_of_all(question, [PassageText(title=title, text=passage)])[0]

    def windows_of_all(self, question: str, passages: Sequence[PassageText]) -> list[list[Window]]:
        """Of each passage its windows; tokenised all at once, which takes half as long as one after another."""
        asked, *read = self.tokenize(
            [question, *(text for passage in passages for text in (passage.title, passage.dateline, passage.text))]
        )
        return [
            self._windows(self.prefix(asked.ids, title.ids, dateline.ids), text)
            for title, dateline, text in zip(read[::3], read[1::3], read[2::3], strict=True)
        ]

    def _windows(self, prefix: NDArray[np.int64], passage: TokenizedText) -> list[Window]:
        room = MAX_WINDOW_TOKENS - len(prefix) - 1
        last = max(len(passage.ids) - room, 0)
        starts = [*range(0, last, room - STRIDE_TOKENS), last]
        return [self.window(prefix, passage, start, start + room) for start in starts]

    def prefix(
        self,
        question_ids: NDArray[np.int64],
        title_ids: NDArray[np.int64],
        dateline_ids: NDArray[np.int64] = _NO_TOKENS,
    ) -> NDArray[np.int64]:
        """`[CLS] question [SEP] title dateline [SEP]`, question and title cut to what is read of them."""
        parts = [self._cls, question_ids[:MAX_QUESTION_TOKENS], self._sep]
        if len(title_ids) or len(dateline_ids):
            parts += [title_ids[:MAX_TITLE_TOKENS], dateline_ids, self._sep]
        return np.concatenate(parts)

    def window(self, prefix: NDArray[np.int64], passage: TokenizedText, start: int, end: int) -> Window:
        """The window over passage tokens `[start, end)`."""
        return Window(
            input_ids=np.concatenate([prefix, passage.ids[start:end], self._sep]),
            passage_start=len(prefix),
            offsets=passage.offsets[start:end],
        )

    def _special(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(f"the reader's tokenizer has no {token} token: it is not a BERT tokenizer")
        return int(found)
