"""How well the gold passages were found, one question at a time; the figure of a run is the mean over its questions.

`grades` are the relevance grades of the retrieved passages in order of rank; a passage is gold if its grade is above 0.
Convention: all are those of trec_eval. A ranking shorter than k is scored as it is, and what was not found counts as 0.
A question without gold passages counts for none of them: leave it out (recall and nDCG, which know, are NaN).
Pitfall: success@k, recall@k and answer recall@k are three different numbers under similar names; papers on open-domain
answering often call the last one "recall" or "top-k accuracy".
"""

import math
from collections.abc import Sequence

from eval.questions import Question
from index.records import StoredPassage


def success_at(k: int, grades: Sequence[int]) -> float:
    """Success@k: 1.0 if a gold passage is among the first `k`, else 0.0.

    Pitfall: one found is enough, so for questions with several gold passages it is kinder than recall@k.
    """
    return float(any(grade > 0 for grade in grades[:k]))


def recall_at(k: int, grades: Sequence[int], n_gold: int) -> float:
    """Recall@k, in [0, 1]: the share of the `n_gold` gold passages of the archive that are among the first `k`.

    NaN if there are none. Pitfall: with more than k gold passages even the best ranking stays below 1.
    """
    return sum(grade > 0 for grade in grades[:k]) / n_gold if n_gold else math.nan


def reciprocal_rank_at(k: int, grades: Sequence[int]) -> float:
    """RR@k, in [0, 1]: 1 / rank of the first gold passage, 0.0 if none is among the first `k`; its mean is MRR@k.

    Pitfall: only the first gold passage counts, and the step from rank 1 to 2 as much as all the rest.
    """
    return next((1 / rank for rank, grade in enumerate(grades[:k], start=1) if grade > 0), 0.0)


def ndcg_at(k: int, grades: Sequence[int], gold_grades: Sequence[int]) -> float:
    """NDCG@k, in [0, 1]: DCG@k, the sum of grade / log2(rank + 1), over that of the best possible ranking.

    `gold_grades` are the grades of everything relevant in the archive, in any order; NaN if there is none.
    Convention: linear gain (Järvelin and Kekäläinen 2002), as in trec_eval and BEIR. Pitfall: others take the gain
    2^grade - 1 (Burges et al. 2005). For grades 0 and 1 the two agree; for graded gold they cannot be compared.
    """
    best = _dcg(sorted(gold_grades, reverse=True)[:k])
    return _dcg(grades[:k]) / best if best else math.nan


def _dcg(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1) if grade > 0)


def answer_recall_at(k: int, holding: Sequence[bool]) -> float:
    """Answer recall@k: 1.0 if one of the first `k` passages holds a gold text, of whatever article, else 0.0.

    `holding` says of each passage, in order of rank, whether it does (`holds_answer`).
    Source: Chen et al. 2017 (DrQA). Pitfall: a short gold ("33") stands in many passages that do not answer the
    question, so this is too kind, and (but for copies) never below success@k. It bounds what a reader of k passages can
    reach.
    """
    return float(any(holding[:k]))


def is_gold(passage: StoredPassage, question: Question) -> bool:
    """Whether the passage is of a gold article and holds one of the gold texts."""
    return passage.article_id in question.article_ids and holds_answer(passage.text, question.answers)


def holds_answer(text: str, answers: Sequence[str]) -> bool:
    r"""Whether one of the gold texts stands in `text` between word boundaries, character by character the same.

    A word is what the regular expression `\w+` takes. No regular expression is used: compiling one for each of 10,000
    questions costs more than all the searching.
    """
    return any(_stands_in(text, answer) for answer in answers)


def _stands_in(text: str, answer: str) -> bool:
    start = text.find(answer) if answer else -1
    while start >= 0:
        end = start + len(answer)
        # Slices, for at either end of the text they are empty, and no word goes on there.
        if not (_is_word(text[start - 1 : start]) or _is_word(text[end : end + 1])):
            return True
        start = text.find(answer, start + 1)
    return False


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
