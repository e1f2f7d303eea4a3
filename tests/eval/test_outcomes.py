import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.outcomes import Outcomes, outcomes
from eval.run_folder import PredictedQuestion
from tests.eval.made import predicted, ranked

NAN = math.nan
LOG3 = math.log2(3)
ANSWERABLE_ONLY = {
    "has_answer_em", "has_answer_f1", "wrongly_refused", "always_em", "always_f1",
    "answer_recall@1", "answer_recall@5", "answer_recall@10",
}  # fmt: skip
RETRIEVAL = (
    "success@1", "success@5", "success@10", "recall@5", "recall@10", "recall@100", "mrr@10", "ndcg@10",
)  # fmt: skip


def row(p: PredictedQuestion, min_confidence: float = 0.5) -> dict[str, float]:
    """The outcomes of one question."""
    return {name: float(column[0]) for name, column in outcomes([p], min_confidence).columns.items()}


def same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found == pytest.approx(expected, nan_ok=True)


def refused(**changed: float) -> dict[str, float]:
    """The outcomes of a question that named no gold, gave no candidate and found nothing, but for what is changed."""
    nothing = {
        "em": 1.0, "f1": 1.0, "squad1_em": NAN, "squad1_f1": NAN,
        "has_answer_em": NAN, "has_answer_f1": NAN, "rightly_refused": 1.0,
        "wrongly_refused": NAN, "always_em": NAN, "always_f1": NAN, "best_em": 1.0, "best_f1": 1.0, "withheld": 1.0,
        "answerable": 0.0, "given": 0.0, "right": 0.0, "precision": NAN, "confidence": 0.0, "citation_valid": NAN,
        "citation_correct": NAN, **dict.fromkeys(RETRIEVAL, NAN), "answer_recall@1": NAN, "answer_recall@5": NAN,
        "answer_recall@10": NAN,
    }  # fmt: skip
    assert set(changed) <= set(nothing)
    return nothing | changed


FOUND_SECOND = {
    "success@1": 0.0, "success@5": 1.0, "success@10": 1.0, "recall@5": 1.0, "recall@10": 1.0, "mrr@10": 0.5,
    "ndcg@10": 1 / LOG3, "answer_recall@1": 0.0, "answer_recall@5": 1.0, "answer_recall@10": 1.0,
}  # fmt: skip
NOT_FOUND = dict.fromkeys(FOUND_SECOND, 0.0)


def test_an_answerable_question_that_is_answered_rightly() -> None:
    p = predicted("q", ["33", "thirty-three"], [("the 33!", 0.9), ("44", 0.1)], passages_gold=[False, True])
    expected = {
        "em": 1.0, "f1": 1.0, "squad1_em": 1.0, "squad1_f1": 1.0,
        "has_answer_em": 1.0, "has_answer_f1": 1.0, "rightly_refused": NAN,
        "wrongly_refused": 0.0, "always_em": 1.0, "always_f1": 1.0, "best_em": 1.0, "best_f1": 1.0, "withheld": 0.0,
        "answerable": 1.0, "given": 1.0, "right": 1.0, "precision": 1.0, "confidence": 0.9, "citation_valid": 1.0,
        "citation_correct": 1.0, **FOUND_SECOND,
    }  # fmt: skip
    same(row(p), refused(**expected))


def test_an_answerable_question_that_is_answered_wrongly() -> None:
    # 1 of 4 tokens given, 1 of 2 of the gold's: F1 is 2 x 1 / (4 + 2).
    p = predicted(
        "q", ["Suez Canal"], [("Suez or Port Said", 0.5)], passages_gold=[False] * 12, cited="b", citation_valid=False
    )
    third = 1 / 3
    expected = {
        "em": 0.0, "f1": third, "squad1_em": 0.0, "squad1_f1": third,
        "has_answer_em": 0.0, "has_answer_f1": third, "rightly_refused": NAN,
        "wrongly_refused": 0.0, "always_em": 0.0, "always_f1": third, "best_em": 0.0, "best_f1": third,
        "withheld": 0.0, "answerable": 1.0, "given": 1.0, "right": 0.0, "precision": 0.0, "confidence": 0.5,
        "citation_valid": 0.0, "citation_correct": 0.0, **NOT_FOUND,
    }  # fmt: skip
    same(row(p), refused(**expected))


def test_an_answerable_question_that_is_refused() -> None:
    p = predicted("q", ["Suez Canal"], [("canal", 0.49)], passages_gold=[False, True])
    two_thirds = 2 / 3
    expected = {
        "em": 0.0, "f1": 0.0, "squad1_em": 0.0, "squad1_f1": 0.0,
        "has_answer_em": 0.0, "has_answer_f1": 0.0, "rightly_refused": NAN,
        "wrongly_refused": 1.0, "always_em": 0.0, "always_f1": two_thirds, "best_em": 0.0, "best_f1": two_thirds,
        "withheld": 0.0, "answerable": 1.0, "given": 0.0, "right": 1.0, "precision": NAN, "confidence": 0.49,
        "citation_valid": NAN, "citation_correct": NAN, **FOUND_SECOND,
    }  # fmt: skip
    same(row(p), refused(**expected))


def test_an_answerable_question_without_candidates() -> None:
    expected = {
        "em": 0.0, "f1": 0.0, "squad1_em": 0.0, "squad1_f1": 0.0,
        "has_answer_em": 0.0, "has_answer_f1": 0.0, "rightly_refused": NAN,
        "wrongly_refused": 1.0, "always_em": 0.0, "always_f1": 0.0, "best_em": 0.0, "best_f1": 0.0, "withheld": 0.0,
        "answerable": 1.0, **NOT_FOUND,
    }  # fmt: skip
    same(row(predicted("q", ["Suez Canal"], []), 0.0), refused(**expected))


def test_an_unanswerable_question() -> None:
    quiet = predicted("q", [], [("Lima", 0.2)], passages_gold=[False, False])
    same(row(quiet), refused(confidence=0.2, best_em=0.0, best_f1=0.0))
    loud = {"em": 0.0, "f1": 0.0, "rightly_refused": 0.0, "best_em": 0.0, "best_f1": 0.0, "given": 1.0}
    same(row(quiet, 0.2), refused(**loud, confidence=0.2, precision=0.0, citation_valid=1.0))
    same(row(predicted("q", [], []), 0.0), refused())


def test_a_given_text_that_normalises_to_nothing() -> None:
    # The official v2.0 script scores what was given against the gold "", and "The" is "" to it.
    unanswerable = row(predicted("q", [], [("The", 0.9)]))
    assert (unanswerable["em"], unanswerable["f1"]) == (1.0, 1.0)
    assert (unanswerable["given"], unanswerable["rightly_refused"], unanswerable["precision"]) == (1.0, 0.0, 0.0)
    # Where it looks for the best threshold, it takes any text for a wrong answer.
    assert (unanswerable["best_em"], unanswerable["best_f1"]) == (0.0, 0.0)
    answerable = row(predicted("q", ["33"], [("The", 0.9)]))
    assert (answerable["em"], answerable["f1"], answerable["given"], answerable["right"]) == (0.0, 0.0, 1.0, 0.0)


def test_a_gold_that_normalises_to_nothing() -> None:
    # Beside others it does not count; alone, the question is scored against "", though it has an answer.
    both = row(predicted("q", ["A", "33"], [("a", 0.9)]))
    assert (both["em"], both["always_em"]) == (0.0, 0.0)
    alone = predicted("q", ["A"], [("the", 0.6)])
    found = row(alone)
    assert (found["em"], found["f1"], found["answerable"], found["right"], found["given"]) == (1.0,) * 5
    shy = row(alone, 0.7)
    assert (shy["em"], shy["has_answer_em"], shy["wrongly_refused"], shy["withheld"]) == (1.0, 1.0, 1.0, 0.0)
    assert row(predicted("q", ["A"], [("33", 0.6)]))["em"] == 0.0


def test_the_v1_script_counts_every_gold_and_knows_no_question_without_one() -> None:
    found = row(predicted("q", ["A", "33"], [("a", 0.9)]))
    assert (found["squad1_em"], found["squad1_f1"], found["em"]) == (1.0, 0.0, 0.0)
    half = row(predicted("q", ["33"], [("33 dead men", 0.9)]))
    assert (half["squad1_em"], half["squad1_f1"]) == (0.0, 0.5)
    answerable, unanswerable = predicted("q", ["33"], [("33", 0.9)]), predicted("u", [], [])
    assert outcomes([answerable] * 2, 0.5)["squad1_em"].tolist() == [1.0, 1.0]
    assert np.isnan(outcomes([answerable, unanswerable], 0.5)["squad1_em"]).all()
    assert np.isnan(outcomes([answerable, ranked("r", {"x": 1}, [])], 0.5)["squad1_f1"]).all()


@pytest.mark.parametrize(("given_text", "f1", "right"), [("33 dead men", 0.5, 0), ("33 dead", 2 / 3, 1)])
def test_right_is_what_shares_most_of_its_words(given_text: str, f1: float, right: int) -> None:
    found = row(predicted("q", ["33"], [(given_text, 0.9)]))
    assert found["f1"] == pytest.approx(f1)
    assert found["em"] == 0.0
    assert (found["right"], found["precision"]) == (right, right)


def test_where_the_gold_articles_are_unknown() -> None:  # Natural Questions-open
    p = predicted("q", ["33"], [("33", 0.9)], passages_gold=[False, False])
    question = replace(p.question, article_ids=())
    held = tuple(replace(passage, holds_answer=rank == 1) for rank, passage in enumerate(p.passages))
    found = row(replace(p, question=question, passages=held, gold_grades=(), gold_passages=()))
    assert (found["em"], found["right"], found["given"], found["citation_valid"]) == (1.0, 1.0, 1.0, 1.0)
    assert math.isnan(found["citation_correct"])
    assert all(math.isnan(found[name]) for name in RETRIEVAL)
    assert [found[f"answer_recall@{k}"] for k in (1, 5, 10)] == [0.0, 1.0, 1.0]


def test_where_only_articles_are_judged() -> None:  # BEIR
    p = ranked("q", {"x": 3, "y": 1, "z": 1}, ["u", "y", *(f"u{i}" for i in range(20)), "x"])
    best = 3 + 1 / LOG3 + 1 / 2
    expected = {
        "success@1": 0.0, "success@5": 1.0, "success@10": 1.0, "recall@5": 1 / 3, "recall@10": 1 / 3,
        "recall@100": 2 / 3, "mrr@10": 0.5, "ndcg@10": (1 / LOG3) / best,
    }  # fmt: skip
    found = row(p)
    same({name: found[name] for name in expected}, expected)
    assert {name for name, value in found.items() if not math.isnan(value)} == set(expected)


def test_a_hundred_are_ranked_only_where_nothing_is_read() -> None:
    found = row(predicted("q", ["33"], [("33", 0.9)], passages_gold=[True] * 3))
    assert found["recall@10"] == 1.0
    assert math.isnan(found["recall@100"])


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (1, (1, 1, 1, 1, 1, 1)),
        (5, (0, 1, 1, 1 / 5, 1 / math.log2(6), 1)),
        (6, (0, 0, 1, 1 / 6, 1 / math.log2(7), 0)),
        (10, (0, 0, 1, 1 / 10, 1 / math.log2(11), 0)),
        (11, (0, 0, 0, 0, 0, 0)),
    ],
)
def test_where_the_gold_passage_stands(place: int, expected: Sequence[float]) -> None:
    found = row(predicted("q", ["33"], [], passages_gold=[rank == place for rank in range(1, 13)]))
    columns = ("success@1", "success@5", "success@10", "mrr@10", "ndcg@10", "answer_recall@5")
    assert [found[name] for name in columns] == pytest.approx(expected)


def test_gold_passages_that_were_not_read_count_as_not_found() -> None:
    p = predicted("q", ["33"], [], passages_gold=[True, False])
    many = replace(p, gold_grades=(1,) * 4)
    found = row(many)
    ideal = 1 + 1 / LOG3 + 1 / 2 + 1 / math.log2(5)
    assert [found[name] for name in ("recall@5", "success@1", "ndcg@10")] == pytest.approx([1 / 4, 1.0, 1 / ideal])


QUESTIONS = [
    predicted("right", ["33"], [("33", 0.9)], passages_gold=[True]),
    predicted("silent", [], [("Lima", 0.2)]),
    predicted("lost", ["Peru"], []),
    ranked("judged", {"x": 1}, ["x"]),
]


def test_rows_are_the_questions_in_their_order() -> None:
    columns = outcomes(QUESTIONS, 0.5)
    assert len(columns) == 4
    for number, question in enumerate(QUESTIONS):
        alone = row(question) | {"squad1_em": NAN, "squad1_f1": NAN}  # not all of these questions have an answer
        same({name: float(columns[name][number]) for name in columns.columns}, alone)
    assert {column.dtype for column in columns.columns.values()} == {np.dtype(np.float64)}
    answerable = columns["answerable"] == 1
    for name in ANSWERABLE_ONLY:
        assert np.array_equal(~np.isnan(columns[name]), answerable), name


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.data())
def test_rows_that_are_taken_are_those_rows_in_every_column(rows: list[int], data: st.DataObject) -> None:
    columns = outcomes(QUESTIONS, 0.5)
    taken = columns.take(np.array(rows, dtype=np.int64))
    again = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=5))
    twice = taken.take(np.array(again, dtype=np.int64))
    assert (len(taken), len(twice)) == (len(rows), len(again))
    assert taken.columns.keys() == twice.columns.keys() == columns.columns.keys()
    for name, values in columns.columns.items():
        assert np.array_equal(taken[name], np.array([values[i] for i in rows]), equal_nan=True)
        assert np.array_equal(twice.columns[name], np.array([values[rows[i]] for i in again]), equal_nan=True)


def test_a_column_that_is_not_there_is_an_error() -> None:
    columns = Outcomes({"em": np.zeros(3)})
    for found in (columns, columns.take(np.array([0, 2]))):
        with pytest.raises(KeyError, match="f1"):
            found["f1"]
