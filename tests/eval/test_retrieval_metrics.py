import math
import re
from collections.abc import Callable

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, Measure, Qrel, R, ScoredDoc, Success, nDCG

from eval.questions import Question
from eval.retrieval_metrics import (
    answer_recall_at,
    holds_answer,
    is_gold,
    ndcg_at,
    recall_at,
    reciprocal_rank_at,
    success_at,
)
from index.passages import CharSpan
from index.records import StoredPassage


@pytest.mark.parametrize(
    ("k", "grades", "expected"),
    [
        (1, [1], 1.0),
        (1, [0, 1], 0.0),
        (2, [0, 1], 1.0),
        (5, [0, 3, 1], 1.0),
        (5, [0] * 5 + [1], 0.0),
        (6, [0] * 5 + [1], 1.0),
        (10, [], 0.0),
        (10, [0], 0.0),
    ],
)
def test_success_is_any_gold_among_the_first_k(k: int, grades: list[int], expected: float) -> None:
    assert success_at(k, grades) == expected


@pytest.mark.parametrize(
    ("k", "grades", "n_gold", "expected"),
    [
        (1, [1], 1, 1.0),
        (2, [0, 1, 1], 4, 0.25),
        (3, [0, 2, 1], 4, 0.5),
        (10, [0, 1], 2, 0.5),
        (10, [], 3, 0.0),
        (2, [1, 1, 1], 3, 2 / 3),
    ],
)
def test_recall_is_the_share_of_gold_found(k: int, grades: list[int], n_gold: int, expected: float) -> None:
    assert recall_at(k, grades, n_gold) == expected


@pytest.mark.parametrize(
    ("k", "grades", "expected"),
    [
        (10, [1, 1], 1.0),
        (10, [0, 2, 1], 1 / 2),
        (2, [0, 0, 1], 0.0),
        (3, [0, 0, 1], 1 / 3),
        (3, [], 0.0),
        (3, [0], 0.0),
    ],
)
def test_the_reciprocal_rank_is_that_of_the_first_gold(k: int, grades: list[int], expected: float) -> None:
    assert reciprocal_rank_at(k, grades) == expected


def test_ndcg_has_linear_gain() -> None:
    # Worked by hand; with the gain 2^grade - 1 it would be 0.7098.
    assert ndcg_at(10, [1, 0, 2], [2, 1]) == pytest.approx((1 + 2 / 2) / (2 + 1 / math.log2(3)))
    assert ndcg_at(10, [1, 0, 2], [2, 1]) == pytest.approx(0.7602, abs=5e-5)


def test_ndcg_compares_with_the_best_ranking_of_the_archive() -> None:
    assert ndcg_at(10, [1], [3, 1]) == pytest.approx(1 / (3 + 1 / math.log2(3)))
    assert ndcg_at(1, [1, 3], [1, 3]) == pytest.approx(1 / 3), "gold grades come in any order"
    assert ndcg_at(2, [1, 1], [1, 1, 1]) == 1.0
    assert ndcg_at(2, [], [1]) == 0.0


def test_without_gold_there_is_nothing_to_measure() -> None:
    assert math.isnan(recall_at(5, [0, 0], 0))
    assert math.isnan(ndcg_at(5, [0, 0], []))


@pytest.mark.parametrize(
    ("k", "holding", "expected"), [(1, [False, True], 0.0), (2, [False, True], 1.0), (5, [], 0.0), (5, [True], 1.0)]
)
def test_answer_recall_is_any_holding_passage_among_the_first_k(k: int, holding: list[bool], expected: float) -> None:
    assert answer_recall_at(k, holding) == expected


OURS: dict[Measure, Callable[[int, list[int], list[int]], float]] = {
    Success: lambda k, grades, _: success_at(k, grades),
    R: lambda k, grades, gold: recall_at(k, grades, len(gold)),
    RR: lambda k, grades, _: reciprocal_rank_at(k, grades),
    nDCG: ndcg_at,
}


def made_rankings(seed: int, n: int = 150) -> list[tuple[list[int], list[int]]]:
    """Grades of what was retrieved (gold is common, rare or missing), and of the gold passages that were not."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        often = rng.choice([0.2, 0.1, 0.02])
        retrieved = rng.choice(4, size=rng.integers(1, 30), p=[1 - 3 * often, often, often, often]).tolist()
        missed = rng.integers(1, 4, size=rng.integers(8)).tolist()
        if any(retrieved + missed):
            made.append((retrieved, missed))
    return made


def ir_measures_scores(measure: Measure, rankings: list[tuple[list[int], list[int]]]) -> dict[int, float]:
    """What ir-measures gives for each ranking, by its number."""
    qrels, run = [], []
    for i, (retrieved, missed) in enumerate(rankings):
        run += [ScoredDoc(str(i), f"passage{rank}", -float(rank)) for rank in range(len(retrieved))]
        qrels += [Qrel(str(i), f"passage{number}", grade) for number, grade in enumerate(retrieved + missed)]
    scored = ir_measures.iter_calc([measure], qrels, run)
    return {int(one.query_id): one.value for one in scored}


@pytest.mark.parametrize("measure", OURS, ids=str)
@pytest.mark.parametrize("k", [1, 2, 5, 10, 100])
def test_every_question_scores_as_in_ir_measures(measure: Measure, k: int) -> None:
    rankings = made_rankings(seed=k)
    expected = ir_measures_scores(measure @ k, rankings)
    assert len(expected) == len(rankings) > 100
    for i, (retrieved, missed) in enumerate(rankings):
        gold_grades = [grade for grade in retrieved + missed if grade]
        assert OURS[measure](k, retrieved, gold_grades) == pytest.approx(expected[i], abs=1e-12), rankings[i]


def gold(text: str, answers: tuple[str, ...], article_id: str = "idlib") -> bool:
    passage = StoredPassage(key=1, article_id=article_id, title="33", span=CharSpan(5, 5 + len(text)), text=text)
    return is_gold(passage, Question(question_id="q", question="?", answers=answers, article_ids=("idlib", "moscow")))


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("killed 33 soldiers", ("33",)),
        ("33", ("33",)),
        ("killed (33).", ("34", "33")),
        ("333 or 33", ("33",)),
        ("x33 33 33", ("33 33",)),  # the first one overlaps it, and does not count
        ("cost $3.6 million", ("$3.6 million",)),
        ("in the U.S. army", ("U.S.",)),
        ("Erdoğan's party", ("Erdoğan",)),
        ("what? (sic)", ("what? (sic)",)),  # no pattern: every character stands for itself
    ],
)
def test_a_passage_of_a_gold_article_with_a_gold_text_is_gold(text: str, answers: tuple[str, ...]) -> None:
    assert holds_answer(text, answers)
    assert gold(text, answers)
    assert gold(text, answers, "moscow")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("killed 333 soldiers", ("33",)),
        ("killed 133", ("33",)),
        ("33_000", ("33",)),
        ("Erdoğans", ("Erdoğan",)),
        ("killed nobody", ("33",)),
        ("in the UxSx army", ("U.S",)),
        ("killed 33", ()),
        ("(killed) - 33", ("",)),
        ("THE ARMY", ("the army",)),
    ],
)
def test_a_passage_without_the_gold_text_at_word_boundaries_is_not(text: str, answers: tuple[str, ...]) -> None:
    assert not holds_answer(text, answers)
    assert not gold(text, answers)


def test_the_text_in_another_article_is_not_gold() -> None:
    assert holds_answer("killed 33 soldiers", ("33",))
    assert not gold("killed 33 soldiers", ("33",), "suez")


TEXTS = st.text(alphabet="aab1_ .$é́ß東🙂\n", max_size=25)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.lists(TEXTS.filter(bool).map(lambda text: text[:3]), max_size=3))
def test_word_boundaries_are_those_of_regular_expressions(text: str, answers: list[str]) -> None:
    patterns = [rf"(?<!\w){re.escape(answer)}(?!\w)" for answer in answers]
    assert holds_answer(text, answers) == any(re.search(pattern, text) for pattern in patterns)
