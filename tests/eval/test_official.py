"""A run's files, scored by us and by a slow reference of the official scripts, which knows the files alone."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.answer_metrics import best_over_golds, exact_match, f1
from eval.datasets import read_dataset
from eval.metrics import metric
from eval.outcomes import Outcomes, outcomes
from eval.questions import Question
from eval.run_folder import PREDICTIONS, RUN, PredictedCandidate, PredictedQuestion, prediction_line, read_predictions
from eval.scores import squad_predictions
from tests.eval.official import official_v1, official_v2

WORDS = [
    "the", "a", "An", "The", "canal", "Canal.", "Suez", "33", "U.S.", "$3.6", "Erdoğan", "東京", "-", "“ship”",
    "twenty-two", "it's", "İzmir", "…", "_a_", "at",
]  # fmt: skip
EMPTY = {"the", "a", "An", "The", "-", "_a_"}  # nothing is left of these
N = 400
THRESHOLDS = [0.0, 0.35, 0.8, 1.0]


def squad_file(path: Path, rng: random.Random, *, impossible: float, vocabulary: list[str] = WORDS) -> Path:
    """A SQuAD-format file of random words; that share of its questions has no answer."""
    qas: list[dict[str, Any]] = []
    words = [rng.choice(vocabulary) for _ in range(2000)]
    context = " ".join(words)
    starts = [len(" ".join(words[:i])) + (i > 0) for i in range(len(words))]
    for number in range(N):
        answers = []
        for _ in range(rng.randint(1, 4)):
            first, length = rng.randrange(len(words) - 4), rng.randint(1, 4)
            answers.append({"text": " ".join(words[first : first + length]), "answer_start": starts[first]})
        none = rng.random() < impossible
        answers = [] if none else answers
        qas.append({"id": f"q{number}", "question": "Which?", "answers": answers, "is_impossible": none})
    document = {"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": context, "qas": qas}]}]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def golds_of(squad: Path) -> dict[str, list[str]]:
    """The golds as they stand in the file."""
    (article,) = json.loads(squad.read_text(encoding="utf-8"))["data"]
    return {qa["id"]: [answer["text"] for answer in qa["answers"]] for qa in article["paragraphs"][0]["qas"]}


def text_for(question: Question, rng: random.Random) -> str:
    """Something that was read: a gold, a part of one, more than one, or anything else."""
    gold = rng.choice(question.answers or ("33",)).split()
    kind = rng.randrange(6)
    if kind == 0:
        return " ".join(gold)
    if kind == 1:
        return " ".join(gold[:-1]) or "the"
    if kind == 2:
        return f"The {' '.join(gold)}.".upper()
    if kind == 3:
        return " ".join([*gold, rng.choice(WORDS)])
    return rng.choice(WORDS) if kind == 4 else " ".join(rng.choices(WORDS, k=3))


def write_run(folder: Path, squad: Path, rng: random.Random) -> None:
    """`predictions.jsonl` with an answer to most questions, no two of the same confidence."""
    lines = []
    confidences = rng.sample(range(1, 1_000_000), N)
    for question, confidence in zip(read_dataset(squad).questions, confidences, strict=True):
        text = text_for(question, rng)
        best = PredictedCandidate(
            text=text, confidence=confidence / 1_000_000, article_id="a", start=0, end=len(text), margin=0.0,
            log_probability=0.0, retrieval_score=0.0,
        )  # fmt: skip
        candidates = (best,) if rng.random() < 0.95 else ()
        predicted = PredictedQuestion(
            question=question,
            candidates=candidates,
            no_answer_probability=0.0,
            passages=(),
            gold_grades=(),
            gold_passages=(),
            citation_valid=True if candidates else None,
        )
        lines.append(prediction_line(predicted) + "\n")
    (folder / PREDICTIONS).write_text("".join(lines), encoding="utf-8")
    (folder / RUN).write_text("{}")


def given_at(folder: Path, threshold: float) -> tuple[dict[str, str], Outcomes]:
    """What the official scripts get, through the file, and our columns."""
    predicted = read_predictions(folder)
    file = folder / "squad_predictions.json"
    file.write_text(json.dumps(squad_predictions(predicted, threshold)), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8")), outcomes(predicted, threshold)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_run_scores_as_the_official_v2_script_scores_its_file(tmp_path: Path, threshold: float) -> None:
    rng = random.Random(7)  # noqa: S311 (no secret is made)
    squad = squad_file(tmp_path / "dev.json", rng, impossible=1 / 3)
    write_run(tmp_path, squad, rng)
    predictions, ours = given_at(tmp_path, threshold)
    no_answer = {p.question.question_id: 1 - p.confidence for p in read_predictions(tmp_path)}
    official = official_v2(golds_of(squad), predictions, no_answer)
    unanswerable = ours.take(np.flatnonzero(ours["answerable"] == 0))
    scores = {
        "exact": metric("em").of(ours),
        "f1": metric("f1").of(ours),
        "HasAns_exact": metric("has_answer_em").of(ours),
        "HasAns_f1": metric("has_answer_f1").of(ours),
        "NoAns_exact": metric("em").of(unanswerable),
        "NoAns_f1": metric("f1").of(unanswerable),
    }
    assert {name: 100 * value for name, value in scores.items()} == pytest.approx(
        {name: official[name] for name in scores}, abs=1e-10
    )


def test_the_best_thresholds_score_as_in_the_official_v2_script(tmp_path: Path) -> None:
    rng = random.Random(11)  # noqa: S311
    squad = squad_file(tmp_path / "dev.json", rng, impossible=1 / 2)
    write_run(tmp_path, squad, rng)
    predictions, ours = given_at(tmp_path, 0.0)
    no_answer = {p.question.question_id: 1 - p.confidence for p in read_predictions(tmp_path)}
    official = official_v2(golds_of(squad), predictions, no_answer)
    assert 100 * metric("best_em").of(ours) == pytest.approx(official["best_exact"], abs=1e-10)
    assert 100 * metric("best_f1").of(ours) == pytest.approx(official["best_f1"], abs=1e-10)
    assert official["best_f1"] > official["f1"] + 1  # refusing gains something here, or this would show nothing


def test_a_run_without_unanswerable_questions_scores_as_the_official_v1_script_scores_its_file(tmp_path: Path) -> None:
    rng = random.Random(13)  # noqa: S311
    squad = squad_file(tmp_path / "dev.json", rng, impossible=0)
    write_run(tmp_path, squad, rng)
    predictions, ours = given_at(tmp_path, 0.0)
    official = official_v1(golds_of(squad), predictions)
    questions = read_dataset(squad).questions
    em = [best_over_golds(exact_match, predictions[q.question_id], q.answers, version=1) for q in questions]
    f1_scores = [
        best_over_golds(
            lambda given, gold: f1(given, gold, version=1), predictions[q.question_id], q.answers, version=1
        )
        for q in questions
    ]
    assert 100 * sum(em) / N == pytest.approx(official["exact_match"], abs=1e-10)
    assert 100 * sum(f1_scores) / N == pytest.approx(official["f1"], abs=1e-10)
    # "the" and "-" are golds here, as "." is in SQuAD 1.1 dev: there the two scripts part, and a run follows v2.0
    assert 100 * metric("always_em").of(ours) != pytest.approx(official["exact_match"], abs=1e-10)


def test_where_every_gold_has_a_word_the_two_scripts_and_a_run_agree(tmp_path: Path) -> None:
    rng = random.Random(17)  # noqa: S311
    solid = [word for word in WORDS if word not in EMPTY]
    squad = squad_file(tmp_path / "dev.json", rng, impossible=0, vocabulary=solid)
    write_run(tmp_path, squad, rng)
    predictions, ours = given_at(tmp_path, 0.0)
    official = official_v1(golds_of(squad), predictions)
    assert 100 * metric("always_em").of(ours) == pytest.approx(official["exact_match"], abs=1e-10)
    assert 100 * metric("always_f1").of(ours) == pytest.approx(official["f1"], abs=1e-10)
