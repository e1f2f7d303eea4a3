"""Texts made with the statistics of real ones: words as frequent, texts as long, and new words that keep coming."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK = 2048
"""Texts made at a time."""
TAIL = 1000
"""New words have ranks up to this many times the number of words that were read."""
_TERM = re.compile(r"\w+")
_SYLLABLES = [first + vowel for first in "bdfghklmnprstvz" for vowel in "aeiou"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Language:
    """What made texts are drawn from.

    `words` are what stands between blanks, in capitals and with punctuation as it was, most frequent first;
    `cumulative` is the share of text that a word and all before it make up, up to 1; `lengths` are those of the texts,
    in words; `unseen` is the probability that the next word is a new one.
    """

    words: NDArray[np.object_]
    cumulative: NDArray[np.float64]
    lengths: NDArray[np.int64]
    unseen: float


def language_of(texts: Sequence[str]) -> Language:
    """The language of some texts, which must hold a word.

    What is unseen has the share of the terms seen once (Good 1953, Turing's estimate): words without punctuation, in
    small letters, as an index takes them. Of all that stands between blanks twice as much would be new.
    """
    terms = Counter(term for text in texts for term in _TERM.findall(text.lower()))
    split = [text.split() for text in texts]
    counts = Counter(word for words in split for word in words).most_common()
    total = sum(count for _, count in counts)
    return Language(
        words=np.array([word for word, _ in counts], dtype=object),
        cumulative=np.cumsum([count for _, count in counts]) / total,
        lengths=np.array([len(words) for words in split if words]),
        unseen=sum(count == 1 for count in terms.values()) / max(terms.total(), 1),
    )


def made_texts(language: Language, n: int, *, seed: int) -> Iterator[list[str]]:
    """`n` made texts in chunks of at most `CHUNK`: a function of the language and the seed, and a shorter run is the
    beginning of a longer one.

    Each has the length of a real one, and its words are drawn one by one: no more of grammar or topic than their
    frequency. So a word lies in more texts than in a real archive, where it comes in bursts: searching costs rather
    more. New words follow Zipf's law beyond the rank of the rarest word read: as texts are made, fewer are new.
    """
    for chunk, begin in enumerate(range(0, n, CHUNK)):
        rng = np.random.default_rng([seed, chunk])
        lengths = language.lengths[rng.integers(len(language.lengths), size=CHUNK)]
        words = _drawn(language, int(lengths.sum()), rng)
        ends = np.cumsum(lengths)
        texts = [" ".join(words[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
        yield texts[: n - begin]


def _drawn(language: Language, n: int, rng: np.random.Generator) -> list[str]:
    rows = np.searchsorted(language.cumulative, rng.random(n), side="right")
    words: NDArray[np.object_] = language.words[np.minimum(rows, len(language.words) - 1)]
    new = np.flatnonzero(rng.random(n) < language.unseen)
    # Log-uniform ranks: density 1 / rank, which is Zipf's law.
    ranks = len(language.words) * TAIL ** rng.random(len(new))
    words[new] = [spelled(int(rank)) for rank in ranks]
    return list(words)


def spelled(number: int) -> str:
    """A word for a number above 0, pronounceable, another for each."""
    word = ""
    while number:
        number, digit = divmod(number, len(_SYLLABLES))
        word = _SYLLABLES[digit] + word
    return word
