"""What a span must not cut: words, numbers with their signs, days with their month, abbreviations.

A sign and a scale word change what a number says, so they belong to it; a noun does not: "33" in "33 soldiers" stays
"33". Units in words or letters are the reader's choice: on SQuAD's training part, where it left out "percent" the gold
did too 44 times of 50, and where it left out "km", "ft" and the like 24 times of 30. Either end of "2019–20" or of
"3–1" may be the answer, and so may the month or the year of a date. "984 whole, 31 cut" below: 984 golds of that part
hold what the rule keeps whole, 31 end inside it.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from index.passages import CharSpan
from index.records import MONTHS

_ERAS = r"BCE?|CE|AD|B\.C\.(?:E\.)?|C\.E\.|A\.D\."
_UNITS = "|".join(
    (
        r"[%‰¢€]",  # 1072 whole, 11 cut
        # 88 whole, 17 cut, after "in degrees Celsius, what ..."; kept, since "40" alone may be Fahrenheit.
        r"°(?:\s?[CF](?!\w))?",
        rf"(?:{_ERAS})(?!\w)",  # 359 whole, 7 cut
        r"(?:[ap]\.\s?m\.?|[ap]m|[AP]M)(?!\w)",  # 23 whole, 2 cut
    )
)
_SCALES = "hundred|thousand|million|billion|trillion|lakh|crore|bn|tn"  # 984 whole, 31 cut
# 225 whole, 3 cut. "A$87" is not "$87"; "US$87" is, and 16 of the 26 golds of which the reader left "US" out lack it.
_CURRENCY = r"(?:(?<!\w)(?!US\$)[A-Z]{1,3}\$|[$€£¥₹]|(?<!\w)(?:USD|EUR|GBP|Rs\.?)(?!\w))"
_NUMBER_WORD = (
    "(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-(?:one|two|three|four|five|six|seven|eight|nine))?"
    "|(?:thir|four|fif|six|seven|eigh|nine)teen|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
)
_QUANTITY = rf"""(?x)
    (?: (?:(?<!\w)[-−+])? {_CURRENCY} \s? [-−]? | (?<!\w) (?<!\w[.,]) [-−+]? )
    (?: \d{{1,3}} (?:[\u00a0\u2009\u202f]\d{{3}})+ (?!\d)     # 18 300 250, the blanks being no-break or narrow
    | \d{{1,2}} [/⁄] \d{{1,3}} (?:/\d{{2,4}})? (?![\d/⁄])     # 1/2, 9/11, 28/2/2020
    | \d+ (?:[.,:’']\d+)*                                     # 33, 3.6, 3,600, 3:30, 5'11
    | (?<![\w.]) \.\d+                                        # .308
    | (?i:{_NUMBER_WORD}) (?!\w) )
    (?:[\s-] (?i:{_SCALES}) (?!\w))*
    (?:\s? (?:{_UNITS}))?"""

_SHORT_MONTH = "(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
_LONG_MONTH = "|".join(MONTHS)
_MONTH = rf"(?:{_LONG_MONTH}|{_SHORT_MONTH}(?:\.|(?!\w)))"
_DAY = "(?:[12][0-9]|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_DAYS = rf"{_DAY}(?:[-–]{_DAY})?"
_NO_DAY = rf"\w|[.,:/]\d|\s?[%°]|\s(?i:{_SCALES})(?!\w)"  # "In March 10 million" counts, it does not date
_ABBREVIATION = (
    r"(?<![^\W\d_])(?:(?:[^\W\d_]\.)+[^\W\d_]\.?(?!\w)"  # U.S., p.m. (and 10p.m.), B.C.E
    rf"|(?:{_SHORT_MONTH}|Jr|Sr|Inc|Ltd|Co|Corp|St|Dr|Mr|Mrs|Ph\.D)\.)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A span that starts (ends) inside a match of `pattern` grows to the match's start (end) if `starts` (`ends`)."""

    pattern: re.Pattern[str]
    starts: bool = True
    ends: bool = True


_NUMBERS = _Rule(pattern=re.compile(_QUANTITY))
_RULES = (
    _NUMBERS,
    _Rule(pattern=re.compile(_ABBREVIATION)),
    # A day is never without its month, a month may be without its day: 618 and 122 whole, 6 and 4 cut.
    _Rule(pattern=re.compile(rf"(?<!\w){_MONTH}\s{_DAYS}(?!{_NO_DAY})"), ends=False),
    _Rule(pattern=re.compile(rf"(?<![\w.,:/]){_DAYS}\s(?:of\s)?{_MONTH}(?!\w)"), starts=False),
    # "O’Brien" and "don't", 91 whole and none cut; but "Erdoğan" of "Erdoğan's" is whole.
    _Rule(pattern=re.compile(r"(?<!\w)[^\W\d_]+['’](?!s(?!\w))[^\W\d_]+")),
    _Rule(pattern=re.compile(r"(?<!\w)[^\W\d_]+['’]s(?!\w)"), ends=False),
    # "4th century BC": 63 whole, 6 cut.
    _Rule(pattern=re.compile(rf"(?<!\w)centur(?:y|ies)\s(?:{_ERAS})(?!\w)"), starts=False),
)
_ENDS_ABBREVIATED = re.compile(rf"(?:{_ABBREVIATION})$")


def whole(text: str, span: CharSpan) -> CharSpan:
    """The span, grown at either end until it cuts nothing."""
    start, end = span.start, span.end
    while True:
        first, last = _whole_words(text, start, end)
        for match, rule in _matches(text):
            if rule.starts and match.start < first < match.end:
                first = match.start
            if rule.ends and match.start < last < match.end:
                last = match.end
        if (first, last) == (start, end):
            return CharSpan(start, end)
        start, end = first, last


def starts_number(text: str, place: int) -> bool:
    """Whether the character at `place` is the sign of a number, as in "-40" or ".308"."""
    return any(match.start == place for match, rule in _matches(text) if rule is _NUMBERS)


def ends_abbreviated(text: str) -> bool:
    """Whether the text ends in an abbreviation that has its full stop."""
    return text.endswith(".") and _ENDS_ABBREVIATED.search(text) is not None


@lru_cache(maxsize=32)
def _matches(text: str) -> tuple[tuple[CharSpan, _Rule], ...]:
    """All that the rules find. Cached: the spans of a passage are tidied one after another."""
    return tuple((CharSpan(*match.span()), rule) for rule in _RULES for match in rule.pattern.finditer(text))


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and _is_word(text[start - 1]) and _is_word(text[start]):
        start -= 1
    while end < len(text) and _is_word(text[end - 1]) and _is_word(text[end]):
        end += 1
    return start, end


def _is_word(char: str) -> bool:
    return char.isalnum() or (not char.isspace() and not char.isprintable()) or unicodedata.category(char)[0] == "M"
