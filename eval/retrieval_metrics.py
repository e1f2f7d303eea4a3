"""How well the gold passages were found.

success@k: 1 if any of the first k retrieved passages is a gold one, else 0; the mean over questions that have gold.
Convention: a passage is a gold one if it comes from a gold article and holds a gold answer's text at word boundaries.
Pitfall: recall@k, the share of the gold passages found, is a different number wherever a question has several.
"""

import re
from collections.abc import Sequence

from eval.datasets import Question
from index.records import StoredPassage


def success_at(k: int, gold_flags: Sequence[bool]) -> float:
    """1.0 if a gold passage is among the first `k`, else 0.0; `gold_flags` are in order of rank."""
    return float(any(gold_flags[:k]))


def is_gold(passage: StoredPassage, question: Question) -> bool:
    """Whether the passage is of a gold article and holds one of the gold texts."""
    if passage.article_id not in question.article_ids:
        return False
    return any(re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", passage.text) for gold in question.answers)
