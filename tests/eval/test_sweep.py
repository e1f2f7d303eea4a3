import json
from collections.abc import Sequence

import pytest

from eval.differences import Verdict, differences
from eval.metrics import metric
from eval.outcomes import Outcomes, outcomes
from eval.sweep import THRESHOLD, SettingSweep, Tried, setting_sweep, sweep_document
from tests.eval.made import predicted


def answered(right: Sequence[bool], confidence: float = 0.9) -> Outcomes:
    """Answerable questions with one candidate each, which is right or wrong; a gold passage is second."""
    made = [
        predicted(f"q{i}", ["gold"], [("gold" if is_right else "wrong", confidence)], passages_gold=[False, True])
        for i, is_right in enumerate(right)
    ]
    return outcomes(made, 0.5)


def tried(value: float, found: Outcomes, *, shipped: bool = False, setting: str = "passages") -> Tried:
    return Tried(setting=setting, value=value, is_shipped=shipped, outcomes=found, total_ms=12.345)


def by_value(sweep: SettingSweep) -> dict[float, Verdict | None]:
    return {point.value: point.verdict for point in sweep.points}


def test_points_have_the_scores_of_their_value_and_the_difference_to_the_shipped_one() -> None:
    shipped, better = answered([True, True, False, False]), answered([True, True, True, False])
    sweep = setting_sweep([tried(10, shipped, shipped=True), tried(3, better)], "f1")

    assert [point.value for point in sweep.points] == [3, 10]
    low, high = sweep.points
    assert (low.scores["f1"].value, high.scores["f1"].value) == (0.75, 0.5)
    assert (low.scores["success@1"].value, low.scores["success@5"].value) == (0.0, 1.0)
    assert low.scores["answered"].n == 4
    assert low.total_ms == 12.3
    assert low.change is not None
    assert low.change.value == 0.25
    expected = differences(shipped, better, [metric("f1")])[0]
    assert (low.change, low.verdict) == (expected.change, expected.verdict)
    assert (high.change, high.verdict, high.is_shipped) == (None, None, True)


def test_the_difference_is_paired_by_question() -> None:
    """Eight questions are lost and none is won: that is sure, though the bands of both values overlap."""
    half = [True, False] * 40
    shipped, worse = answered(half), answered([right and i > 14 for i, right in enumerate(half)])
    low, high = setting_sweep([tried(1, worse), tried(10, shipped, shipped=True)], "f1").points

    assert low.change is not None
    assert (low.change.value, low.verdict) == (-0.1, Verdict.WORSE)
    assert low.change.high < 0
    assert low.scores["f1"].high > high.scores["f1"].low


def test_the_highest_score_wins_and_the_shipped_value_among_equals() -> None:
    same = answered([True, False, True, False])
    equal = setting_sweep([tried(1, same), tried(5, same, shipped=True), tried(9, same)], "best_f1")
    assert equal.winner.value == 5
    assert equal.beats_shipped == ()
    assert all(point.change is None or point.change.value == 0 for point in equal.points)

    one_more = answered([True, True, True, False])
    lucky = setting_sweep([tried(1, one_more), tried(5, same, shipped=True), tried(9, same)], "best_f1")
    assert lucky.winner.value == 1


def test_only_what_chance_does_not_explain_beats_the_shipped_value() -> None:
    n = 40
    shipped = answered([i % 2 == 0 for i in range(n)])
    sweep = setting_sweep(
        [
            tried(1, answered([i % 2 == 0 or i == 1 for i in range(n)])),  # one question more
            tried(2, answered([True] * n)),
            tried(3, answered([False] * n)),
            tried(10, shipped, shipped=True),
        ],
        "f1",
    )
    assert by_value(sweep) == {1: Verdict.UNCLEAR, 2: Verdict.BETTER, 3: Verdict.WORSE, 10: None}
    assert [point.value for point in sweep.beats_shipped] == [2]
    assert sweep.winner.value == 2


def test_a_luckier_threshold_is_no_better_reading() -> None:
    """What is refused at the shipped threshold is right all the same: F1 rises with it, F1 at the best one does not."""
    right = [i % 2 == 0 for i in range(40)]
    refused, given = answered(right, confidence=0.4), answered(right, confidence=0.9)

    by_f1 = setting_sweep([tried(1, given), tried(10, refused, shipped=True)], "f1")
    by_best = setting_sweep([tried(1, given), tried(10, refused, shipped=True)], "best_f1")
    assert by_value(by_f1)[1] is Verdict.BETTER
    assert by_value(by_best)[1] is Verdict.UNCLEAR
    assert by_best.winner.is_shipped


def test_each_kind_of_setting_shows_the_metrics_that_it_can_move() -> None:
    found = answered([True, False])
    passages = setting_sweep([tried(10, found, shipped=True)], "best_f1")
    threshold = setting_sweep([tried(0.5, found, shipped=True, setting=THRESHOLD)], "f1")

    assert passages.metrics == (
        "best_f1", "f1", "always_f1", "success@1", "success@5", "success@10", "answered",
    )  # fmt: skip
    # Nothing is unanswerable here, so nothing counts for `rightly_refused`.
    assert threshold.metrics == ("f1", "em", "answered", "precision", "wrongly_refused")
    assert set(threshold.points[0].scores) == set(threshold.metrics)


def test_a_metric_that_one_value_lacks_is_still_shown() -> None:
    made = [predicted("q", ["gold"], [("gold", 0.4)])]
    none = tried(0.9, outcomes(made, 0.9), setting=THRESHOLD)
    some = tried(0.3, outcomes(made, 0.3), shipped=True, setting=THRESHOLD)
    sweep = setting_sweep([none, some], "f1")

    assert "precision" in sweep.metrics
    assert [("precision" in point.scores) for point in sweep.points] == [True, False]


def test_the_document_is_json_with_the_winner() -> None:
    n = 40
    shipped, better = answered([False] * n), answered([True] * n)
    sweep = setting_sweep([tried(10, shipped, shipped=True), tried(3, better)], "f1")
    (read,) = json.loads(json.dumps(sweep_document([sweep])))

    assert (read["setting"], read["decides"], read["winner"]) == ("passages", "f1", 3)
    assert [point["verdict"] for point in read["points"]] == ["better", None]
    assert read["points"][0]["scores"]["f1"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": n}
    assert read["points"][0]["change"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": n}


def test_the_same_questions_give_the_same_sweep() -> None:
    one, two = (
        setting_sweep(
            [tried(10, answered([True, False] * 9), shipped=True), tried(1, answered([True] * 18))], "best_f1"
        )
        for _ in range(2)
    )
    assert one == two
    assert one.points[0].change is not None
    assert one.points[0].change.value == pytest.approx(0.5)
