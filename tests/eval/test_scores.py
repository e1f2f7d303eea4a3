import json
import math

import numpy as np
import pytest

from eval.bootstrap import estimate_mean, resamples
from eval.metrics import METRICS
from eval.outcomes import outcomes
from eval.scores import (
    HEADLINE,
    RunScores,
    Scores,
    latency,
    latency_document,
    score,
    scores_document,
    squad_predictions,
)
from tests.eval.made import predicted, ranked
from tests.eval.slow import percentile

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


def values(scores: Scores) -> dict[str, float]:
    return {name: found.value for name, found in scores.values.items()}


def test_scores_by_hand() -> None:
    scores = score(ALL, 0.5)
    assert (scores.min_confidence, scores.everything.n) == (0.5, 6)
    found = values(scores.everything)
    by_hand = {
        "em": 2 / 6,  # right, silent
        "f1": (1 + 0.8 + 1) / 6,  # half: precision 2/3, recall 1
        "always_em": 2 / 4,  # right, shy, of four answerable questions
        "always_f1": (1 + 0.8 + 1) / 4,
        "rightly_refused": 1 / 2,
        "wrongly_refused": 2 / 4,
        "answered": 3 / 6,
        "precision": 2 / 3,
        "success@1": 1 / 4,
        "success@5": 2 / 4,
        "success@10": 3 / 4,
        "citation_valid": 1,
        "citation_correct": 1,
        "brier": (0.1**2 + 0.3**2 + 0.6**2 + 0**2 + 0.2**2 + 0.8**2) / 6,
    }
    assert {name: found[name] for name in by_hand} == pytest.approx(by_hand, abs=1e-6)
    assert all(value == round(value, 6) for value in found.values())


def test_each_metric_comes_with_its_value_and_the_questions_that_count() -> None:
    columns, found = outcomes(ALL, 0.5), score(ALL, 0.5).everything.values
    expected = {metric.name: metric.of(columns) for metric in METRICS}
    counting = {name for name, value in expected.items() if not math.isnan(value)}
    assert set(found) == counting
    assert {metric.name for metric in METRICS} - counting == {"recall@100", "squad1_em", "squad1_f1"}
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(expected[name], abs=1e-6)
        assert 0 <= estimate.low <= estimate.high <= 1
    assert found["em"] == estimate_mean(columns["em"])
    assert [found[name].n for name in ("em", "always_em", "rightly_refused", "precision", "citation_valid")] == [
        6, 4, 2, 3, 3
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "em", "rightly_refused", "wrongly_refused"),
    [(0.0, 2 / 6, 0.0, 1 / 4), (0.4, 3 / 6, 1 / 2, 1 / 4), (0.9, 3 / 6, 1.0, 3 / 4), (0.91, 2 / 6, 1.0, 1.0)],
)
def test_the_threshold_decides_what_is_refused(
    threshold: float, em: float, rightly_refused: float, wrongly_refused: float
) -> None:
    found = values(score(ALL, threshold).everything)
    names = ("em", "rightly_refused", "wrongly_refused", "always_em", "success@5")
    expected = (em, rightly_refused, wrongly_refused, 0.5, 0.5)
    assert [found[name] for name in names] == pytest.approx(expected, abs=1e-6)


def test_groups_hold_their_questions_and_nothing_unnamed() -> None:
    scores = score(ALL, 0.5)
    assert {name: group.n for name, group in scores.by_split.items()} == {"report": 2, "tune": 2}
    assert {name: group.n for name, group in scores.by_type.items()} == {"how": 2, "who": 1}
    assert {name: group.n for name, group in scores.by_hard.items()} == {"far": 2, "old": 1}
    assert [values(scores.by_split["tune"])[name] for name in ("em", "always_em", "success@1")] == [0.5, 0.5, 0.5]
    assert values(scores.by_hard["far"])["f1"] == 0.4
    assert values(scores.by_hard["old"])["success@1"] == 0.0
    assert scores.by_split["tune"].values["em"] == estimate_mean(np.array([1.0, 0.0]))


def test_a_group_has_the_headline_metrics_that_something_counts_for() -> None:
    scores = score(ALL, 0.5)
    assert set(scores.by_split["report"].values) == {"em", "f1", "rightly_refused"}
    assert set(scores.by_split["tune"].values) == set(HEADLINE) - {"rightly_refused"}
    assert values(scores.by_split["report"]) == {"em": 0.5, "f1": 0.5, "rightly_refused": 0.5}


def test_groups_are_shown_where_there_is_something_to_tell_apart() -> None:
    scores = score(ALL, 0.5)
    assert [title for title, _ in scores.groups()] == ["By split", "By type", "By what makes them hard"]
    assert dict(scores.groups())["By type"] == scores.by_type
    assert [title for title, _ in score([RIGHT, SILENT, LOST], 0.5).groups()] == ["By split"]
    assert score([RIGHT, LOST], 0.5).groups() == []


def test_one_citation_that_is_not_valid_fails_the_run_if_it_was_given() -> None:
    bad = predicted("bad", ["33"], [("33", 0.6)], citation_valid=False)
    many = [RIGHT] * 300
    failed = score([*many, bad], 0.5)
    assert not failed.all_citations_valid
    assert values(failed.everything)["citation_valid"] == round(300 / 301, 6)
    assert score([*many, bad], 0.61).all_citations_valid  # refused: nothing was cited
    assert score(many, 0.5).all_citations_valid
    assert score([LOST, SILENT], 0.5).all_citations_valid
    wrong_article = predicted("elsewhere", ["33"], [("33", 0.6)], cited="b")
    assert score([wrong_article], 0.5).all_citations_valid  # it reads as cited; that is another question


def test_a_run_of_retrieval_alone() -> None:
    scores = score([ranked("q", {"x": 1}, ["u", "x"]), ranked("r", {"y": 2}, [])], 0.5)
    assert values(scores.everything) == pytest.approx(
        {"success@1": 0, "success@5": 0.5, "success@10": 0.5, "recall@5": 0.5, "recall@10": 0.5, "recall@100": 0.5}
        | {"mrr@10": 0.25, "ndcg@10": round(1 / math.log2(3) / 2, 6)}
    )
    assert scores.all_citations_valid


def test_squad_predictions_are_texts_by_id_empty_for_abstaining() -> None:
    assert squad_predictions(ALL, 0.5) == {
        "right": "33.", "half": "in Suez Canal", "shy": "", "lost": "", "silent": "", "loud": "Quito"
    }  # fmt: skip
    assert squad_predictions(ALL, 0.0) == {
        "right": "33.", "half": "in Suez Canal", "shy": "Ankara", "lost": "", "silent": "Lima", "loud": "Quito"
    }  # fmt: skip


def test_latency_by_stage_with_intervals() -> None:
    taken = np.concatenate([np.full(80, 2.0), np.full(15, 10.0), np.full(5, 50.0)])
    np.random.default_rng(0).shuffle(taken)
    found = latency({"read_ms": taken, "total_ms": taken + 1})
    assert {name: value.value for name, value in found["read_ms"].items()} == {"p50": 2, "p90": 10, "p99": 50}
    assert {name: value.value for name, value in found["total_ms"].items()} == {"p50": 3, "p90": 11, "p99": 51}
    slow = [percentile(taken[rows].tolist(), 90) for rows in resamples(100)]
    p90 = found["read_ms"]["p90"]
    expected = (percentile(slow, 2.5), percentile(slow, 97.5), 100)
    assert (p90.low, p90.high, p90.n) == pytest.approx(expected, abs=1e-6)
    assert p90.low < p90.high
    single = latency({"read_ms": np.array([7.5])})["read_ms"]["p99"]
    assert (single.value, single.low, single.high, single.n) == (7.5, 7.5, 7.5, 1)
    assert json.loads(json.dumps(latency_document(found)))["read_ms"]["p50"]["value"] == 2.0


def test_the_document_is_json_with_every_score_and_the_same_every_time() -> None:
    text = json.dumps(scores_document(score(ALL, 0.5)), allow_nan=False)
    assert text == json.dumps(scores_document(score(ALL, 0.5)), allow_nan=False)
    document = json.loads(text)
    assert document["min_confidence"] == 0.5
    assert document["everything"]["n"] == 6
    assert document["everything"]["values"]["always_em"]["value"] == 0.5
    assert document["everything"]["values"]["always_em"]["n"] == 4
    assert set(document["by_split"]["tune"]["values"]["em"]) == {"value", "low", "high", "n"}
    assert isinstance(score(ALL, 0.5), RunScores)
