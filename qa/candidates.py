"""Spans of all passages read become candidates: whole words, tidy ends, no two that say the same."""

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from index.passages import CharSpan
from index.retriever import RetrievedPassage
from qa.reader import ReadSpan

_OPENING, _CLOSING = "([{“«", ")]}”»"
_STRAY = ",;:.!?…–—-•*|/"
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A possible answer: `span` holds characters of the article, `text` is exactly those characters.

    `margin` and `log_probability` are the reader's scores, see `ReadSpan`; `retrieval_score` in [0, 1] is that of the
    best passage that holds it. Higher is better in all three.
    """

    article_id: str
    span: CharSpan
    text: str
    margin: float
    log_probability: float
    retrieval_score: float


def candidates(passages: Sequence[RetrievedPassage], readings: Sequence[Sequence[ReadSpan]]) -> list[Candidate]:
    """Candidates of all passages, tidied, in no particular order and not yet merged."""
    found = []
    for retrieved, spans in zip(passages, readings, strict=True):
        passage = retrieved.passage
        for read in spans:
            tidy = tidy_span(passage.text, read.span)
            if tidy is None:
                continue
            shift = passage.span.start
            found.append(
                Candidate(
                    article_id=passage.article_id,
                    span=CharSpan(tidy.start + shift, tidy.end + shift),
                    text=tidy.of(passage.text),
                    margin=read.margin,
                    log_probability=read.log_probability,
                    retrieval_score=retrieved.retrieval_score,
                )
            )
    return found


def merge(ranked: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, best first, without those that repeat a better one.

    A candidate repeats a better one if it shares characters with it, or says the same up to case, punctuation and
    "a", "an", "the".
    """
    kept: list[Candidate] = []
    said: set[str] = set()
    for candidate in ranked:
        key = _said(candidate.text)
        if key in said or any(_overlap(candidate, other) for other in kept):
            continue
        said.add(key)
        kept.append(candidate)
    return kept


def tidy_span(text: str, span: CharSpan) -> CharSpan | None:
    """The span grown to whole words and numbers, less stray punctuation and half pairs; None if nothing is left.

    >>> tidy_span("It cost $3.6 million.", CharSpan(9, 12)).of("It cost $3.6 million.")
    '$3.6'
    """
    start, end = span.start, span.end
    while start > 0 and _joined(text, start):
        start -= 1
    while end < len(text) and _joined(text, end):
        end += 1
    start, end = _balanced(text, *_stripped(text, start, end))
    return CharSpan(start, end) if any(char.isalnum() for char in text[start:end]) else None


def _joined(text: str, cut: int) -> bool:
    """Whether a cut before character `cut` would break a word or a number."""
    before, after = text[cut - 1], text[cut]
    if _is_word(before) and _is_word(after):
        return True
    # 3.6 and 3,600 are one number; so are $3 and -40.
    if after in ".,’'" and cut + 1 < len(text):
        return before.isdigit() and text[cut + 1].isdigit()
    if before in ".,’'" and cut >= 2:
        return text[cut - 2].isdigit() and after.isdigit()
    if after.isdigit():
        return before in "$€£¥" or (before in "-−+" and (cut < 2 or not _is_word(text[cut - 2])))
    # 40 % and 40°C: the unit that touches a number belongs to it.
    return (before.isdigit() and after in "%°") or (before == "°" and after in "CF")


def _is_word(char: str) -> bool:
    return char.isalnum() or (not char.isspace() and not char.isprintable()) or unicodedata.category(char)[0] == "M"


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Without blanks and stray punctuation at the ends; the full stop of an abbreviation (U.S., Jr.) stays."""
    while start < end and _is_stray(text[start]) and not _is_sign(text, start):
        start += 1
    while start < end and _is_stray(text[end - 1]) and not _is_abbreviation(text[start:end]):
        end -= 1
    return start, end


def _is_sign(text: str, place: int) -> bool:
    if place > 0 and _is_word(text[place - 1]):  # the hyphen of 2019-20
        return False
    return text[place] in "-−+" and place + 1 < len(text) and text[place + 1].isdigit()


def _is_stray(char: str) -> bool:
    return char in _STRAY or char.isspace()


def _is_abbreviation(text: str) -> bool:
    return re.search(r"(?:\b[^\W\d_]\.)+$|\b(?:Jr|Sr|Inc|Ltd|Co|Corp|St|Dr|Mr|Mrs|a\.m|p\.m)\.$", text) is not None


def _balanced(text: str, start: int, end: int) -> tuple[int, int]:
    """Drop a bracket or quotation mark at an end that lacks its partner inside."""
    changed = True
    while changed and start < end:
        changed = False
        inside, first, last = text[start:end], text[start], text[end - 1]
        if _lacks_partner(inside, first) or (len(inside) > 1 and first in _CLOSING):
            start, changed = start + 1, True
        elif _lacks_partner(inside, last) or last in _OPENING:
            end, changed = end - 1, True
        if changed:
            start, end = _stripped(text, start, end)
    return _completed(text, start, end)


def _completed(text: str, start: int, end: int) -> tuple[int, int]:
    """Take in the partner of an inner bracket where it stands just outside: "Lands (Generaliteit" grows by ")"."""
    inside = text[start:end]
    for opening, closing in zip(_OPENING, _CLOSING, strict=True):
        surplus = inside.count(opening) - inside.count(closing)
        if surplus == 1 and text[end : end + 1] == closing:
            return start, end + 1
        if surplus == -1 and text[start - 1 : start] == opening:
            return start - 1, end
    return start, end


def _lacks_partner(inside: str, mark: str) -> bool:
    if mark == '"':
        return inside.count(mark) % 2 == 1
    for opening, closing in zip(_OPENING, _CLOSING, strict=True):
        if mark in (opening, closing):
            return inside.count(opening) != inside.count(closing)
    return False


def _said(text: str) -> str:
    # The point of 3.6 and the minus of -5 are not punctuation: without them two numbers would be one.
    folded = text.casefold()
    plain = "".join(
        char
        for place, char in enumerate(folded)
        if char not in string.punctuation or (char in ".-" and folded[place + 1 : place + 2].isdigit())
    )
    return " ".join(_ARTICLES.sub(" ", plain).split())


def _overlap(one: Candidate, other: Candidate) -> bool:
    return one.article_id == other.article_id and one.span.start < other.span.end and other.span.start < one.span.end
