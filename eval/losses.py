"""Where the loss comes from: 1 - F1 of every question, split into four causes that add up to it exactly.

Convention: what the best candidate lacks even when it is given counts as missed: by retrieval if no gold passage was
read, else by the reader. What abstaining takes away on top counts as wrongly refused. An answer to an unanswerable
question counts as wrongly answered. Pitfall: a mended cause does not give back all of its share; a question whose gold
passage is found may still be missed by the reader.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from eval.answer_metrics import normalise_answer
from eval.outcomes import Floats, Outcomes
from eval.run_folder import PredictedQuestion
from index.errors import DatasetError

RETRIEVAL_MISSED, READER_MISSED = "retrieval missed", "reader missed"
WRONGLY_REFUSED, WRONGLY_ANSWERED = "wrongly refused", "wrongly answered"
CAUSES = (RETRIEVAL_MISSED, READER_MISSED, WRONGLY_REFUSED, WRONGLY_ANSWERED)

QUESTION_WORDS = ("who", "what", "when", "where", "which", "why", "how many", "how much", "how long", "how", "other")
ANSWER_LENGTHS = ("1", "2", "3–4", "5–8", "9+", "no answer")

_QUESTION_WORD = re.compile(r"\b(how (?:many|much|long)|how|who|what|when|where|which|why)(?:m|se|'?s|'re)?\b")


def loss_parts(predicted: Sequence[PredictedQuestion], outcomes: Outcomes) -> Mapping[str, Floats]:
    """The loss of each question by cause, `(n_questions,)` in [0, 1]; over the causes they sum to 1 - F1.

    All are NaN for a question that only retrieval counts for.

    Raises:
        DatasetError: the outcomes are of other questions.
    """
    if len(predicted) != len(outcomes):
        raise DatasetError(f"{len(predicted)} predictions and {len(outcomes)} outcomes: give those of one run")
    f1 = outcomes["f1"]
    nothing = 0 * f1  # NaN where F1 is
    answerable = outcomes["answerable"] == 1
    found = np.array([found_by_retrieval(p) for p in predicted], dtype=np.bool_)
    # Where every gold normalises to nothing, abstaining can be better than the best candidate.
    within_reach = np.where(answerable, np.fmax(outcomes["always_f1"], f1), 1.0)
    return {
        RETRIEVAL_MISSED: np.where(found, nothing, nothing + 1 - within_reach),
        READER_MISSED: np.where(found, nothing + 1 - within_reach, nothing),
        WRONGLY_REFUSED: np.where(answerable, within_reach - f1, nothing),
        WRONGLY_ANSWERED: np.where(answerable, nothing, 1 - f1),
    }


def found_by_retrieval(predicted: PredictedQuestion) -> bool:
    """Whether a gold passage was read; where the gold articles are unknown, a passage that holds a gold text."""
    if predicted.question.article_ids:
        return any(passage.grade > 0 for passage in predicted.passages)
    return any(passage.holds_answer for passage in predicted.passages)


def main_causes(parts: Mapping[str, Floats]) -> list[str]:
    """The cause with the largest part of each question's loss; empty where nothing was lost, or nothing counts."""
    columns = np.array([parts[cause] for cause in CAUSES])
    return [
        CAUSES[cause] if loss > 0 else ""
        for cause, loss in zip(columns.argmax(axis=0), columns.max(axis=0), strict=True)
    ]


def question_word(question: str) -> str:
    """The first of `QUESTION_WORDS` that stands in the question, wherever; "other" where there is none."""
    found = _QUESTION_WORD.search(" ".join(question.lower().replace("’", "'").split()))
    return found[1] if found else "other"


def answer_length(golds: Sequence[str]) -> str:
    """The class of `ANSWER_LENGTHS` of the shortest gold, in the tokens that EM and F1 see."""
    lengths = [n for gold in golds if (n := len(normalise_answer(gold).split()))]
    if not lengths:
        return "no answer"
    shortest = min(lengths)
    if shortest <= 2:
        return str(shortest)
    return "3–4" if shortest <= 4 else "5–8" if shortest <= 8 else "9+"
