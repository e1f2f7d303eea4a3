import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from qa.confidence import Confidence, Threshold
from tests.training.asked_parts import GOLD, asked, candidate, drawn, write_asked
from training.asked import read_asked
from training.calibration import METRICS, bins, estimates, main, plain_softmax
from training.confidence import START, outcome

WEIGHTS = dataclasses.replace(START, log_probability=0.05, margin=1.0, retrieval_score=0.0)


def write_confidence(folder: Path, confidence: Confidence) -> None:
    record = dataclasses.asdict(confidence)
    record["thresholds"] = [[t.precision, t.min_confidence] for t in confidence.thresholds]
    (folder / "confidence.json").write_text(json.dumps(record))


def test_plain_softmax_gives_the_span_that_is_most_probable_in_its_window() -> None:
    likely = candidate("seven", log_probability=-0.1, margin=-9.0, retrieval_score=0.0)
    right = candidate("33 soldiers", article_id="b", log_probability=-0.2, margin=9.0, retrieval_score=1.0)
    confidence, is_right = plain_softmax(
        [
            asked([right, likely], GOLD),
            asked([likely], "Seven"),
            asked([right], GOLD),
            asked([right]),  # the archive lacks the answer
            asked([candidate("The", log_probability=0.0)]),  # likewise; of the text nothing is left by normalising
            asked([], GOLD),
            asked([], "The"),
        ]
    )

    assert confidence == pytest.approx([math.exp(-0.1), math.exp(-0.1), math.exp(-0.2), math.exp(-0.2), 1.0, 0.0, 0.0])
    assert is_right.tolist() == [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_estimates_are_the_metrics_in_percent_inside_their_intervals() -> None:
    rng = np.random.default_rng(7)
    confidence = rng.random(300)
    right = (rng.random(300) < confidence).astype(np.float64)
    found = estimates(confidence, right)

    assert list(found) == list(METRICS)
    assert found["right"][0] == round(100 * right.mean(), 1)
    assert found["brier"][0] == pytest.approx(100 * brier_score_loss(right, confidence), abs=0.06)
    assert found["auroc"][0] == pytest.approx(100 * roc_auc_score(right, confidence), abs=0.06)
    for name, (value, low, high) in found.items():
        assert low < high, name
        assert name == "ece" or low <= value <= high, name  # resampling raises an ECE that is near 0
    half_width = 196 * math.sqrt(right.mean() * (1 - right.mean()) / 300)
    assert found["right"][1:] == pytest.approx(
        [100 * right.mean() - half_width, 100 * right.mean() + half_width], abs=1
    )


def test_coverage_is_what_the_most_confident_answers_can_keep() -> None:
    # Of a hundred, from the most confident: 40 right, then 10 wrong, then 50 wrong.
    confidence, right = np.linspace(1, 0, 100), np.repeat([1.0, 0.0], [40, 60])
    found = estimates(confidence, right)

    assert (found["right"][0], found["coverage@80"][0], found["coverage@90"][0]) == (40.0, 50.0, 44.0)
    assert found["auroc"] == [100.0, 100.0, 100.0]


@pytest.mark.parametrize("right", [np.ones(20), np.zeros(20)])
def test_where_all_are_right_or_none_there_is_no_ranking_to_judge(
    right: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> None:
    found = estimates(np.linspace(0.1, 0.9, 20), right)

    assert set(found) == set(METRICS) - {"auroc"}
    assert found["right"] == [100 * right[0]] * 3
    assert found["coverage@90"] == [100 * right[0]] * 3


def test_bins_that_are_not_empty_are_told_in_percent() -> None:
    confidence = np.array([0.0, 0.1, 0.31, 0.35, 0.4, 1.0])
    right = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 1.0])

    assert bins(confidence, right) == [[5.0, 0.0, 2], [35.3, 33.3, 3], [100.0, 100.0, 1]]


def test_the_command_compares_both_on_the_same_candidates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_asked(tmp_path / "asked.jsonl", drawn(200, 11))
    thresholds = (Threshold(precision=0.8, min_confidence=0.75),)
    fitted = Confidence(weights=WEIGHTS, min_confidence=0.5, thresholds=thresholds)
    write_confidence(tmp_path, fitted)
    main(file, tmp_path)

    questions = read_asked(file)
    head, quoth, softmax, eighty, ninety = map(json.loads, capsys.readouterr().out.splitlines())
    assert head == {"questions": 200, "lacking": sum(not one.golds for one in questions)}
    told = outcome(fitted, questions)
    right = told.right.astype(np.float64)
    assert quoth == {
        "confidence": "quoth",
        **estimates(told.confidence, right),
        "bins": bins(told.confidence, right),
    }
    plain = plain_softmax(questions)
    assert softmax == {"confidence": "softmax", **estimates(*plain), "bins": bins(*plain)}
    assert quoth["auroc"][1] > softmax["auroc"][2]  # `drawn` makes right answers from the margin alone
    assert sum(count for _, _, count in quoth["bins"]) == sum(count for _, _, count in softmax["bins"]) == 200

    answered = told.confidence >= 0.75
    assert 20 < answered.sum() < 180
    assert eighty == {
        "precision": 0.8,
        "threshold": 0.75,
        "answered": round(100 * answered.mean(), 1),
        "kept": round(100 * right[answered].mean(), 1),
    }
    assert set(ninety) == {"precision", "none"}
    assert ninety["none"].endswith("0.8 is the highest")


def test_a_threshold_that_nothing_reaches_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_asked(tmp_path / "asked.jsonl", drawn(30, 12))
    never = (Threshold(precision=0.9, min_confidence=1.0),)
    write_confidence(tmp_path, Confidence(weights=WEIGHTS, min_confidence=0.5, thresholds=never))
    main(file, tmp_path)

    *_, eighty, ninety = map(json.loads, capsys.readouterr().out.splitlines())
    assert eighty == {"precision": 0.8, "threshold": 1.0, "answered": 0.0, "kept": None}
    assert ninety == {**eighty, "precision": 0.9}
