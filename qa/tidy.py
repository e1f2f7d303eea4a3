"""A span as the reader marked it becomes one to quote: nothing cut, no stray punctuation at its ends, no half pairs."""

import unicodedata

from index.passages import CharSpan
from qa.marks import opening_of, unpaired
from qa.wholes import ends_abbreviated, starts_number, whole

_STRAY = ",;:.!?…–—-−•*|/"


def tidy_span(text: str, span: CharSpan) -> CharSpan | None:
    """The span grown to whole words and numbers, less stray punctuation and half pairs; None if nothing is left.

    >>> tidy_span("It cost $3.6 million.", CharSpan(9, 12)).of("It cost $3.6 million.")
    '$3.6 million'
    """
    grown = whole(text, span)
    if not any(char.isalnum() for char in grown.of(text)):
        return None
    return _completed(text, _balanced(text, _stripped(text, grown)))  # none of which takes a letter or a digit


def _stripped(text: str, span: CharSpan) -> CharSpan:
    """Without blanks and stray punctuation at the ends; the sign of a number and the stop of an abbreviation stay."""
    start, end = span.start, span.end
    while _is_stray(text[start]) and not starts_number(text, start):
        start += 1
    while _is_stray(text[end - 1]) and not ends_abbreviated(text[start:end]):
        end -= 1
    return CharSpan(start, end)


def _is_stray(char: str) -> bool:
    # Of category C are marks of direction and the like, which nobody sees.
    return char in _STRAY or char.isspace() or unicodedata.category(char)[0] == "C"


def _balanced(text: str, span: CharSpan) -> CharSpan:
    """Without the brackets and quotation marks at the ends that lack their partner inside."""
    while True:
        lonely = unpaired(text, span.start, span.end)
        if span.start in lonely:
            span = _stripped(text, CharSpan(span.start + 1, span.end))
        elif span.end - 1 in lonely or _closes_outside(text, span):
            span = _stripped(text, CharSpan(span.start, span.end - 1))
        else:
            return span


def _closes_outside(text: str, span: CharSpan) -> bool:
    """Whether the span ends in a single mark that closes what was opened before it: no apostrophe as in "soldiers’"."""
    if text[span.end - 1] not in "'’":
        return False
    opening = opening_of(text, span.end - 1)
    return opening is not None and opening < span.start


def _completed(text: str, span: CharSpan) -> CharSpan:
    """With the partner of an inner mark where it stands just outside: "Lands (Generaliteit" grows by ")"."""
    if unpaired(text, span.start, span.end):
        for start, end in ((span.start, span.end + 1), (span.start - 1, span.end)):
            if start >= 0 and end <= len(text) and not unpaired(text, start, end):
                return CharSpan(start, end)
    return span
