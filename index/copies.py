"""Near-identical passages: what makes two of them copies, and the bands by which copies are found.

A copy says the same in nearly the same words: an agency's report as another paper printed it. One that says 34 killed
instead of 33 is none, however little differs: who checks facts must see both.
"""

import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SHINGLE_WORDS = 5
LEAST_WORDS = 8
"""A shorter passage is a copy of nothing: it is a byline or a heading."""
LEAST_JACCARD = 0.8
"""Of runs of five words: of 140 words, some ten in a row may differ, or three here and there. At 0.7 passages of the
seeds whose first sentence was written anew would be copies, and what only one of two says would be hidden."""
N_BANDS = 8
BAND_ROWS = 4
"""Two passages share a band with a probability of 1 - (1 - J^4)^8: 0.985 at a Jaccard similarity J of 0.8, 0.9998 at
0.9. Of 4,000 paragraphs of SQuAD train and a changed version of each: 0.989 from 0.8 to 0.85, above 0.999 beyond."""

_WORD = re.compile(r"(?<!\w)[-−]?\d+(?:[.,:]\d+)*\w*|\w+|[$€£¥₹₽₺%‰°]")
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion "
    "hundreds thousands millions billions trillions dozen dozens once twice half quarter first second third fourth "
    "fifth sixth seventh eighth ninth tenth percent $ € £ ¥ ₹ ₽ ₺ % ‰ °"
)
_NEGATIONS = "no not never none nobody nothing nor neither without cannot t"  # "t" ends "didn't"
_FACTS = frozenset(f"{_NUMBERS} {_NEGATIONS}".split())

# Made from a name and not drawn: a generator of random numbers may give others in its next version.
_DRAWN = np.frombuffer(hashlib.shake_256(b"quoth copies").digest(2 * 8 * N_BANDS * BAND_ROWS), dtype="<u8")
_FACTORS, _SUMMANDS = _DRAWN[::2, None] | np.uint64(1), _DRAWN[1::2, None]
_POWERS = [np.uint64(0x9E3779B97F4A7C15**i % 2**64) for i in range(SHINGLE_WORDS)]


@dataclass(frozen=True, kw_only=True)  # no slots: what is computed is kept
class Wording:
    """What is compared of a passage: `tokens` are its words and figures, `words` the same with case folded."""

    tokens: Sequence[str]
    words: Sequence[str]

    @classmethod
    def of(cls, text: str) -> "Wording":
        """The wording of a text; punctuation is left out."""
        tokens = _WORD.findall(text)
        return cls(tokens=tokens, words=[token.casefold() for token in tokens])

    @cached_property
    def facts(self) -> list[str]:
        """Numbers, currencies and negations, in order."""
        return [word for word in self.words if word in _FACTS or any(char.isdigit() for char in word)]

    @cached_property
    def shingles(self) -> set[tuple[str, ...]]:
        """All runs of five words."""
        return set(zip(*(self.words[i:] for i in range(SHINGLE_WORDS)), strict=False))

    def is_copy_of(self, other: "Wording") -> bool:
        """Whether the two say the same in nearly the same words; symmetric, but not transitive.

        Both have the same facts in the same order; all names of one are names of the other, in the same order (a place
        line may be added, no name exchanged); and the Jaccard similarity of their shingles is at least `LEAST_JACCARD`.
        """
        if min(len(self.words), len(other.words)) < LEAST_WORDS or self.facts != other.facts:
            return False
        n_shared = len(self.shingles & other.shingles)
        is_near = n_shared >= LEAST_JACCARD * (len(self.shingles) + len(other.shingles) - n_shared)
        return is_near and _have_same_names(self, other)

    def bands(self) -> list[int]:
        """The numbers of its bands, `N_BANDS` integers of 63 bits; none if it is too short to be a copy.

        MinHash (Broder, 1997) with multiply-shift hashing. The facts are part of each band, for only passages with the
        same facts are to be compared: of 18,896 paragraphs of SQuAD train, 17 pairs share a band and 9 are copies.

        A Library stores them: with other numbers for the same text, no copy of what it holds would be found. The
        hashes of rensa and datasketch change between versions (0.5 and 2.0 did it), so they are computed here.
        """
        if len(self.words) < LEAST_WORDS:
            return []
        words = np.array([zlib.crc32(word.encode()) for word in self.words], dtype=np.uint64)
        runs = np.lib.stride_tricks.sliding_window_view(words, SHINGLE_WORDS)
        hashes = (runs * np.array(_POWERS)).sum(axis=1, dtype=np.uint64)
        minima = ((_FACTORS * hashes + _SUMMANDS) >> np.uint64(32)).min(axis=1).astype("<u4")
        facts = " ".join(self.facts).encode()
        return [_band(number, rows.tobytes() + facts) for number, rows in enumerate(minima.reshape(N_BANDS, -1))]


def distinct(ranking: Sequence[tuple[int, float]], families: Mapping[int, int]) -> list[tuple[int, float]]:
    """The ranking of (key, score) without passages whose family came before; keys without a family all stay."""
    first: dict[int, int] = {}
    for key, _ in ranking:
        if key in families:
            first.setdefault(families[key], key)
    return [(key, score) for key, score in ranking if key not in families or first[families[key]] == key]


def _band(number: int, content: bytes) -> int:
    digest = hashlib.blake2b(content, digest_size=8, salt=bytes([number])).digest()
    return int.from_bytes(digest, "little") >> 1


def _have_same_names(first: Wording, second: Wording) -> bool:
    """Whether the names of one, in their order, are among those of the other: capital words never written small."""
    small = {token for token in [*first.tokens, *second.tokens] if not token[0].isupper()}
    fewer, more = sorted((_names(first, small), _names(second, small)), key=len)
    rest = iter(more)
    return all(name in rest for name in fewer)


def _names(wording: Wording, small: set[str]) -> list[str]:
    pairs = zip(wording.tokens, wording.words, strict=True)
    return [word for token, word in pairs if token[0].isupper() and word not in small]
