"""Brackets and quotation marks: which of them lack their partner."""

import re

_OPENERS = {")": "(", "]": "[", "}": "{", "”": "“„", "“": "„", "»": "«", "«": "»", "’": "‘‚", '"': '"', "'": "'"}
"""By the mark that closes, those that it may close. Some of these open as well: „ja“ and “yes”, »ja« and «oui»."""
_OPENING = frozenset("([{“„«»‘‚\"'")
_MARK = re.compile(f"[{re.escape(''.join({*_OPENING, *_OPENERS}))}]")


def unpaired(text: str, start: int, end: int) -> list[int]:
    """Places in the text, in order, of the brackets and quotation marks in `[start, end)` that have no partner there.

    An apostrophe is no mark: a single quotation mark opens before a word, and closes one that is open.
    """
    opened: list[int] = []
    lonely: list[int] = []
    for found in _MARK.finditer(text, start, end):
        place, mark = found.start(), found.group()
        partner = _partner(text, place, opened)
        if partner is not None:
            # What was opened within this pair, and not closed, never will be.
            lonely += opened[partner + 1 :]
            del opened[partner:]
        elif mark in _OPENING:
            if mark not in "'‘" or _opens_word(text, place):
                opened.append(place)
        elif mark != "’":
            lonely.append(place)
    return sorted(lonely + opened)


def opening_of(text: str, place: int) -> int | None:
    """Where the pair was opened that the mark at `place` closes, looking back to the start of its line."""
    opened = unpaired(text, text.rfind("\n", 0, place) + 1, place)
    partner = _partner(text, place, opened)
    return None if partner is None else opened[partner]


def _partner(text: str, place: int, opened: list[int]) -> int | None:
    """Which of `opened` the mark at `place` closes."""
    mark = text[place]
    if mark not in _OPENERS or (mark in "’'" and _is_letter(text, place + 1)):
        return None
    return next((i for i in reversed(range(len(opened))) if text[opened[i]] in _OPENERS[mark]), None)


def _opens_word(text: str, place: int) -> bool:
    return _is_letter(text, place + 1) and not _is_letter(text, place - 1)


def _is_letter(text: str, place: int) -> bool:
    return 0 <= place < len(text) and text[place].isalnum()
