import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eval.questions import Question
from eval.run_folder import (
    PassageInText,
    PassageRef,
    PredictedCandidate,
    PredictedQuestion,
    RankedPassage,
    dumps,
    parse_prediction,
    prediction_line,
    read_passages,
    read_predictions,
    read_run,
    read_timings,
    write_json,
    write_text,
)
from index.errors import DatasetError
from tests.eval.made import predicted

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["\u2028", "\u2029 \x85", "\r\n", 'say "no"', "\\", "\x00", "Erdog\u0306an", "👩", "}{", "null"]),
)
SHARES = st.floats(0, 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
PLACES = st.builds(PassageRef, TEXTS, st.integers(0), st.integers(0))
QUESTIONS = st.builds(
    Question,
    question_id=TEXTS,
    question=TEXTS,
    answers=st.lists(TEXTS, max_size=3).map(tuple),
    article_ids=st.lists(TEXTS, max_size=3).map(tuple),
    asked_on=st.none() | st.dates(),
    type=TEXTS,
    hard=st.lists(TEXTS, max_size=3).map(tuple),
    split=TEXTS,
    near=st.lists(TEXTS, max_size=3).map(tuple),
    grades=st.lists(st.integers(1, 9), max_size=3).map(tuple),
)
CANDIDATES = st.builds(
    PredictedCandidate,
    text=TEXTS,
    confidence=SHARES,
    article_id=TEXTS,
    start=st.integers(0),
    end=st.integers(0),
    margin=NUMBERS,
    log_probability=NUMBERS,
    retrieval_score=SHARES,
)
RANKED = st.builds(
    RankedPassage, place=PLACES, retrieval_score=SHARES, grade=st.integers(0, 9), holds_answer=st.booleans()
)
PREDICTED = st.builds(
    PredictedQuestion,
    question=QUESTIONS,
    candidates=st.lists(CANDIDATES, max_size=2).map(tuple),
    no_answer_probability=SHARES,
    passages=st.lists(RANKED, max_size=2).map(tuple),
    gold_grades=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    gold_passages=st.lists(PLACES, max_size=2).map(tuple),
    citation_valid=st.none() | st.booleans(),
)
HELD = predicted("first\u2028", ["33", 'the "33"'], [("33", 0.1 + 0.2)], passages_gold=[True, False], hard=["far"])
SETTINGS = {"min_confidence": 0.25, "seed": 7}
RUN = {"inputs": {"dataset": {"name": "dev.json"}, "settings": SETTINGS}, "machine": {"cores": 2}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of two questions."""
    lines = [prediction_line(HELD), prediction_line(predicted("second", [], []))]
    write_text(tmp_path / "predictions.jsonl", "".join(f"{line}\n" for line in lines))
    passages = [
        {"place": {"article_id": "a", "start": 0, "end": 9}, "title": "A\u2028title", "text": 'a "text"\n'},
        {"place": {"article_id": "a", "start": 5, "end": 9}, "title": "", "text": "xt\u2028\n"},
    ]
    write_text(tmp_path / "passages.jsonl", "".join(f"{dumps(passage)}\n" for passage in passages))
    timings = [{"question_id": "first\u2028", "retrieve_ms": 1.5, "read_ms": 20}, {"retrieve_ms": 2, "read_ms": 0.25}]
    write_text(tmp_path / "timings.jsonl", "".join(f"{dumps(timing)}\n" for timing in timings))
    write_json(tmp_path / "run.json", RUN)
    return tmp_path


@settings(deadline=None)
@given(PREDICTED)
@example(HELD)
def test_a_prediction_is_read_back_from_its_line_and_gives_the_same_line_again(prediction: PredictedQuestion) -> None:
    line = prediction_line(prediction)
    assert "\n" not in line
    assert "\r" not in line
    assert parse_prediction(line) == prediction
    assert prediction_line(parse_prediction(line)) == line


def test_dates_and_grades_are_read_back_as_what_they_are() -> None:
    question = Question(
        question_id="q", question="?", answers=(), article_ids=("a", "b"), asked_on=date(2020, 2, 28), grades=(2, 1)
    )
    prediction = PredictedQuestion(
        question=question,
        candidates=(),
        no_answer_probability=1.0,
        passages=(),
        gold_grades=(2, 1),
        gold_passages=(),
        citation_valid=None,
    )
    record = json.loads(prediction_line(prediction))
    assert (record["asked_on"], record["grades"], record["citation_valid"]) == ("2020-02-28", [2, 1], None)
    assert parse_prediction(prediction_line(prediction)) == prediction


def test_a_run_folder_is_read_back_by_value(folder: Path) -> None:
    assert read_predictions(folder) == [HELD, predicted("second", [], [])]
    assert read_predictions(folder)[0].confidence == 0.1 + 0.2  # to the last bit
    whole, part = PassageRef("a", 0, 9), PassageRef("a", 5, 9)
    assert read_passages(folder) == {
        whole: PassageInText(place=whole, title="A\u2028title", text='a "text"\n'),
        part: PassageInText(place=part, title="", text="xt\u2028\n"),
    }
    timings = {stage: values.tolist() for stage, values in read_timings(folder).items()}
    assert timings == {"retrieve_ms": [1.5, 2], "read_ms": [20, 0.25], "total_ms": [21.5, 2.25]}
    facts = read_run(folder)
    assert (facts.dataset, facts.min_confidence, facts.settings) == ("dev.json", 0.25, SETTINGS)
    assert facts.document == RUN


def test_what_is_given_under_a_threshold() -> None:
    assert HELD.confidence == 0.1 + 0.2
    assert (HELD.best_text, HELD.given(0.0), HELD.given(0.1 + 0.2), HELD.given(0.4)) == ("33", "33", "33", "")
    silent = predicted("silent", ["33"], [])
    assert (silent.confidence, silent.best_text, silent.given(0.0)) == (0.0, "", "")


READERS = [read_predictions, read_passages, read_timings, read_run]


@pytest.mark.parametrize("read", READERS)
def test_a_folder_without_a_finished_run_says_so(folder: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DatasetError, match="nowhere: no finished run here"):
        read(folder / "nowhere")
    (folder / "run.json").unlink()  # as when a run was stopped while it replaced this one
    with pytest.raises(DatasetError, match=r"no finished run here.*run\.json"):
        read(folder)


@pytest.mark.parametrize("name", ["predictions.jsonl", "passages.jsonl", "timings.jsonl"])
def test_a_missing_or_undecodable_file_is_named(folder: Path, name: str) -> None:
    read = dict(zip(("predictions.jsonl", "passages.jsonl", "timings.jsonl"), READERS, strict=False))[name]
    (folder / name).write_bytes(b"\xff\n")
    with pytest.raises(DatasetError, match=rf"no finished run here \({name}: .*0xff"):
        read(folder)
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=rf"no finished run here \({name}: "):
        read(folder)


@pytest.mark.parametrize("line", ["", "{", "[]", "null", "3", '{"question_id": "q"}', '{"place": "a", "title": ""}'])
@pytest.mark.parametrize("read", READERS[:3])
def test_a_damaged_line_is_named_by_file_and_line(folder: Path, line: str, read: Callable[[Path], object]) -> None:
    for name in ("predictions.jsonl", "passages.jsonl", "timings.jsonl"):
        first = (folder / name).read_text(encoding="utf-8").split("\n")[0]
        write_text(folder / name, f"{first}\n{line}\n{first}\n")
    with pytest.raises(DatasetError, match=r"s\.jsonl, line 2: damaged .*; run it again"):
        read(folder)


def test_a_field_too_many_is_damage(folder: Path) -> None:
    record = json.loads(prediction_line(HELD))
    record["candidates"][0]["colour"] = "red"
    write_text(folder / "predictions.jsonl", f"{dumps(record)}\n")
    with pytest.raises(DatasetError, match=r"predictions\.jsonl, line 1: damaged .*colour"):
        read_predictions(folder)


@pytest.mark.parametrize("read", READERS[:3])
def test_a_last_line_without_its_end_is_not_left_out_in_silence(folder: Path, read: Callable[[Path], object]) -> None:
    for name in ("predictions.jsonl", "passages.jsonl", "timings.jsonl"):
        write_text(folder / name, (folder / name).read_text(encoding="utf-8")[:-2])
    with pytest.raises(DatasetError, match=r"s\.jsonl, line 2: damaged \(it has no end\)"):
        read(folder)


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"inputs": {"settings": {"min_confidence": 0.5}}}',
        '{"inputs": {"settings": {}, "dataset": {"name": "d"}}}',
        '{"inputs": {"settings": {"min_confidence": null}, "dataset": {"name": "d"}}}',
        '{"settings": {"min_confidence": 0.5}, "dataset": {"name": "d"}}',
    ],
)
def test_a_run_json_that_is_none_is_refused(folder: Path, document: str) -> None:
    write_text(folder / "run.json", document)
    with pytest.raises(DatasetError, match=r"no finished run here \(run\.json: "):
        read_run(folder)


def test_json_is_switched_to_at_once_and_only_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    write_json(file, {"é": 1})
    write_json(file, {"é\u2028": 2})
    assert file.read_text(encoding="utf-8") == '{\n  "é\u2028": 2\n}\n'
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(UnicodeEncodeError):
        write_json(file, {"text": "\ud800"})
    assert json.loads(file.read_text(encoding="utf-8")) == {"é\u2028": 2}
