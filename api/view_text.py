"""Article text as the page shows it: pieces that know their place, so that every character can still be cited."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from index.passages import CharSpan
from qa.citation import Citation

MAX_PARAGRAPH_CHARS = 20_000
"""Longer ones are cut for the eye: a browser lays out a line of five million characters for minutes."""
_BLANK_LINES = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_NOT_BLANK = re.compile(r"\S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some characters, and whether they are the ones that are cited."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Characters of an article from `start`; `pieces` joined are `text`, which is exactly those characters.

    `goes_on` says that it is the rest of a longer paragraph.
    """

    start: int
    text: str
    goes_on: bool
    pieces: tuple[Piece, ...]


def marked(text: str, start: int, end: int) -> tuple[Piece, ...]:
    """The text in up to three pieces, with the characters `[start, end)` marked; the span is clamped to the text."""
    start, end = max(0, start), min(len(text), end)
    if start >= end:
        return (Piece(text=text, is_marked=False),)
    parts = ((text[:start], False), (text[start:end], True), (text[end:], False))
    return tuple(Piece(text=part, is_marked=is_marked) for part, is_marked in parts if part)


def marked_sentence(citation: Citation) -> tuple[Piece, ...]:
    """The sentence of a citation with its quote marked."""
    begins = citation.sentence.start
    return marked(citation.sentence_text, citation.span.start - begins, citation.span.end - begins)


def paragraphs(text: str, mark: CharSpan | None = None) -> Iterator[Paragraph]:
    """The text without the blank lines between paragraphs: every character that is not blank is in one of them."""
    for start, end in _stretches(text):
        for cut, cut_end in _cut(text, start, end):
            part = text[cut:cut_end]
            pieces = marked(part, mark.start - cut, mark.end - cut) if mark else (Piece(text=part, is_marked=False),)
            yield Paragraph(start=cut, text=part, goes_on=cut > start, pieces=pieces)


def excerpt(text: str, max_chars: int) -> str:
    """The text in one line, cut after a word where it is longer."""
    flat = " ".join(text[: 4 * max_chars].split())
    if len(flat) <= max_chars:
        return flat
    return flat[: max_chars - 1].rsplit(" ", 1)[0].rstrip() + "…"


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """What stands between blank lines."""
    start = 0
    for gap in _BLANK_LINES.finditer(text):
        if _NOT_BLANK.search(text, start, gap.start()):
            yield start, gap.start()
        start = gap.end()
    if _NOT_BLANK.search(text, start):
        yield start, start + len(text[start:].rstrip())


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_PARAGRAPH_CHARS:
        blank = text.rfind(" ", start + MAX_PARAGRAPH_CHARS // 2, start + MAX_PARAGRAPH_CHARS)
        cut = blank + 1 if blank > 0 else start + MAX_PARAGRAPH_CHARS
        yield start, cut
        start = cut
    yield start, end
