import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from api.wiring import Archive
from eval.datasets import Question
from eval.runs import (
    OracleRetriever,
    check_archive,
    file_sha256,
    read_predictions,
    run,
    run_threshold,
    sample,
    write_json,
    write_run_facts,
)
from eval.scores import squad_predictions
from index.articles import make_article
from index.embedder import Embedder
from index.errors import DatasetError
from index.records import Filters
from qa.confidence import load_confidence
from qa.pipeline import Pipeline
from qa.reader import Reader
from tests.conftest import IDLIB, SUEZ, add

SOLDIERS = Question(
    question_id="soldiers",
    question="How many Turkish soldiers were killed in Idlib?",
    answers=("33", "at least 33"),
    article_ids=("idlib",),
    type="how many",
    hard=("number", "paraphrase"),
    split="tune",
)
SHIP = Question(
    question_id="ship",
    question=" Which canal did the Ever Given run aground in?\u2028",
    answers=("Suez Canal", "the Suez Canal"),
    article_ids=("suez",),
)
PERU = Question(question_id="peru", question="What is the capital of Peru?", answers=(), article_ids=())
QUESTIONS = [SOLDIERS, SHIP, PERU]


def ran(questions: list[Question], pipeline: Pipeline, out_dir: Path) -> int:
    """Run, and count how often progress was reported."""
    steps: list[None] = []
    run(questions, pipeline, out_dir, k=10, on_progress=lambda: steps.append(None))
    return len(steps)


def test_a_run_is_read_back_as_it_was_predicted(pipeline: Pipeline, tmp_path: Path) -> None:
    assert ran(QUESTIONS, pipeline, tmp_path / "deep" / "run") == 3
    read = list(read_predictions(tmp_path / "deep" / "run"))
    assert [p.question for p in read] == QUESTIONS
    for p in read:
        predicted = pipeline.predict(p.question.question)
        assert list(p.texts) == [scored.candidate.text for scored in predicted.candidates]
        assert list(p.article_ids) == [scored.candidate.article_id for scored in predicted.candidates]
        assert p.confidences == pytest.approx([scored.confidence for scored in predicted.candidates], abs=1e-6)
    assert {p.question.question_id: sum(p.passages_gold) for p in read} == {"soldiers": 1, "ship": 1, "peru": 0}
    assert read[0].passages_gold[0]
    assert read[0].texts[0] in SOLDIERS.answers
    assert "Suez" in read[1].texts[0]


def test_a_second_run_gives_the_same_bytes_and_its_own_timings(pipeline: Pipeline, tmp_path: Path) -> None:
    ran(QUESTIONS, pipeline, tmp_path / "one")
    ran(QUESTIONS, pipeline, tmp_path / "two")
    one, two = ((tmp_path / name / "predictions.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one.count(b"\n") == 3
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == ["predictions.jsonl", "timings.jsonl"]
    timings = [json.loads(line) for line in (tmp_path / "one" / "timings.jsonl").read_text().splitlines()]
    assert [timing["question_id"] for timing in timings] == ["soldiers", "ship", "peru"]
    assert all(timing["retrieve_ms"] > 0 and timing["read_ms"] > 0 for timing in timings)


def test_every_line_can_be_checked_against_the_articles(pipeline: Pipeline, tmp_path: Path) -> None:
    ran(QUESTIONS, pipeline, tmp_path)
    texts = {"idlib": IDLIB.text, "suez": SUEZ.text}
    for line in (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        record = json.loads(line)
        for found in record["candidates"]:
            assert texts[found["article_id"]][found["start"] : found["end"]] == found["text"]
        total = record["no_answer_probability"] + sum(found["confidence"] for found in record["candidates"])
        assert total == pytest.approx(1, abs=1e-4)
        for passage in record["passages"]:
            assert 0 <= passage["start"] < passage["end"] <= len(texts[passage["article_id"]])


def test_a_run_that_fails_leaves_nothing_half_written(pipeline: Pipeline, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(QUESTIONS, pipeline, tmp_path / "run", k=10, on_progress=stop)
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == []
    with pytest.raises(DatasetError, match="no finished run here"):
        list(read_predictions(tmp_path / "run"))


def test_a_question_that_cannot_be_asked_is_named_before_any_is(pipeline: Pipeline, tmp_path: Path) -> None:
    empty = Question(question_id="empty", question="?", answers=(), article_ids=())
    with pytest.raises(DatasetError, match="'empty': the question is empty"):
        ran([SOLDIERS, empty], pipeline, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere: no finished run here \(predictions\.jsonl is missing\)"):
        list(read_predictions(tmp_path / "nowhere"))


@pytest.mark.parametrize("line", ["{", "[]", '{"question_id": "q"}', "null"])
def test_a_damaged_line_of_a_run_is_named(tmp_path: Path, line: str, make: Callable[[str, str], Path]) -> None:
    make("predictions.jsonl", line + "\n")
    with pytest.raises(DatasetError, match=r"predictions\.jsonl, line 1"):
        list(read_predictions(tmp_path))


def test_the_oracle_gives_gold_passages_only(archive: Archive, tmp_path: Path) -> None:
    long = "The weather stayed mild all day. " * 80
    add(archive, make_article(article_id="suez", text=f"{long}It ran aground in the Suez Canal. {long}"))
    oracle = OracleRetriever(archive.library, QUESTIONS)
    ran(QUESTIONS, Pipeline(archive.library, oracle, Reader(threads=1), load_confidence()), tmp_path)
    soldiers, ship, peru = read_predictions(tmp_path)
    assert soldiers.passages_gold == (True,)
    assert set(soldiers.article_ids) == {"idlib"}
    assert 1 <= len(ship.passages_gold) < len(archive.library.article_passages("suez"))
    assert all(ship.passages_gold)
    assert "Suez" in ship.texts[0]
    assert (peru.texts, peru.passages_gold) == ((), ())


def test_equal_questions_share_their_golds_with_the_oracle_once_each_and_up_to_k(archive: Archive) -> None:
    same = Question(
        question_id="b", question=SOLDIERS.question, answers=("18,300", "33"), article_ids=("suez", "idlib")
    )
    oracle = OracleRetriever(archive.library, [SOLDIERS, same])
    found = oracle.retrieve(SOLDIERS.question, 10, Filters(source="nobody"))
    assert [(r.passage.article_id, r.retrieval_score) for r in found] == [("idlib", 1.0), ("suez", 1.0)]
    assert oracle.retrieve(SOLDIERS.question, 1, Filters()) == found[:1]


def test_a_gold_article_that_is_not_in_the_library_gives_no_passage(archive: Archive) -> None:
    lost = Question(question_id="a", question="Where?", answers=("33",), article_ids=("nowhere",))
    assert OracleRetriever(archive.library, [lost]).retrieve("Where?", 10, Filters()) == []


def test_a_sample_is_random_by_seed_and_in_order() -> None:
    questions = [Question(question_id=str(i), question="?", answers=(), article_ids=()) for i in range(50)]
    one, same, other = sample(questions, 10, 7), sample(questions, 10, 7), sample(questions, 10, 8)
    assert one == same != other
    places = [int(question.question_id) for question in one]
    assert places == sorted(set(places))
    assert len(places) == 10
    assert sample(questions, None, 7) == sample(questions, 50, 7) == sample(questions, 99, 7) == questions


def test_squad_predictions_are_empty_below_the_threshold(pipeline: Pipeline, tmp_path: Path) -> None:
    ran(QUESTIONS, pipeline, tmp_path)
    read = list(read_predictions(tmp_path))
    assert squad_predictions(read, 0.0) == {p.question.question_id: p.texts[0] for p in read}
    assert squad_predictions(read, 1.01) == {"soldiers": "", "ship": "", "peru": ""}
    between = (read[0].confidences[0] + read[2].confidences[0]) / 2
    assert squad_predictions(read, between)["soldiers"] in SOLDIERS.answers
    assert squad_predictions(read, between)["peru"] == ""


def test_run_facts_hold_the_hashes_of_models_and_data(
    make: Callable[[str, str], Path], tmp_path: Path, embedder: Embedder
) -> None:
    model, dataset = make("model.onnx", "weights"), make("q.jsonl", "{}\n")
    settings = {"seed": 7, "min_confidence": 0.25}
    write_run_facts(tmp_path, settings=settings, embedder=embedder.info, model_files=[model], dataset=dataset)
    facts = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert facts["settings"] == settings
    assert run_threshold(tmp_path) == 0.25
    assert facts["embedder"]["weights_sha256"] == embedder.info.weights_sha256
    assert facts["models"] == {"model.onnx": hashlib.sha256(b"weights").hexdigest()}
    assert facts["dataset"] == {"name": "q.jsonl", "sha256": hashlib.sha256(b"{}\n").hexdigest()}
    assert facts["versions"]["quoth"]


def test_an_archive_without_the_gold_articles_is_refused(archive: Archive) -> None:
    lost = Question(question_id="q", question="Where?", answers=("here",), article_ids=("lost",))
    check_archive(QUESTIONS, archive.library)
    with pytest.raises(DatasetError, match="'lost'"):
        check_archive([*QUESTIONS, lost], archive.library)


def test_json_is_switched_to_at_once(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    write_json(file, {"é": 1})
    write_json(file, {"é": 2})
    assert file.read_text(encoding="utf-8") == '{\n  "é": 2\n}\n'
    assert list(tmp_path.iterdir()) == [file]
    assert file_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()
