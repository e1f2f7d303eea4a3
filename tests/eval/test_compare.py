import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from eval.compare import Fact, Side, compare, comparison_document
from eval.questions import Question
from eval.run_folder import PassageRef, PredictedQuestion, RankedPassage
from index.errors import DatasetError
from tests.eval.made import predicted


def answered(name: str, golds: tuple[str, ...], text: str, confidence: float) -> PredictedQuestion:
    return predicted(name, golds, [(text, confidence)] if text else [])


def side(
    predicted: Sequence[PredictedQuestion], min_confidence: float = 0.5, facts: Mapping[str, Any] | None = None
) -> Side:
    return Side(name="runs/x", predicted=predicted, min_confidence=min_confidence, facts=facts or {})


def test_each_run_is_scored_under_its_own_threshold() -> None:
    predicted = [answered(f"q{i}", ("x",), "x", confidence=i / 10) for i in range(10)]
    compared = compare(side(predicted, 0.2), side(predicted, 0.7))

    em = next(d for d in compared.differences if d.metric.name == "em")
    assert (em.a, em.b, em.only_a, em.only_b) == (0.8, 0.3, 5, 0)
    always = next(d for d in compared.differences if d.metric.name == "always_em")
    assert (always.a, always.b, always.p) == (1, 1, 1)
    assert [change.pair.a.question.question_id for change in compared.lost] == ["q2", "q3", "q4", "q5", "q6"]


def test_what_differs_in_run_json_is_named_by_its_path() -> None:
    a = {"inputs": {"settings": {"passages": 10, "split": "report", "oracle": False}}, "machine": {"cores": 2}}
    b = {"inputs": {"settings": {"passages": 1, "split": "report", "limit": 5}}, "machine": {"cores": 2}, "note": "new"}
    predicted = [answered("q", ("x",), "x", 0.9)]

    assert compare(side(predicted, facts=a), side(predicted, facts=b)).facts == (
        Fact(name="settings.passages", a="10", b="1"),
        Fact(name="settings.oracle", a="false", b=""),
        Fact(name="settings.limit", a="", b="5"),
        Fact(name="note", a="", b="new"),
    )


def test_a_metric_that_only_one_run_has_is_named_and_not_compared() -> None:
    predicted = [answered(f"q{i}", ("x",), "x", 0.6) for i in range(4)]
    compared = compare(side(predicted, 0.5), side(predicted, 0.9))

    assert compared.unmeasured == ("precision", "citation_valid", "citation_correct")
    assert not {d.metric.name for d in compared.differences} & set(compared.unmeasured)


def test_the_gate_fails_if_one_of_its_metrics_is_worse() -> None:
    questions = [answered(f"q{i}", ("x",), "x", 0.9) for i in range(30)]
    worse = [answered(f"q{i}", ("x",), "y" if i < 15 else "x", 0.9) for i in range(30)]

    compared = compare(side(questions), side(worse), gated=("answered", "f1"))
    assert compared.fails
    assert [gated.worse for gated in compared.gated] == [False, True]
    assert not compare(side(questions), side(worse), gated=("answered",)).fails
    assert not compare(side(questions), side(worse)).fails
    assert not compare(side(worse), side(questions), gated=("answered", "f1")).fails

    document = comparison_document(compared)
    assert document["gate"]["passed"] is False
    assert document["gate"]["metrics"][1]["least_loss"] == pytest.approx(compared.gated[1].least_loss, abs=1e-6)


def test_runs_that_only_retrieve_are_compared_by_what_they_found() -> None:
    def ranked(name: str, gold_rank: int) -> PredictedQuestion:
        passages = tuple(
            RankedPassage(place=PassageRef(f"a{rank}", 0, 9), retrieval_score=0.5, grade=grade, holds_answer=False)
            for rank, grade in enumerate([0] * (gold_rank - 1) + [1] + [0] * (6 - gold_rank), start=1)
        )
        return PredictedQuestion(
            question=Question(question_id=name, question="?", answers=(), article_ids=(f"a{gold_rank}",)),
            candidates=(),
            no_answer_probability=1.0,
            passages=passages,
            gold_grades=(1,),
            gold_passages=(),
            citation_valid=None,
        )

    a = [ranked(f"q{i}", 1) for i in range(20)]
    b = [ranked(f"q{i}", 6 if i < 12 else 2) for i in range(20)]
    same_golds = [dataclasses.replace(found, question=p.question) for found, p in zip(b, a, strict=True)]

    compared = compare(side(a), side(same_golds), gated=("success@5", "success@10"))
    assert [(gated.difference.change.value, gated.worse) for gated in compared.gated] == [(-0.6, True), (0, False)]
    assert "f1" not in {d.metric.name for d in compared.differences}
    assert (compared.won, compared.lost) == ((), ())
    with pytest.raises(DatasetError, match="'f1' cannot be gated"):
        compare(side(a), side(same_golds), gated=("f1",))
