import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.scores import COLUMNS, Scores, estimate, score, scores_document, squad_predictions
from tests.eval.made import predicted

# At 0.5: right; half right; wrongly refused; not found at all; rightly refused; wrongly answered.
RIGHT = predicted(
    "right", ["33"], [("33.", 0.9), ("34", 0.05)], passages_gold=[True, False], question_type="how", split="tune"
)
HALF = predicted(
    "half", ["Suez Canal", "Suez"], [("in Suez Canal", 0.7)], passages_gold=[False, True], hard=["far", "old"]
)
SHY = predicted("shy", ["Ankara"], [("Ankara", 0.4)], passages_gold=[False] * 5 + [True], hard=["far"])
LOST = predicted("lost", ["Peru"], [], question_type="how", split="tune")
SILENT = predicted("silent", [], [("Lima", 0.2)], passages_gold=[False], split="report")
LOUD = predicted("loud", [], [("Quito", 0.8)], passages_gold=[False], question_type="who", split="report")
ALL = [RIGHT, HALF, SHY, LOST, SILENT, LOUD]


def means(scores: Scores) -> dict[str, float | None]:
    return {name: value.mean if value else None for name, value in scores.values.items()}


def test_scores_by_hand() -> None:
    scores = score(ALL, 0.5)
    assert scores.min_confidence == 0.5
    assert scores.everything.n == 6
    assert means(scores.everything) == {
        "em": round(100 * 2 / 6, 2),  # right, silent
        "f1": round(100 * (1 + 0.8 + 1) / 6, 2),  # half: precision 2/3, recall 1
        "always em": 50.0,  # right, shy, of four answerable questions
        "always f1": round(100 * (1 + 0.8 + 1) / 4, 2),
        "refused right": 50.0,
        "refused wrong": 50.0,
        "success@1": 25.0,
        "success@5": 50.0,
        "success@10": 75.0,
    }
    assert list(scores.everything.values) == list(COLUMNS)


@pytest.mark.parametrize(
    ("threshold", "em", "refused_right", "refused_wrong"),
    [(0.0, 2 / 6, 0.0, 1 / 4), (0.4, 3 / 6, 1 / 2, 1 / 4), (0.9, 3 / 6, 1.0, 3 / 4), (0.91, 2 / 6, 1.0, 1.0)],
)
def test_the_threshold_decides_what_is_refused(
    threshold: float, em: float, refused_right: float, refused_wrong: float
) -> None:
    found = means(score(ALL, threshold).everything)
    expected = [round(100 * value, 2) for value in (em, refused_right, refused_wrong)]
    assert [found["em"], found["refused right"], found["refused wrong"]] == expected
    assert (found["always em"], found["success@5"]) == (50.0, 50.0)


def test_groups_hold_their_questions_and_nothing_unnamed() -> None:
    scores = score(ALL, 0.5)
    assert {name: group.n for name, group in scores.by_split.items()} == {"report": 2, "tune": 2}
    assert {name: group.n for name, group in scores.by_type.items()} == {"how": 2, "who": 1}
    assert {name: group.n for name, group in scores.by_hard.items()} == {"far": 2, "old": 1}
    assert means(scores.by_split["tune"])["em"] == 50.0
    assert means(scores.by_hard["far"])["f1"] == 40.0
    assert means(scores.by_hard["old"])["success@1"] == 0.0
    assert [title for title, _ in scores.groups()] == [
        "All questions", "By split", "By type", "By what makes them hard"
    ]  # fmt: skip


def test_a_group_without_questions_that_count_has_none() -> None:
    scores = score(ALL, 0.5)
    unanswerable, answerable = means(scores.by_split["report"]), means(scores.by_split["tune"])
    assert answerable["refused right"] is None
    for column in ("always em", "always f1", "refused wrong", "success@1", "success@5", "success@10"):
        assert unanswerable[column] is None
    assert unanswerable["em"] == 50.0


def test_no_questions_have_no_scores() -> None:
    scores = score([], 0.5)
    assert scores.everything.n == 0
    assert set(means(scores.everything).values()) == {None}
    assert [title for title, _ in scores.groups()] == ["All questions"]


def test_squad_predictions_are_texts_by_id() -> None:
    assert squad_predictions(ALL, 0.5) == {
        "right": "33.", "half": "in Suez Canal", "shy": "", "lost": "", "silent": "", "loud": "Quito"
    }  # fmt: skip


def test_the_document_is_json_with_every_score() -> None:
    document = json.loads(json.dumps(scores_document(score(ALL, 0.5))))
    assert document["everything"]["values"]["always em"]["mean"] == 50.0
    assert document["by_split"]["tune"]["values"]["refused right"] is None
    assert document["min_confidence"] == 0.5


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_interval_brackets_the_mean_within_the_values(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None
    assert found.n == len(values)
    assert found.mean == pytest.approx(100 * sum(values) / len(values), abs=0.006)
    assert 100 * min(values) - 0.01 <= found.low <= found.mean <= found.high <= 100 * max(values) + 0.01
    assert estimate(values) == found


def test_nothing_has_no_estimate() -> None:
    assert estimate([]) is None


@pytest.mark.parametrize(("n", "n_right"), [(100, 50), (400, 300), (400, 40)])
def test_the_interval_is_that_of_the_normal_approximation(n: int, n_right: int) -> None:
    found = estimate([1.0] * n_right + [0.0] * (n - n_right))
    share = n_right / n
    half = 100 * 1.96 * math.sqrt(share * (1 - share) / n)
    assert found is not None
    assert found.low == pytest.approx(found.mean - half, rel=0, abs=0.2 * half)
    assert found.high == pytest.approx(found.mean + half, rel=0, abs=0.2 * half)


def test_equal_values_have_no_spread() -> None:
    found = estimate(np.full(10, 0.5).tolist())
    assert found is not None
    assert (found.low, found.mean, found.high) == (50.0, 50.0, 50.0)
