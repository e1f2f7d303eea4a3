import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.squad import SquadAnswer, SquadParagraph, SquadQuestion, read_squad
from index.errors import DatasetError

Make = Callable[[str, str], Path]
CONTEXT = "The ship ran aground in the Suez Canal — 東京 — on Tuesday."


def document(**changes: Any) -> dict[str, Any]:
    """A small v2.0 file; `changes` are those of its first question."""
    answerable = {
        "id": "q1",
        "question": " Where? ",
        "answers": [{"text": "Suez Canal", "answer_start": 28}, {"text": "東京", "answer_start": 41}],
        **changes,
    }
    impossible = {
        "id": "q2",
        "question": "Who?",
        "is_impossible": True,
        "answers": [],
        "plausible_answers": [{"text": "The ship", "answer_start": 0}],
    }
    paragraphs = [{"context": CONTEXT, "qas": [answerable, impossible]}, {"context": "Nothing.", "qas": []}]
    return {"version": "v2.0", "data": [{"title": "Suez_Canal_(Egypt)", "paragraphs": paragraphs}]}


EXPECTED = [
    SquadParagraph(
        title="Suez Canal (Egypt)",
        context=CONTEXT,
        questions=(
            SquadQuestion(
                question_id="q1",
                question="Where?",
                answers=(SquadAnswer(text="Suez Canal", start=28), SquadAnswer(text="東京", start=41)),
            ),
            SquadQuestion(question_id="q2", question="Who?", answers=()),
        ),
    ),
    SquadParagraph(title="Suez Canal (Egypt)", context="Nothing.", questions=()),
]


def test_a_file_is_read_in_order(make: Make) -> None:
    paragraphs = read_squad(make("dev.json", json.dumps(document(), ensure_ascii=False)))
    assert paragraphs == EXPECTED
    for answer in paragraphs[0].questions[0].answers:
        assert CONTEXT[answer.start : answer.start + len(answer.text)] == answer.text


def test_a_gzipped_file_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "dev.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document()).encode(), mtime=0))
    assert read_squad(path) == EXPECTED


def test_a_v1_file_says_nothing_of_impossible_questions(make: Make) -> None:
    made = document()
    del made["data"][0]["paragraphs"][0]["qas"][1]
    del made["data"][0]["title"]
    (paragraph, _) = read_squad(make("dev.json", json.dumps(made)))
    assert paragraph.title == ""
    assert paragraph.questions == EXPECTED[0].questions[:1]


def test_the_answers_of_an_impossible_question_are_not_golds(make: Make) -> None:
    made = document(is_impossible=True)
    assert read_squad(make("dev.json", json.dumps(made)))[0].questions[0].answers == ()


@pytest.mark.parametrize("field", ["id", "question", "answers"])
def test_a_missing_field_of_a_question_is_named(make: Make, field: str) -> None:
    made = document()
    del made["data"][0]["paragraphs"][0]["qas"][0][field]
    with pytest.raises(DatasetError, match=rf"dev\.json: not in SQuAD form.*'{field}'"):
        read_squad(make("dev.json", json.dumps(made)))


@pytest.mark.parametrize(
    "made",
    [
        [],
        {},
        {"data": None},
        {"data": [1]},
        {"data": ["article"]},
        {"data": [{"title": "T"}]},
        {"data": [{"title": None, "paragraphs": []}]},
        {"data": [{"paragraphs": [{"qas": []}]}]},
        {"data": [{"paragraphs": [{"context": "C"}]}]},
        document(answers=[{"text": "Suez"}]),
        document(answers=["Suez"]),
        document(answers=None),
        document(question=5),
    ],
    ids=str,
)
def test_a_file_of_another_form_is_refused(make: Make, made: object) -> None:
    with pytest.raises(DatasetError, match=r"dev\.json: not in SQuAD form"):
        read_squad(make("dev.json", json.dumps(made)))


@pytest.mark.parametrize("text", ["", "not JSON", '{"data": ['])
def test_what_is_not_json_is_refused(make: Make, text: str) -> None:
    with pytest.raises(DatasetError, match=r"dev\.json: cannot be read as SQuAD-format JSON"):
        read_squad(make("dev.json", text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.json: cannot be read"):
        read_squad(tmp_path / "nowhere.json")


WHOLE = gzip.compress(json.dumps(document()).encode(), mtime=0)


@pytest.mark.parametrize(
    "data", [b"not gzip", WHOLE[:-20], WHOLE[:40] + b"\xff" * 20 + WHOLE[60:]], ids=["plain", "cut off", "damaged"]
)
def test_a_damaged_gzip_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "dev.json.gz"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"dev\.json\.gz: cannot be read"):
        read_squad(path)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    path.write_bytes('{"data": "é"}'.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"dev\.json: cannot be read"):
        read_squad(path)
