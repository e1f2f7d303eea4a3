import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_dataset
from eval.questions import Dataset, Question
from index.errors import DatasetError

Make = Callable[[str, str], Path]
GOOD = {
    "question_id": "q1",
    "question": "How many?",
    "answers": ["33", "at least 33"],
    "article_ids": ["idlib", "moscow"],
    "is_answerable": True,
}
NONE = {"question_id": "q2", "question": "Who?", "answers": [], "article_ids": [], "is_answerable": False}
NATURAL = {"question": "where is the suez canal", "answer": ["Egypt", "in Egypt"]}


def lines(*records: Any) -> str:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n"


def test_own_records_are_read_in_order_with_all_fields(make: Make) -> None:
    full = {**GOOD, "asked_on": "2020-03-03", "type": "how many", "hard": ["number"], "near": ["x"], "split": "tune"}
    found = read_dataset(make("q.jsonl", lines(full) + "\n  \n" + lines(NONE)))
    assert found == Dataset(
        questions=[
            Question(
                question_id="q1",
                question="How many?",
                answers=("33", "at least 33"),
                article_ids=("idlib", "moscow"),
                asked_on=date(2020, 3, 3),
                type="how many",
                hard=("number",),
                split="tune",
                near=("x",),
            ),
            Question(question_id="q2", question="Who?", answers=(), article_ids=()),
        ],
        articles=None,
    )
    assert [question.is_answerable for question in found.questions] == [True, False]


def test_a_gzipped_file_is_read_alike(tmp_path: Path, make: Make) -> None:
    text = lines(GOOD, NONE)
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    assert read_dataset(tmp_path / "q.jsonl.gz") == read_dataset(make("q.jsonl", text))


def test_natural_questions_get_ids_from_their_lines_and_have_no_known_article(make: Make) -> None:
    found = read_dataset(make("nq.jsonl", "\n" + lines(NATURAL) + "\n" + lines({**NATURAL, "answer": ["Suez"]})))
    assert found == Dataset(
        questions=[
            Question(
                question_id="line-2", question="where is the suez canal", answers=("Egypt", "in Egypt"), article_ids=()
            ),
            Question(question_id="line-4", question="where is the suez canal", answers=("Suez",), article_ids=()),
        ],
        articles=None,
    )
    assert all(question.is_answerable for question in found.questions)


@pytest.mark.parametrize("records", [(GOOD, NATURAL), (NATURAL, GOOD)])
def test_forms_do_not_mix(make: Make, records: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(DatasetError, match=r"q\.jsonl: 1 bad record:\n  q\.jsonl, line 2: .*do not mix"):
        read_dataset(make("q.jsonl", lines(*records)))


def test_golds_are_put_into_nfc_as_articles_are_and_equal_ones_become_one(make: Make) -> None:
    golds = ["Jose\u0301", "Jos\u00e9", "a\r\nb"]
    for record in ({**GOOD, "answers": golds}, {**NATURAL, "answer": golds}):
        assert read_dataset(make("q.jsonl", lines(record))).questions[0].answers == ("Jos\u00e9", "a\nb")


def test_numbers_are_ids_too(make: Make) -> None:
    found = read_dataset(make("q.jsonl", lines({**GOOD, "question_id": 12}, NONE)))
    assert [question.question_id for question in found.questions] == ["12", "q2"]
    with pytest.raises(DatasetError, match="line 2: question_id '12' was used before"):
        read_dataset(make("q.jsonl", lines({**GOOD, "question_id": 12}, {**GOOD, "question_id": "12"})))


def test_null_is_as_good_as_absent_where_a_field_may_be_absent(make: Make) -> None:
    nulls = dict.fromkeys(("asked_on", "type", "hard", "near", "split"))
    assert read_dataset(make("q.jsonl", lines({**GOOD, **nulls}))) == read_dataset(make("p.jsonl", lines(GOOD)))


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\u0085", "\ufffd", "👍🏽"])
def test_characters_that_some_take_for_line_ends_do_not_end_a_line(make: Make, char: str) -> None:
    question = f"How many{char}in Idlib?"
    found = read_dataset(make("q.jsonl", lines({**GOOD, "question": question})))
    assert found.questions[0].question == question


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines(GOOD, NONE).replace("\n", "\r\n").encode())
    assert [question.question_id for question in read_dataset(path).questions] == ["q1", "q2"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"question": None}, "field 'question' is null"),
    ({"question": 5}, "field 'question' must be text, not 5"),
    ({"question": " ?"}, "the question is empty"),
    ({"question": "x" * 1001}, "the question has 1001 characters"),
    ({"question": "Who\ud800?"}, "surrogate"),
    ({"question_id": ""}, "field 'question_id' must be an id, not ''"),
    ({"question_id": True}, "field 'question_id' must be an id, not True"),
    ({"question_id": 1.5}, "field 'question_id' must be an id, not 1.5"),
    ({"answers": "33"}, "field 'answers' must be a list, not '33'"),
    ({"answers": [33]}, "field 'answers' must be a list of texts, and holds 33"),
    ({"answers": ["33", " "]}, "field 'answers' must be a list of texts, and holds ' '"),
    ({"answers": None}, "field 'answers' is null"),
    ({"answers": []}, "'is_answerable' is true and there are 0 answers"),
    ({"is_answerable": False}, "'is_answerable' is false and there are 2 answers"),
    ({"is_answerable": 1}, "field 'is_answerable' must be true or false, not 1"),
    ({"article_ids": "idlib"}, "field 'article_ids' must be a list, not 'idlib'"),
    ({"article_ids": []}, "'article_ids' names 0 articles for 2 answers"),
    ({"asked_on": "yesterday"}, "field 'asked_on' is 'yesterday': give an ISO 8601 date"),
    ({"asked_on": 20200303}, "field 'asked_on' is 20200303"),
    ({"hard": "number"}, "field 'hard' must be a list, not 'number'"),
    ({"type": ["how"]}, "field 'type' must be text"),
    ({"answer": ["33"]}, "unknown field 'answer': the fields are question_id, "),
    ({"colour": "red"}, "unknown field 'colour': the fields are question_id, "),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[str(change)[:40] for change, _ in BAD])
def test_a_bad_record_is_named_by_its_line(make: Make, change: dict[str, Any], message: str) -> None:
    text = lines(NONE) + "\n" + json.dumps({**GOOD, **change})
    with pytest.raises(DatasetError, match=rf"q\.jsonl: 1 bad record:\n  q\.jsonl, line 3: .*{message}"):
        read_dataset(make("q.jsonl", text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": []}, "field 'answer' is an empty list"),
        ({"answer": "Egypt"}, "field 'answer' must be a list"),
        ({"question": ""}, "the question is empty"),
        ({"id": "x"}, "unknown field 'id': the fields are question, answer"),
    ],
    ids=str,
)
def test_a_bad_natural_question_is_named_by_its_line(make: Make, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=rf"nq\.jsonl, line 2: {message}"):
        read_dataset(make("nq.jsonl", lines(NATURAL, {**NATURAL, **change})))


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(make: Make, field: str) -> None:
    record = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(DatasetError, match=rf"q\.jsonl, line 1: field '{field}' is missing"):
        read_dataset(make("q.jsonl", lines(record)))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[1]", r"a JSON object is needed, not \[1\]"),
        ("5", "a JSON object is needed, not 5"),
        ("{", "not JSON: Expecting property name"),
        ('{"question": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
        ("[" * 100_000, "not JSON: maximum recursion depth"),
    ],
    ids=["list", "number", "cut off", "huge number", "deep"],
)
def test_a_line_that_is_no_json_object_is_named(make: Make, line: str, problem: str) -> None:
    with pytest.raises(DatasetError, match=rf"q\.jsonl, line 2: {problem}"):
        read_dataset(make("q.jsonl", lines(GOOD) + line + "\n"))


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes(lines(GOOD).encode() + lines({**NONE, "question": "Où?"}).encode("latin-1"))
    with pytest.raises(DatasetError, match=r"latin\.jsonl, line 2: not UTF-8 text \(byte 37 of the line\)"):
        read_dataset(path)


def test_an_id_used_twice_is_named(make: Make) -> None:
    with pytest.raises(DatasetError, match=r"q\.jsonl, line 3: question_id 'q1' was used before"):
        read_dataset(make("q.jsonl", lines(GOOD, NONE, GOOD)))
