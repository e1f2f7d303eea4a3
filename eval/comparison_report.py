"""Two runs side by side as one HTML file for people: every metric, and every question won or lost with its passages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.compare import Comparison, Side
from eval.gate import reason
from eval.page import page_template
from eval.pairs import CHANGED_BY, Change
from eval.run_folder import PassageInText, PassageRef, PredictedQuestion
from eval.wrong_answers import MarkedPassage, shown_passages


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAnswer:
    """What one run made of a question; `given` is empty where it refused, `best` its best candidate, given or not."""

    given: str
    best: str
    confidence: float
    f1: float
    passages: Sequence[MarkedPassage]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """A question won or lost, with both answers."""

    question_id: str
    question: str
    golds: Sequence[str]
    a: ShownAnswer
    b: ShownAnswer


def comparison_page(
    compared: Comparison,
    passages_a: Mapping[PassageRef, PassageInText],
    passages_b: Mapping[PassageRef, PassageInText],
) -> str:
    """The page, in HTML, which needs nothing else; `passages_a` and `passages_b` are each run's passages in words."""

    def shown(changed: Sequence[Change]) -> list[ShownChange]:
        return [_shown_change(change, compared, passages_a, passages_b) for change in changed]

    return page_template("comparison.html.jinja").render(
        compared=compared,
        reasons=[(gated, reason(gated)) for gated in compared.gated],
        changed=[("Lost", "fell", shown(compared.lost)), ("Won", "rose", shown(compared.won))],
        changed_by=CHANGED_BY,
    )


def _shown_change(
    change: Change,
    compared: Comparison,
    passages_a: Mapping[PassageRef, PassageInText],
    passages_b: Mapping[PassageRef, PassageInText],
) -> ShownChange:
    question = change.pair.a.question
    return ShownChange(
        question_id=question.question_id,
        question=question.question,
        golds=question.answers,
        a=_shown_answer(change.pair.a, change.f1_a, compared.a, passages_a),
        b=_shown_answer(change.pair.b, change.f1_b, compared.b, passages_b),
    )


def _shown_answer(
    p: PredictedQuestion, f1: float, side: Side, passages: Mapping[PassageRef, PassageInText]
) -> ShownAnswer:
    return ShownAnswer(
        given=p.given(side.min_confidence),
        best=p.best_text,
        confidence=p.confidence,
        f1=f1,
        passages=shown_passages(p, passages),
    )
