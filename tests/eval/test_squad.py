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


def test_fields_that_the_form_does_not_know_are_let_be(make: Make) -> None:
    made = document(offset="unique")
    made["url"] = "x"
    made["data"][0]["paragraphs"][0]["document_id"] = 5
    assert read_squad(make("dev.json", json.dumps(made))) == EXPECTED


def test_offsets_are_those_of_the_text_as_it_stands_in_the_file(make: Make) -> None:
    context = "Zoe\u0308\r\nsaw Suez."  # NFC and line ends are made later: here they would move the answer
    made = document(answers=[{"text": "Suez", "answer_start": 10}])
    made["data"][0]["paragraphs"][0]["context"] = context
    (paragraph, _) = read_squad(make("dev.json", json.dumps(made)))
    assert paragraph.context == context
    assert paragraph.questions[0].answers == (SquadAnswer(text="Suez", start=10),)


QUESTION = r"article 1 \(Suez_Canal_\(Egypt\)\), paragraph 1, question "
BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"answers": [{"text": "Suez", "answer_start": 29}]},
        "the answer 'Suez' is not at its 'answer_start', 29: it stands",
    ),
    (
        {"answers": [{"text": "Suez", "answer_start": 28 - len(CONTEXT)}]},
        f"the answer 'Suez' is not at its 'answer_start', {28 - len(CONTEXT)}",
    ),
    ({"answers": [{"text": "suez", "answer_start": 28}]}, "'answer_start', 28: it does not stand in the paragraph"),
    ({"answers": [{"text": "Tuesday.x", "answer_start": 49}]}, "it does not stand in the paragraph"),
    ({"answers": [{"text": "Suez", "answer_start": "28"}]}, "'answer_start' must be a whole number, not '28'"),
    ({"answers": [{"text": "Suez"}]}, "'answer_start' must be a whole number, not None"),
    ({"answers": [{"text": "T", "answer_start": False}]}, "'answer_start' must be a whole number, not False"),
    ({"answers": [{"answer_start": 0}]}, "field 'text' is missing"),
    ({"answers": [{"text": "", "answer_start": 0}]}, "an answer is empty"),
    ({"answers": ["Suez"]}, "a JSON object is needed, not 'Suez'"),
    ({"answers": None}, "field 'answers' is null"),
    ({"answers": [], "is_impossible": False}, "'is_impossible' is false and there are 0 answers"),
    ({"is_impossible": True}, "'is_impossible' is true and there are 2 answers"),
    ({"is_impossible": "no"}, "field 'is_impossible' must be true or false, not 'no'"),
    ({"question": 5}, "field 'question' must be text, not 5"),
    ({"question": " ? "}, "the question is empty"),
    ({"question": "x" * 1001}, "the question has 1001 characters"),
]


@pytest.mark.parametrize(("change", "problem"), BAD, ids=[str(change)[:60] for change, _ in BAD])
def test_a_bad_question_is_named_by_its_place(make: Make, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(DatasetError, match=rf"dev\.json: 1 bad record:\n  {QUESTION}q1: .*{problem}"):
        read_squad(make("dev.json", json.dumps(document(**change))))


@pytest.mark.parametrize(("question_id", "problem"), [(5, "must be text, not 5"), (None, "is null")])
def test_a_question_without_a_good_id_is_named_by_its_number(make: Make, question_id: object, problem: str) -> None:
    with pytest.raises(DatasetError, match=rf"  {QUESTION}1: field 'id' {problem}"):
        read_squad(make("dev.json", json.dumps(document(id=question_id))))


def test_an_id_used_twice_is_named(make: Make) -> None:
    with pytest.raises(DatasetError, match=rf"  {QUESTION}q2: the id was used before"):
        read_squad(make("dev.json", json.dumps(document(id="q2"))))


@pytest.mark.parametrize("field", ["id", "question", "answers"])
def test_a_missing_field_of_a_question_is_named(make: Make, field: str) -> None:
    made = document()
    del made["data"][0]["paragraphs"][0]["qas"][0][field]
    with pytest.raises(DatasetError, match=rf"{QUESTION}(q1|1): field '{field}' is missing"):
        read_squad(make("dev.json", json.dumps(made)))


@pytest.mark.parametrize(
    ("article", "problem"),
    [
        (1, "article 1: a JSON object is needed, not 1"),
        ({"title": "T"}, "article 1: field 'paragraphs' is missing"),
        ({"title": ["T"], "paragraphs": []}, r"article 1: field 'title' must be text, not \['T'\]"),
        ({"paragraphs": [{"qas": []}]}, "article 1, paragraph 1: field 'context' is missing"),
        ({"paragraphs": [{"context": "C"}]}, "article 1, paragraph 1: field 'qas' is missing"),
        (
            {"paragraphs": [{"context": " ", "qas": []}]},
            "article 1, paragraph 1: the paragraph cannot be stored: field 'text' is empty",
        ),
        (
            {"paragraphs": [{"context": "C\x00", "qas": []}]},
            "article 1, paragraph 1: the paragraph cannot be stored: field 'text' holds a NUL",
        ),
        ({"paragraphs": [5]}, "article 1, paragraph 1: a JSON object is needed, not 5"),
    ],
    ids=str,
)
def test_a_bad_article_or_paragraph_is_named_by_its_place(make: Make, article: object, problem: str) -> None:
    with pytest.raises(DatasetError, match=rf"dev\.json: 1 bad record:\n  {problem}"):
        read_squad(make("dev.json", json.dumps({"data": [article]})))


def test_all_that_is_bad_is_told_at_once(make: Make) -> None:
    made = document(question="")
    made["data"][0]["paragraphs"][1]["context"] = ""
    made["data"].append({"title": "T"})
    with pytest.raises(DatasetError) as raised:
        read_squad(make("dev.json", json.dumps(made)))
    head, *named = str(raised.value).split("\n")
    assert head.endswith("dev.json: 3 bad records:")
    assert [fault.partition(": ")[0].strip() for fault in named] == [
        "article 1 (Suez_Canal_(Egypt)), paragraph 1, question q1",
        "article 1 (Suez_Canal_(Egypt)), paragraph 2",
        "article 2",
    ]


@pytest.mark.parametrize("made", [[], {}, {"data": None}, {"data": {}}, 5], ids=str)
def test_a_file_of_another_form_is_refused(make: Make, made: object) -> None:
    with pytest.raises(DatasetError, match=r"dev\.json: not in SQuAD form: (field 'data'|a JSON object is needed)"):
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
