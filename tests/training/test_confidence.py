import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from eval.answer_metrics import RIGHT_F1, best_over_golds, f1
from qa.confidence import N_RIVALS, Confidence, Threshold, Weights, load_confidence
from tests.training.asked_parts import GOLD, asked, candidate, drawn, write_asked
from training.asked import Asked
from training.confidence import (
    MIN_ANSWERS,
    N_FEATURES,
    ONE_GOLD_F1,
    PRECISIONS,
    PULL,
    START,
    THRESHOLDS,
    Outcome,
    best_threshold,
    corpus,
    fit,
    least_f1,
    loss,
    outcome,
    precision_thresholds,
)

ROOT = Path(__file__).parents[2]
Floats = NDArray[np.float64]
UNEVEN = Weights(
    bias=-1.5,
    log_probability=0.4,
    margin=0.3,
    retrieval_score=1.5,
    others_margin=-0.1,
    others_retrieval_score=-0.5,
    margin_by_others_margin=0.1,
    margin_by_others_retrieval_score=-0.2,
)


def vector(weights: Weights) -> Floats:
    return np.array(list(dataclasses.asdict(weights).values()))


def deciding(weights: Weights) -> Confidence:
    return Confidence(weights=weights, min_confidence=0.0, thresholds=())


def slow_loss(weights: Weights, corpora: Sequence[Sequence[Asked]]) -> float:
    """What `loss` says it is, question by question, from the confidences that are given at answer time."""
    means = []
    for questions in corpora:
        losses, least = [], RIGHT_F1 if any(len(one.golds) > 1 for one in questions) else ONE_GOLD_F1
        for one in questions:
            scored, none_right = deciding(weights).score(one.found)
            scores = [best_over_golds(f1, s.candidate.text, one.golds) for s in scored]
            right = [s.confidence for s, score in zip(scored, scores, strict=True) if one.golds and score >= least]
            losses.append(-math.log(sum(right) if right else none_right))
        means.append(sum(losses) / len(losses))
    numbers = dataclasses.asdict(weights)
    pulled = sum(float(value) ** 2 for name, value in numbers.items() if name != "bias")
    return sum(means) / len(means) + PULL * pulled


def made(confidence: Sequence[float] | Floats, right: Sequence[float] | Floats | NDArray[np.bool_]) -> Outcome:
    """Outcomes of questions that all have an answer."""
    flags = np.array(right, dtype=np.bool_)
    given = flags.astype(np.float64)
    return Outcome(confidence=np.array(confidence), right=flags, given=given, withheld=np.zeros(len(flags)))


def test_a_corpus_holds_the_features_and_rightness_of_the_rivals_best_first() -> None:
    best, other = candidate("33 soldiers", margin=5.0, log_probability=-0.5), candidate("on Thursday", article_id="b")
    repeated = candidate("the 33 soldiers", article_id="c", margin=1.0)
    nothing = candidate("The")  # like no answer, once it is normalised
    questions = [asked([other, repeated, best], GOLD), asked([]), asked([best]), asked([nothing])]
    seen = corpus(questions, START)

    assert seen.features.shape == (4, N_RIVALS, N_FEATURES)
    assert seen.features[0, :2].tolist() == [
        [1.0, -0.5, 5.0, 0.5, -8.0, 0.5, -4.0, 2.5],
        [1.0, -1.0, 0.0, 0.5, -8.0, 0.5, 0.0, 0.0],
    ]
    assert seen.there.sum(axis=1).tolist() == [2, 0, 1, 1]
    assert seen.right[0].tolist() == [True] + [False] * (N_RIVALS - 1)
    assert not seen.right[1:].any()  # without a gold nothing is right
    assert not seen.features[~seen.there].any()


def test_less_counts_as_right_where_one_annotator_was_asked() -> None:
    found = candidate("the Turkish army of Idlib")  # F1 of 0.4 with "the army"
    one, several = asked([found], "the army"), asked([found], "the army", "soldiers")

    assert ONE_GOLD_F1 <= f1(found.text, "the army") < RIGHT_F1
    assert [least_f1(questions) for questions in ([one, one], [one, several])] == [ONE_GOLD_F1, RIGHT_F1]
    for questions, right in (([one, one], True), ([one, several], False)):
        assert corpus(questions, START).right[:, 0].tolist() == [right, right]
        assert outcome(deciding(START), questions).right.tolist() == [right, right]


def test_a_corpus_keeps_what_its_ranking_keeps() -> None:
    many = [candidate(f"text{i}", article_id=str(i), margin=float(i), retrieval_score=-float(i)) for i in range(15)]
    by_margin = dataclasses.replace(START, margin=1.0, retrieval_score=0.0)
    by_retrieval = dataclasses.replace(START, margin=0.0, retrieval_score=1.0)

    assert corpus([asked(many)], by_margin).features[0, :, 2].tolist() == list(range(14, 4, -1))
    assert corpus([asked(many)], by_retrieval).features[0, :, 2].tolist() == list(range(10))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=N_FEATURES, max_size=N_FEATURES), st.integers(0, 1000))
def test_the_loss_is_that_of_the_confidences_given_at_answer_time(numbers: list[float], seed: int) -> None:
    weights = Weights(**dict(zip(dataclasses.asdict(START), numbers, strict=True)))
    corpora = [drawn(4, seed), drawn(7, seed + 1)]

    value, _ = loss(vector(weights), [corpus(questions, weights) for questions in corpora])
    assert value == pytest.approx(slow_loss(weights, corpora))


@pytest.mark.parametrize("weights", [START, UNEVEN, Weights(**dict.fromkeys(dataclasses.asdict(START), 0.0))])
def test_the_gradient_is_the_slope_of_the_loss(weights: Weights) -> None:
    seen = [corpus(drawn(20, 1), START), corpus(drawn(35, 2), START)]

    _, slope = loss(vector(weights), seen)
    measured = approx_fprime(vector(weights), lambda at: loss(at, seen)[0], 1e-7)
    assert slope == pytest.approx(measured, rel=1e-4, abs=1e-5)


def test_the_loss_stays_a_number_where_what_is_right_is_hopeless() -> None:
    hopeless = asked([candidate(GOLD, margin=-900.0), candidate("seven", article_id="b", margin=900.0)], GOLD)
    weights = dataclasses.replace(START, bias=0.0, margin=1.0)

    value, slope = loss(vector(weights), [corpus([hopeless], weights)])
    assert value == pytest.approx(1800, rel=1e-3)
    assert slope[2] == pytest.approx(1800, rel=1e-3)


def test_corpora_count_alike_whatever_their_size() -> None:
    one, other = drawn(12, 3), drawn(30, 4)
    once = loss(vector(UNEVEN), [corpus(one, START), corpus(other, START)])
    often = loss(vector(UNEVEN), [corpus(one * 9, START), corpus(other, START)])
    together = loss(vector(UNEVEN), [corpus(one * 9 + other, START)])

    assert often[0] == pytest.approx(once[0])
    assert often[1] == pytest.approx(once[1])
    assert together[0] != pytest.approx(once[0], rel=1e-3)


def test_fitting_finds_the_least_loss() -> None:
    corpora = [drawn(400, 5), drawn(600, 6)]
    fitted = fit(corpora)

    least, slope = loss(vector(fitted), [corpus(questions, fitted) for questions in corpora])
    assert least < slow_loss(START, corpora)
    assert np.abs(slope).max() < 1e-2  # not 0: the rivals kept are those of the last fit but one
    for name, value in dataclasses.asdict(fitted).items():
        for step in (-0.1, 0.1):
            moved = dataclasses.replace(fitted, **{name: value + step})
            assert least < loss(vector(moved), [corpus(questions, fitted) for questions in corpora])[0]
    assert fitted.margin > 0.1  # what `drawn` makes right answers from


def test_an_outcome_is_that_of_the_best_candidate() -> None:
    right = asked([candidate("seven", article_id="b"), candidate("33 soldiers", margin=5.0)], GOLD, "40")
    wrong, lacking, nothing = asked([candidate("seven")], GOLD), asked([candidate("seven")]), asked([candidate("The")])
    told = outcome(deciding(START), [right, wrong, lacking, nothing, asked([], GOLD), asked([])])

    sure = [deciding(START).score(one.found)[0][0].confidence for one in (right, wrong, lacking, nothing)]
    assert told.confidence.tolist() == [*sure, 0.0, 0.0]
    assert told.right.tolist() == [True, False, False, False, False, False]
    assert told.given.tolist() == [pytest.approx(2 / 3), 0.0, 0.0, 1.0, 0.0, 1.0]
    assert told.withheld.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 1.0]


def test_no_candidate_is_never_right_even_beside_a_gold_that_normalises_to_nothing() -> None:
    told = outcome(deciding(START), [asked([], "The")])

    assert (told.confidence.tolist(), told.right.tolist()) == ([0.0], [False])


def test_the_default_threshold_refuses_where_refusing_is_right() -> None:
    lacking, there = [asked([candidate("seven", margin=1.0)])] * 3, [asked([candidate(GOLD, margin=9.0)], GOLD)] * 3
    told = [outcome(deciding(START), questions) for questions in (lacking, there)]

    assert told[0].confidence[0] < best_threshold(told) <= told[1].confidence[0]
    assert best_threshold(told[1:]) == 0.0  # the lowest of those that are equally good


def test_the_default_threshold_averages_over_corpora_whatever_their_size() -> None:
    # In the first refusing from 0.6 on is right for both; in the second it loses the one question.
    lacking = Outcome(
        confidence=np.full(50, 0.55), right=np.zeros(50, dtype=np.bool_), given=np.zeros(50), withheld=np.full(50, 0.4)
    )
    there = made([0.55], [1])

    assert best_threshold([lacking]) == 0.56
    assert best_threshold([lacking, there]) == 0.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=3))
def test_the_default_threshold_has_the_highest_mean_f1(seeds: list[int]) -> None:
    outcomes = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 12))
        withheld = (rng.random(n) < 0.4).astype(np.float64)
        told = made(rng.random(n).round(2), rng.random(n) < 0.5)
        outcomes.append(dataclasses.replace(told, given=rng.random(n) * (1 - withheld), withheld=withheld))

    def mean_f1(threshold: float) -> float:
        means = []
        for one in outcomes:
            rows = zip(one.confidence, one.given, one.withheld, strict=True)
            scores = [given if sure >= threshold else withheld for sure, given, withheld in rows]
            means.append(sum(scores) / len(scores))
        return float(sum(means) / len(means))

    assert mean_f1(best_threshold(outcomes)) == pytest.approx(max(mean_f1(threshold) for threshold in THRESHOLDS))


def slow_precision(outcomes: Sequence[Outcome], threshold: float) -> Fraction | None:
    """Exact; each question weighs one over the size of its corpus. None where too few are answered."""
    weighed, right, n_answered = Fraction(0), Fraction(0), 0
    for one in outcomes:
        rows = zip(one.confidence.tolist(), one.right.tolist(), strict=True)
        answered = [is_right for sure, is_right in rows if sure >= threshold]
        n_answered += len(answered)
        weighed += Fraction(len(answered), len(one.right))
        right += Fraction(sum(answered), len(one.right))
    return right / weighed if n_answered >= MIN_ANSWERS else None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(40, 300)), min_size=1, max_size=2), st.floats(0.1, 3))
def test_a_precision_is_kept_from_its_threshold_on_and_missed_just_below(
    drawn_from: list[tuple[int, int]], power: float
) -> None:
    outcomes = []
    for seed, n in drawn_from:
        rng = np.random.default_rng(seed)
        confidence = rng.random(n)
        outcomes.append(made(confidence, rng.random(n) < confidence**power))
    exact = {threshold: slow_precision(outcomes, threshold) for threshold in THRESHOLDS}
    known = {threshold: float(precision) for threshold, precision in exact.items() if precision is not None}
    found = {one.precision: one.min_confidence for one in precision_thresholds(outcomes)}

    for wanted in PRECISIONS:
        if wanted not in found:
            assert not known or known[max(known)] < wanted + 1e-9
            continue
        lowest = found[wanted]
        assert all(precision >= wanted - 1e-9 for threshold, precision in known.items() if threshold >= lowest)
        below = [threshold for threshold in known if threshold < lowest]
        assert not below or known[max(below)] < wanted + 1e-9
    assert list(found) == sorted(found)
    assert list(found.values()) == sorted(found.values())


def test_a_threshold_needs_enough_answers_over_all_corpora() -> None:
    lucky = made(np.full(MIN_ANSWERS - 1, 0.755), np.ones(MIN_ANSWERS - 1))
    assert precision_thresholds([lucky]) == ()
    assert precision_thresholds([]) == ()

    enough = precision_thresholds([lucky, made([0.755], [1])])
    assert enough == tuple(Threshold(precision=precision, min_confidence=0.0) for precision in PRECISIONS)


def test_thresholds_leave_what_is_wrong_below_them_and_no_more() -> None:
    # 100 right at 0.805, 100 wrong at 0.305: one half is right from 0 on, everything from 0.31 on.
    both = made(np.repeat([0.805, 0.305], 100), np.repeat([1.0, 0.0], 100))
    found = precision_thresholds([both])

    assert found[0] == Threshold(precision=0.5, min_confidence=0.0)
    assert {one.min_confidence for one in found[1:]} == {0.31}
    assert [one.precision for one in found] == PRECISIONS


def test_a_precision_that_is_lost_again_higher_up_has_no_threshold_below_that() -> None:
    # Right at 0.205 and 0.905, wrong at 0.605: from 0 on 2 of 3 are right, from 0.21 on only half are.
    lost = made(np.repeat([0.205, 0.605, 0.905], 100), np.repeat([1.0, 0.0, 1.0], 100))
    found = {one.precision: one.min_confidence for one in precision_thresholds([lost])}

    assert (found[0.5], found[0.51], found[0.66], found[0.99]) == (0.0, 0.61, 0.61, 0.61)


def test_precision_weighs_corpora_alike() -> None:
    bad, good = made(np.full(900, 0.5), np.zeros(900)), made(np.full(100, 0.5), np.ones(100))

    assert [one.precision for one in precision_thresholds([bad, good])] == [0.5]
    assert precision_thresholds([made(np.full(1000, 0.5), np.repeat([0.0, 1.0], [900, 100]))]) == ()


def test_the_command_writes_numbers_that_quoth_reads(tmp_path: Path) -> None:
    corpora = {"one.jsonl": drawn(150, 8), "other.jsonl": drawn(60, 9)}
    files = [write_asked(tmp_path / name, questions) for name, questions in corpora.items()]
    command = [sys.executable, "-m", "training.confidence", str(tmp_path), *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    read, told = load_confidence(tmp_path), json.loads(done.stdout)
    assert told == {
        "corpora": {"one.jsonl": 150, "other.jsonl": 60},
        **json.loads((tmp_path / "confidence.json").read_text()),
    }
    best = vector(fit(list(corpora.values())))
    assert vector(read.weights) == pytest.approx(best, abs=5.1e-5)
    outcomes = [outcome(read, questions) for questions in corpora.values()]
    assert read.min_confidence == best_threshold(outcomes)
    assert read.thresholds == precision_thresholds(outcomes) != ()
