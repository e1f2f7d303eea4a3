import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import METRICS, mean_of, metric
from eval.outcomes import Outcomes, outcomes
from eval.run_folder import PredictedQuestion
from index.errors import DatasetError
from tests.eval.made import predicted, ranked

# Confidence, right: 0.9 yes, 0.8 no, 0.7 yes, 0.6 yes, 0.2 no (unanswerable), 0 no (no candidate). Given from 0.65 on.
QUESTIONS = [
    predicted("a", ["33"], [("33", 0.9)], passages_gold=[True, False]),
    predicted("b", ["Suez Canal"], [("Panama Canal", 0.8)], passages_gold=[False, True], cited="b"),
    predicted("c", ["Suez Canal"], [("the Suez Canal", 0.7)], passages_gold=[True, True], citation_valid=False),
    predicted("d", ["Ankara"], [("in Ankara", 0.6)], passages_gold=[False] * 5 + [True]),
    predicted("e", [], [("Lima", 0.2)], passages_gold=[False]),
    predicted("f", ["Peru"], []),
]
BY_HAND = {
    "em": 3 / 6,  # a, c, e
    "f1": (1 + 1 / 2 + 1 + 0 + 1 + 0) / 6,
    "squad1_em": math.nan,  # e has no answer
    "squad1_f1": math.nan,
    "has_answer_em": 2 / 5,
    "has_answer_f1": 2.5 / 5,
    "rightly_refused": 1,
    "wrongly_refused": 2 / 5,
    "always_em": 2 / 5,
    "always_f1": (1 + 1 / 2 + 1 + 2 / 3 + 0) / 5,
    # The threshold 0.7 is best for EM: a, c right, e withheld. For F1 it is 0.6, as d is half right.
    "best_em": 3 / 6,
    "best_f1": (1 + 1 / 2 + 1 + 2 / 3 + 1) / 6,
    "answered": 3 / 6,
    "precision": 2 / 3,
    "success@1": 2 / 5,
    "success@5": 3 / 5,
    "success@10": 4 / 5,
    "recall@5": 3 / 5,
    "recall@10": 4 / 5,
    "recall@100": math.nan,
    "mrr@10": (1 + 1 / 2 + 1 + 1 / 6 + 0) / 5,
    "ndcg@10": (1 + 1 / math.log2(3) + 1 + 1 / math.log2(7) + 0) / 5,
    "answer_recall@1": 2 / 5,
    "answer_recall@5": 3 / 5,
    "answer_recall@10": 4 / 5,
    "citation_valid": 2 / 3,
    "citation_correct": 2 / 3,
    # Bins (0.8, 0.9] to (0.5, 0.6], (0.1, 0.2] and the lowest, of one question each.
    "ece": (0.1 + 0.8 + 0.3 + 0.4 + 0.2 + 0) / 6,
    "brier": (0.1**2 + 0.8**2 + 0.3**2 + 0.4**2 + 0.2**2 + 0) / 6,
    # Right against wrong: a beats b, e, f; c and d beat e, f.
    "auroc": 7 / 9,
    # Wrong among the first 1 to 6: 0, 1, 1, 1, 2, 3.
    "aurc": (0 + 1 / 2 + 1 / 3 + 1 / 4 + 2 / 5 + 3 / 6) / 6,
    "coverage@80": 1 / 6,  # 1 of 1; 3 of 4 is too little
    "coverage@90": 1 / 6,
    "coverage@95": 1 / 6,
}
LOWER_IS_BETTER = {"wrongly_refused", "ece", "brier", "aurc"}


def test_every_metric_by_hand() -> None:
    columns = outcomes(QUESTIONS, 0.65)
    found = {known.name: known.of(columns) for known in METRICS}
    assert found == pytest.approx(BY_HAND, nan_ok=True)
    assert {known.name for known in METRICS if not known.higher_is_better} == LOWER_IS_BETTER


def test_only_what_is_given_depends_on_the_threshold() -> None:
    depending = {name for name in BY_HAND if name.startswith("squad1")} | {
        "em", "f1", "has_answer_em", "has_answer_f1", "rightly_refused", "wrongly_refused", "answered", "precision",
        "citation_valid", "citation_correct",
    }  # fmt: skip
    for min_confidence in (0.0, 0.85, 1.0):
        columns = outcomes(QUESTIONS, min_confidence)
        found = {known.name: known.of(columns) for known in METRICS if known.name not in depending}
        expected = {name: value for name, value in BY_HAND.items() if name not in depending}
        assert found == pytest.approx(expected, nan_ok=True)


def test_retrieval_alone_has_retrieval_metrics_alone() -> None:
    found = outcomes([ranked("q", {"x": 2, "y": 1}, ["u", "x", *(f"u{i}" for i in range(12)), "y"])], 0.5)
    dcg, ideal = 2 / math.log2(3), 2 + 1 / math.log2(3)
    expected = {
        "success@1": 0, "success@5": 1, "success@10": 1, "recall@5": 1 / 2, "recall@10": 1 / 2, "recall@100": 1,
        "mrr@10": 1 / 2, "ndcg@10": dcg / ideal,
    }  # fmt: skip
    values = {known.name: known.of(found) for known in METRICS}
    assert {name: value for name, value in values.items() if not math.isnan(value)} == pytest.approx(expected)


def test_questions_of_retrieval_alone_have_no_part_in_other_metrics() -> None:
    mixed = outcomes([*QUESTIONS, ranked("q", {"x": 1}, [])], 0.65)
    found = {known.name: known.of(mixed) for known in METRICS}
    assert metric("squad1_f1").of(outcomes(QUESTIONS[:4], 0.65)) == pytest.approx(2.5 / 4)
    unchanged = [name for name in BY_HAND if not name.startswith(("success", "recall", "mrr", "ndcg"))]
    expected = {name: BY_HAND[name] for name in unchanged}
    assert {name: found[name] for name in unchanged} == pytest.approx(expected, nan_ok=True)
    assert found["success@10"] == pytest.approx(4 / 6)


def test_a_metric_is_the_mean_of_its_column_if_it_has_one() -> None:
    columns = outcomes(QUESTIONS, 0.65)
    for known in METRICS:
        if known.column is not None:
            values = [value for value in columns[known.column].tolist() if not math.isnan(value)]
            mean = math.fsum(values) / len(values) if values else math.nan
            assert known.of(columns) == pytest.approx(mean, nan_ok=True), known.name
    assert metric("answered").column == "given"
    assert metric("ece").column is None


def test_the_mean_of_nothing_is_nan() -> None:
    for values in ([], [math.nan, math.nan]):
        assert math.isnan(mean_of("f1", Outcomes({"f1": np.array(values)})))
    assert mean_of("f1", Outcomes({"f1": np.array([math.nan, 0.25, 0.75])})) == 0.5


def test_a_metric_is_found_by_its_name_and_an_unknown_one_names_those_there_are() -> None:
    for known in METRICS:
        assert metric(known.name) is known
        assert known.meaning
    assert len({known.name for known in METRICS}) == len(METRICS)
    with pytest.raises(DatasetError, match=r"no metric is called 'nope'; there are em, f1, .*success@5.*coverage@95$"):
        metric("nope")


PREDICTIONS = st.builds(
    lambda golds, given, gold, valid: predicted("q", golds, given, passages_gold=gold, citation_valid=valid),
    st.lists(st.sampled_from(["33", "A", "Suez Canal", "in Suez"]), max_size=2),
    st.lists(st.tuples(st.sampled_from(["33", "the", "canal"]), st.sampled_from([0.0, 0.3, 0.5, 1.0])), max_size=1),
    st.lists(st.booleans(), max_size=12),
    st.booleans(),
)
RANKINGS = st.lists(st.sampled_from("uvwxyz"), max_size=6, unique=True).map(
    lambda articles: ranked("r", {"x": 2, "y": 1}, articles)
)


@settings(deadline=None)
@given(st.lists(PREDICTIONS | RANKINGS, min_size=1, max_size=12), st.sampled_from([0.0, 0.3, 0.4, 1.0]))
def test_every_metric_is_nan_or_a_share(questions: list[PredictedQuestion], min_confidence: float) -> None:
    columns = outcomes(questions, min_confidence)
    for known in METRICS:
        value = known.of(columns)
        assert math.isnan(value) or -1e-12 <= value <= 1 + 1e-12, known.name
