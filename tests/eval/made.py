"""Predicted questions for the tests of scores and reports."""

from collections.abc import Sequence

from eval.datasets import Question
from eval.runs import PredictedQuestion


def predicted(
    name: str,
    golds: Sequence[str],
    given: Sequence[tuple[str, float]],
    *,
    passages_gold: Sequence[bool] = (),
    question_type: str = "",
    hard: Sequence[str] = (),
    split: str = "",
) -> PredictedQuestion:
    """A question with its golds, and the texts with their confidences that were predicted, best first."""
    return PredictedQuestion(
        question=Question(
            question_id=name,
            question=f"{name}?",
            answers=tuple(golds),
            article_ids=("a",) if golds else (),
            type=question_type,
            hard=tuple(hard),
            split=split,
        ),
        texts=tuple(text for text, _ in given),
        confidences=tuple(confidence for _, confidence in given),
        article_ids=("a",) * len(given),
        passages_gold=tuple(passages_gold),
    )
