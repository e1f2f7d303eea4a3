"""How a passage has a question's words: BM25 counts them, and does not see where they stand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from index.lexical import telling_words, words_of

NEAR_WORDS = 16
"""Words within so many are near together: about a sentence. 8, 16 and 32 are within noise (docs/adr/0010)."""
_SHARE, _NEAR, _PAIRS = 0.4, 0.3, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Shares in [0, 1] of the question's words in a passage, each word weighted by its rarity; higher is better.

    Of its telling words: `share` is what the heading or the body has, `near` what the best `NEAR_WORDS` words of the
    body have together. `pairs` is the share of the question's pairs of neighbouring words that are neighbours here too.
    """

    share: float
    near: float
    pairs: float

    @property
    def score(self) -> float:
        """The three as one, in [0, 1]; the weights are fitted on held-out questions (docs/adr/0010)."""
        return _SHARE * self.share + _NEAR * self.near + _PAIRS * self.pairs


class QuestionWords:
    """A question's words, ready to be looked for in passages."""

    def __init__(self, question: str, rarity: Callable[[str], float]) -> None:
        """`rarity` says how much a word as `words_of` gives it tells, > 0."""
        words = words_of(question)
        telling = telling_words(words)
        self._rarity = {word: rarity(word) for word in dict.fromkeys(words)}
        self._telling = frozenset(telling)
        # Two stop words side by side ("of the") stand everywhere.
        self._pairs = {pair for pair in pairwise(words) if not self._telling.isdisjoint(pair)}
        self._total = self._mass(telling)
        self._total_of_pairs = sum(self._mass(pair) for pair in self._pairs)

    def overlap(self, heading: str, body: str) -> Overlap:
        """How a passage, with its title and month as its heading, has them; a question without words is had by none."""
        in_heading, in_body = self._places(heading), self._places(body)
        had = self._telling.intersection(word for _, word in in_heading + in_body)
        pairs = self._pairs.intersection([*_neighbours(in_heading), *_neighbours(in_body)])
        return Overlap(
            share=_ratio(self._mass(had), self._total),
            near=_ratio(self._most_near(in_body), self._total),
            pairs=_ratio(sum(self._mass(pair) for pair in pairs), self._total_of_pairs),
        )

    def _places(self, text: str) -> list[tuple[int, str]]:
        """The question's words in a text, in order: at which word of it each stands, and the word."""
        return [(place, word) for place, word in enumerate(words_of(text)) if word in self._rarity]

    def _most_near(self, places: Sequence[tuple[int, str]]) -> float:
        telling = [(place, word) for place, word in places if word in self._telling]
        most = 0.0
        for i, (begin, _) in enumerate(telling):
            window = set()
            for place, word in telling[i:]:
                if place >= begin + NEAR_WORDS:
                    break
                window.add(word)
            most = max(most, self._mass(window))
        return most

    def _mass(self, words: Iterable[str]) -> float:
        return sum(self._rarity[word] for word in words)


def _neighbours(places: Sequence[tuple[int, str]]) -> list[tuple[str, str]]:
    return [(one, other) for (place, one), (next_place, other) in pairwise(places) if next_place == place + 1]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
