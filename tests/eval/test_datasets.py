import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.datasets import read_dataset
from eval.questions import Question
from index.articles import make_article
from index.errors import DatasetError

Make = Callable[[str, str], Path]


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


def own(number: int, question: str = "Who?") -> str:
    record = {
        "question_id": str(number),
        "question": question,
        "answers": [],
        "article_ids": [],
        "is_answerable": False,
    }
    return json.dumps(record) + "\n"


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
    assert not found.retrieval_only
    assert found.skipped == ()


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


def test_all_bad_records_are_counted_and_the_first_ones_named(make: Make) -> None:
    text = "".join(own(n, "" if n % 2 else "Who?") for n in range(1, 15))
    with pytest.raises(DatasetError) as raised:
        read_dataset(make("q.jsonl", text))
    head, *named = str(raised.value).split("\n")
    assert head.endswith("q.jsonl: 7 bad records (the first 5):")
    assert named == [f"  q.jsonl, line {n}: the question is empty: ask in words" for n in (1, 3, 5, 7, 9)]


def test_five_bad_records_are_all_named(make: Make) -> None:
    with pytest.raises(DatasetError) as raised:
        read_dataset(make("q.jsonl", "".join(own(n, "") for n in range(5))))
    assert str(raised.value).count("\n") == 5
    assert "q.jsonl: 5 bad records:\n" in str(raised.value)


def test_bad_records_are_left_out_only_when_asked_and_are_named(make: Make) -> None:
    found = read_dataset(make("q.jsonl", own(1) + own(2, "") + own(3) + own(1) + "{\n" + own(6)), skip_bad=True)
    assert [question.question_id for question in found.questions] == ["1", "3", "6"]
    assert [fault.partition(":")[0] for fault in found.skipped] == [f"q.jsonl, line {n}" for n in (2, 4, 5)]
    assert found.skipped[0] == "q.jsonl, line 2: the question is empty: ask in words"


def test_of_a_bad_squad_file_the_rest_is_read_when_asked(make: Make) -> None:
    made = squad(("B", " ", []), ("A", "In Suez.", [("where", ["Suez"]), ("?", ["Suez"])]))
    found = read_dataset(make("dev.json", made), skip_bad=True)
    assert [(q.question_id, q.answers) for q in found.questions] == [("where", ("Suez",))]
    assert found.articles is not None
    assert [article.text for article in found.articles] == ["In Suez."]
    assert found.skipped == (
        "article 1 (B), paragraph 1: the paragraph cannot be stored: field 'text' is empty: there is nothing to quote",
        "article 2 (A), paragraph 1, question ?: the question is empty: ask in words",
    )


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_questions_is_refused(make: Make, text: str, *, skip_bad: bool) -> None:
    with pytest.raises(DatasetError, match=r"q\.jsonl: no questions here"):
        read_dataset(make("q.jsonl", text), skip_bad=skip_bad)


def test_a_file_of_bad_records_alone_is_refused_even_when_they_may_be_left_out(make: Make) -> None:
    with pytest.raises(DatasetError, match=r"q\.jsonl: 2 bad records:\n"):
        read_dataset(make("q.jsonl", "[]\n5\n"), skip_bad=True)


@pytest.mark.parametrize("name", ["nowhere.jsonl", "nowhere.jsonl.gz", "nowhere.json", "nowhere"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=rf"{name}: cannot be read"):
        read_dataset(tmp_path / name)


@pytest.mark.parametrize("data", [b"not gzip", b"\x1f\x8b\x08\x00cut"], ids=["plain", "cut off"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "q.jsonl.gz").write_bytes(data)
    with pytest.raises(DatasetError, match=r"q\.jsonl\.gz: cannot be read"):
        read_dataset(tmp_path / "q.jsonl.gz")


def test_the_project_s_own_questions_are_read() -> None:
    questions = read_dataset(Path(__file__).parents[2] / "seeds" / "questions.jsonl").questions
    assert len(questions) > 100
    assert {question.is_answerable for question in questions} == {True, False}
    assert all(question.split and question.asked_on for question in questions)
    assert isinstance(questions[0], Question)
