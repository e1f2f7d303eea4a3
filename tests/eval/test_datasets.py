import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import Dataset, Question, read_dataset
from index.articles import make_article
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


def lines(*records: Any) -> str:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n"


def squad(*paragraphs: tuple[str, str, list[tuple[str, list[str]]]]) -> str:
    """A SQuAD-format file of titles, contexts and questions with their golds."""
    data = [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": question,
                            "question": question,
                            "answers": [{"text": g, "answer_start": context.index(g)} for g in golds],
                        }
                        for question, golds in questions
                    ],
                }
            ],
        }
        for title, context, questions in paragraphs
    ]
    return json.dumps({"data": data})


def test_json_lines_are_read_in_order_with_all_fields(make: Make) -> None:
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


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\u0085", "\ufffd", "👍🏽"])
def test_characters_that_some_take_for_line_ends_do_not_end_a_line(make: Make, char: str) -> None:
    question = f"How many{char}in Idlib?"
    found = read_dataset(make("q.jsonl", lines({**GOOD, "question": question})))
    assert found.questions[0].question == question


BAD = [
    ({"question": None}, "question"),
    ({"question": 5}, "question"),
    ({"answers": "33"}, "answers"),
    ({"answers": [33]}, "answers"),
    ({"answers": None}, ""),
    ({"answers": []}, "'is_answerable' is True and there are 0 answers"),
    ({"is_answerable": False}, "'is_answerable' is False and there are 2 answers"),
    ({"article_ids": "idlib"}, "article_ids"),
    ({"article_ids": []}, "article_ids"),
    ({"asked_on": "yesterday"}, "yesterday"),
    ({"asked_on": 20200303}, ""),
    ({"hard": "number"}, "hard"),
    ({"colour": "red"}, "unknown field 'colour'"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[str(change) for change, _ in BAD])
def test_a_bad_record_is_named_by_its_line(make: Make, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=rf"q\.jsonl, line 3: .*{message}"):
        read_dataset(make("q.jsonl", lines(NONE) + "\n" + lines({**GOOD, **change})))


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(make: Make, field: str) -> None:
    record = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(DatasetError, match=rf"q\.jsonl, line 1: field '{field}' is missing"):
        read_dataset(make("q.jsonl", lines(record)))


@pytest.mark.parametrize("line", ["{", "[]", "5", "null", "not JSON"])
def test_a_line_that_is_no_record_is_named(make: Make, line: str) -> None:
    with pytest.raises(DatasetError, match=r"q\.jsonl, line 2: "):
        read_dataset(make("q.jsonl", lines(GOOD) + line + "\n"))


def test_an_id_used_twice_is_named(make: Make) -> None:
    with pytest.raises(DatasetError, match=r"q\.jsonl, line 3: question_id 'q1' was used before"):
        read_dataset(make("q.jsonl", lines(GOOD, NONE, GOOD)))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.jsonl: cannot be read"):
        read_dataset(tmp_path / "nowhere.jsonl")
    (tmp_path / "latin.jsonl").write_bytes("é".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"latin\.jsonl: cannot be read"):
        read_dataset(tmp_path / "latin.jsonl")


def test_squad_paragraphs_become_the_archive_and_repetitions_one_article(make: Make) -> None:
    first, second = "The ship is in Suez.", "It left Suez."
    found = read_dataset(
        make(
            "dev.json",
            squad(
                ("A_B", first, [("where", ["Suez", "in Suez"]), ("who", [])]),
                ("A_B", second, [("left", ["Suez"])]),
                ("A_B", first, [("again", ["Suez"])]),
            ),
        )
    )
    assert found.articles is not None
    assert [(article.title, article.text) for article in found.articles] == [("A B", first), ("A B", second)]
    ids = [article.article_id for article in found.articles]
    assert ids == [f"squad-{article.sha256[:16]}" for article in found.articles]
    assert [(q.question_id, q.answers, q.article_ids) for q in found.questions] == [
        ("where", ("Suez", "in Suez"), (ids[0],)),
        ("who", (), ()),
        ("left", ("Suez",), (ids[1],)),
        ("again", ("Suez",), (ids[0],)),
    ]


def test_equal_golds_of_several_annotators_are_one(make: Make) -> None:
    found = read_dataset(make("dev.json", squad(("A", "In Suez.", [("where", ["Suez", "In Suez", "Suez"])]))))
    assert found.questions[0].answers == ("Suez", "In Suez")


def test_golds_are_normalised_as_their_article_is(make: Make) -> None:
    context = "He met Jose\u0301 Mari\u0301a\r\nin Suez."
    found = read_dataset(make("dev.json", squad(("A", context, [("who", ["Jose\u0301 Mari\u0301a\r\nin"])]))))
    assert found.articles == [
        make_article(article_id=found.questions[0].article_ids[0], text="He met José María\nin Suez.", title="A")
    ]
    assert found.questions[0].answers[0] in found.articles[0].text


def test_an_empty_squad_paragraph_is_named(make: Make) -> None:
    with pytest.raises(DatasetError, match=r"dev\.json: paragraph ' ': field 'text' is empty"):
        read_dataset(make("dev.json", squad(("A", " ", []))))


def test_the_project_s_own_questions_are_read() -> None:
    questions = read_dataset(Path(__file__).parents[2] / "seeds" / "questions.jsonl").questions
    assert len(questions) > 100
    assert {question.is_answerable for question in questions} == {True, False}
    assert all(question.split and question.asked_on for question in questions)
