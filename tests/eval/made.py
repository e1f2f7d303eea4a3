"""Predicted questions for the tests of scores and reports."""

from collections.abc import Sequence

from eval.questions import Question
from eval.run_folder import PassageRef, PredictedCandidate, PredictedQuestion, RankedPassage

UNREAD = PassageRef("a", 9000, 9100)
"""The gold passage of an answerable question that read none."""


def predicted(
    name: str,
    golds: Sequence[str],
    given: Sequence[tuple[str, float]],
    *,
    passages_gold: Sequence[bool] = (),
    question_type: str = "",
    hard: Sequence[str] = (),
    split: str = "",
    cited: str = "a",
    citation_valid: bool = True,
) -> PredictedQuestion:
    """A question with its golds, and the texts with their confidences that were predicted, best first.

    The answer stands in article "a", of whose passages those named by `passages_gold` hold a gold text.
    """
    passages = tuple(_passage(rank, gold=gold) for rank, gold in enumerate(passages_gold))
    gold_passages = tuple(passage.place for passage in passages if passage.grade) or ((UNREAD,) if golds else ())
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
        candidates=tuple(_candidate(text, confidence, cited) for text, confidence in given),
        no_answer_probability=max(0.0, 1 - sum(confidence for _, confidence in given)),
        passages=passages,
        gold_grades=(1,) * len(gold_passages),
        gold_passages=gold_passages,
        citation_valid=citation_valid if given else None,
    )


def ranked(name: str, judged: dict[str, int], articles: Sequence[str]) -> PredictedQuestion:
    """A question of a retrieval-only dataset: the grades of relevant articles, and the articles that were ranked."""
    return PredictedQuestion(
        question=Question(
            question_id=name,
            question=f"{name}?",
            answers=(),
            article_ids=tuple(judged),
            grades=tuple(judged.values()),
        ),
        candidates=(),
        no_answer_probability=1.0,
        passages=tuple(
            RankedPassage(
                place=PassageRef(article_id, 0, 100),
                retrieval_score=1 - rank / 1000,
                grade=judged.get(article_id, 0),
                holds_answer=False,
            )
            for rank, article_id in enumerate(articles)
        ),
        gold_grades=tuple(sorted(judged.values(), reverse=True)),
        gold_passages=(),
        citation_valid=None,
    )


def _passage(rank: int, *, gold: bool) -> RankedPassage:
    return RankedPassage(
        place=PassageRef("a", 100 * rank, 100 * rank + 100),
        retrieval_score=1 - rank / 1000,
        grade=int(gold),
        holds_answer=gold,
    )


def _candidate(text: str, confidence: float, article_id: str) -> PredictedCandidate:
    return PredictedCandidate(
        text=text,
        confidence=confidence,
        article_id=article_id,
        start=0,
        end=len(text),
        margin=1.0,
        log_probability=-0.1,
        retrieval_score=0.5,
    )
