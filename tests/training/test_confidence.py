import math

import numpy as np
import pytest

from index.passages import CharSpan
from qa.candidates import Candidate
from qa.confidence import Confidence
from training.confidence import WEIGHTS, Asked, calibrate, confidence, example, fit, loss, with_threshold

GOLD = "33"


def candidate(text: str, margin: float, article_id: str) -> Candidate:
    return Candidate(
        article_id=article_id,
        span=CharSpan(0, len(text)),
        text=text,
        margin=margin,
        log_probability=-1.0,
        retrieval_score=0.5,
    )


def asked(n: int) -> list[Asked]:
    """Of every four questions one has no answer; a right candidate has the higher margin three times in four."""
    questions = []
    for i in range(n):
        there, usual = i % 4 != 0, i % 16 < 12
        right = candidate(GOLD, 6.0 if usual else 2.0, "a")
        wrong = candidate("seven", 3.0 if there else (-2.0 if usual else 3.0), "b")
        questions.append(Asked(golds=(GOLD,) if there else (), found=[right, wrong] if there else [wrong]))
    return questions


def weights_of(fitted: Confidence) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([getattr(fitted, name) for name in WEIGHTS])


def mean_loss(fitted: Confidence, questions: list[Asked]) -> float:
    return loss(weights_of(fitted), [example(one, fitted) for one in questions])


def test_the_loss_is_the_negative_log_probability_of_what_is_right() -> None:
    features, right = example(asked(2)[1], confidence(np.array([0.5, 0.0, 0.1, 0.0])))
    odds = [math.exp(0.5 + 0.1 * c[2]) for c in features]
    expected = -math.log(odds[int(right.argmax())] / (1 + sum(odds)))

    assert loss(np.array([0.5, 0.0, 0.1, 0.0]), [(features, right)]) == pytest.approx(expected)


def test_fitting_lowers_the_loss_and_learns_that_margins_matter() -> None:
    questions = asked(160)
    plain = confidence(np.array([0.0, 0.0, 0.01, 0.0]))
    fitted = fit(questions)

    assert mean_loss(fitted, questions) < mean_loss(plain, questions)
    assert fitted.margin > 0


def test_calibrating_changes_no_ranking_and_does_not_raise_the_loss() -> None:
    questions = asked(160)
    ranking = confidence(np.array([-3.0, 0.3, 0.8, 2.0]))
    calibrated = calibrate(ranking, questions)

    scale = calibrated.margin / ranking.margin
    assert scale > 0
    assert weights_of(calibrated)[1:] == pytest.approx(scale * weights_of(ranking)[1:])
    assert mean_loss(calibrated, questions) <= mean_loss(ranking, questions) + 1e-9


def test_the_threshold_refuses_where_refusing_is_right() -> None:
    found = [candidate("seven", 1.0, "b")]
    unanswerable = [Asked(golds=(), found=found)] * 3
    answerable = [Asked(golds=(GOLD,), found=[candidate(GOLD, 4.0, "a")])] * 3
    fitted = confidence(np.array([-2.0, 0.0, 1.0, 0.0]))
    threshold = with_threshold(fitted, [unanswerable, answerable]).min_confidence

    low = fitted.score(found)[0][0].confidence
    high = fitted.score(answerable[0].found)[0][0].confidence
    assert low < threshold <= high
