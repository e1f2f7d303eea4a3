"""EM and F1 of answer texts, exactly as the official SQuAD v1.1 and v2.0 scripts define them.

Formula: both texts are lower-cased, ASCII punctuation is deleted, "a", "an", "the" become blanks, blanks are collapsed.
EM is 1 if they are then equal. F1 is the harmonic mean of precision and recall over the bags of blank-separated tokens.
The score of a question is the best over its golds. Convention: abstaining is the empty text; an unanswerable question
has the single gold "". Pitfall: the scripts part where a text is empty after normalising (the gold "A" loses its only
word). v1.1: such a gold counts, and F1 is then always 0. v2.0: it does not count, and F1 is 1 if both texts are empty.
Three questions of SQuAD 1.1 dev have such a gold; `version=1` follows the v1.1 script, everything else v2.0.
Pitfall: a question without a prediction scores 0 in v1.1 and is left out of the means in v2.0; Quoth always has one.
Source: Rajpurkar et al. 2016, 2018, evaluate-v1.1.py and evaluate-v2.0.py.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

RIGHT_F1 = 0.6
"""An answer counts as right from this F1 on: beside a gold "33", "33 soldiers" is right, by the annotators' chance."""
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = frozenset(string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single blanks: in this order, which matters."""
    plain = "".join(char for char in text.lower() if char not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(given: str, gold: str) -> float:
    """1.0 if the normalised texts are equal, else 0.0."""
    return float(normalise_answer(given) == normalise_answer(gold))


def f1(given: str, gold: str, *, version: int = 2) -> float:
    """Token F1 in [0, 1]; `version` 1 or 2 selects the script that is followed where both texts are empty."""
    given_tokens, gold_tokens = normalise_answer(given).split(), normalise_answer(gold).split()
    if version == 2 and (not given_tokens or not gold_tokens):
        return float(given_tokens == gold_tokens)
    n_common = sum((Counter(given_tokens) & Counter(gold_tokens)).values())
    if n_common == 0:
        return 0.0
    precision, recall = n_common / len(given_tokens), n_common / len(gold_tokens)
    return 2 * precision * recall / (precision + recall)


def best_over_golds(
    metric: Callable[[str, str], float], given: str, golds: Sequence[str], *, version: int = 2
) -> float:
    """The best score over the golds, as the script of that version takes it.

    In the v2.0 script, golds that normalise to nothing do not count, and a question without any other is scored against
    the empty answer. In the v1.1 script, every gold counts; it knows no question without one.
    """
    counting = golds if version == 1 else [gold for gold in golds if normalise_answer(gold)]
    return max(metric(given, gold) for gold in counting or [""])
