import dataclasses

import pytest

from eval.outcomes import outcomes
from eval.pairs import changes, paired
from eval.run_folder import PredictedQuestion
from index.errors import DatasetError
from tests.eval.made import predicted


def answered(name: str, golds: tuple[str, ...], text: str, confidence: float = 0.9) -> PredictedQuestion:
    return predicted(name, golds, [(text, confidence)] if text else [])


A = [answered(name, ("ten ships",), "ten ships") for name in ("q1", "q2", "q3")]


def other(p: PredictedQuestion, **changed: object) -> PredictedQuestion:
    return dataclasses.replace(p, question=dataclasses.replace(p.question, **changed))  # type: ignore[arg-type]


def test_questions_are_paired_by_id_in_the_order_of_a() -> None:
    pairs = paired(A, [A[2], A[0], A[1]])
    assert [(pair.a.question.question_id, pair.b.question.question_id) for pair in pairs] == [
        ("q1", "q1"),
        ("q2", "q2"),
        ("q3", "q3"),
    ]


def test_other_questions_are_refused_with_their_number_and_one_name() -> None:
    with pytest.raises(DatasetError, match=r"1 are only in A, 2 only in B, 'q3' for one; .* --common"):
        paired(A, [*A[:2], answered("q4", (), ""), answered("q5", (), "")])


def test_the_common_questions_can_be_compared() -> None:
    pairs = paired(A, [A[1], answered("q9", (), "")], common=True)
    assert [pair.a.question.question_id for pair in pairs] == ["q2"]
    with pytest.raises(DatasetError, match="no question in common"):
        paired(A, [answered("q9", (), "")], common=True)
    with pytest.raises(DatasetError, match="no question in common"):
        paired([], [])


@pytest.mark.parametrize(
    ("field", "value"),
    [("question", "Who?"), ("answers", ("ten ships", "ten")), ("article_ids", ("b",)), ("grades", (2,))],
)
@pytest.mark.parametrize("common", [False, True])
def test_a_question_that_was_changed_is_refused(field: str, value: object, *, common: bool) -> None:
    b = [A[0], other(A[1], **{field: value}), A[2]]
    with pytest.raises(DatasetError, match=rf"1 questions have other '{field}' in B, 'q2' for one"):
        paired(A, b, common=common)


def test_tags_may_change() -> None:
    assert len(paired(A, [other(p, hard=("date",), split="report") for p in A])) == 3


def test_questions_won_and_lost_by_half_of_f1_most_changed_first() -> None:
    a = [
        answered("half", ("ten grey ships",), "ten"),  # F1 0.5
        answered("won", ("x",), "y"),
        answered("same", ("x",), "x"),
        answered("lost", ("x",), "x"),
        answered("lost half", ("ten ships",), "ten ships"),
        answered("refused", (), ""),
        answered("slightly", ("ten ships",), "ten ships"),
    ]
    b = [
        answered("half", ("ten grey ships",), "ten grey ships"),
        answered("won", ("x",), "x"),
        answered("same", ("x",), "x"),
        answered("lost", ("x",), "x", confidence=0.2),  # refused
        answered("lost half", ("ten ships",), "of ten big old grey steel ships"),  # 4 / 9, a loss of 5 / 9
        answered("refused", (), "wrong"),
        answered("slightly", ("ten ships",), "ten"),  # F1 2 / 3
    ]
    pairs = paired(a, b)
    won, lost = changes(pairs, outcomes(a, 0.5), outcomes(b, 0.5))

    assert [(c.pair.a.question.question_id, c.f1_a, c.f1_b) for c in won] == [("won", 0, 1), ("half", 0.5, 1)]
    assert [c.pair.a.question.question_id for c in lost] == ["lost", "refused", "lost half"]
    assert lost[2].f1_b == pytest.approx(4 / 9)
