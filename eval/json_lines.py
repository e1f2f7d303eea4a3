"""Questions in JSON lines: Quoth's own form, and that of Natural Questions-open.

A record of Quoth's own has `question_id`, `question`, `answers`, `article_ids` and `is_answerable`, and may have
`asked_on`, `type`, `hard`, `near` and `split`. One of Natural Questions-open has `question` and `answer`, a list. It
has no id, so its line gives it one (`line-12`), and the article that answers it is not known, so `article_ids` is
empty. Golds are put into NFC, as all text of the archive is.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from eval.data_files import (
    Faults,
    Line,
    Record,
    id_in,
    json_of,
    lines,
    question_in,
    refuse_unknown,
    text_in,
    texts_in,
)
from eval.questions import Question
from index.articles import normalise
from index.errors import DatasetError

_OWN = (
    "question_id",
    "question",
    "answers",
    "article_ids",
    "is_answerable",
    "asked_on",
    "type",
    "hard",
    "near",
    "split",
)
_NATURAL = ("question", "answer")


def read_json_lines(path: Path, faults: Faults) -> list[Question]:
    """The good questions of a file, in order; the first record says which form all must have.

    Raises:
        DatasetError: the file cannot be read.
    """
    questions: dict[str, Question] = {}
    for place, question in _questions(path, faults):
        with faults.at(place):
            if question.question_id in questions:
                raise DatasetError(f"question_id {question.question_id!r} was used before")
            questions[question.question_id] = question
    return list(questions.values())


def _questions(path: Path, faults: Faults) -> Iterator[tuple[str, Question]]:
    natural: bool | None = None
    for line in lines(path, faults):
        with faults.at(line.place):
            record = json_of(line.text)
            if natural is None:
                natural = _is_natural(record)
            if natural != _is_natural(record):
                raise DatasetError("Quoth's own records and those of Natural Questions do not mix in one file")
            yield line.place, _natural_question(line, record) if natural else _own_question(record)


def _is_natural(record: Record) -> bool:
    return "answer" in record and "answers" not in record


def _natural_question(line: Line, record: Record) -> Question:
    refuse_unknown(record, _NATURAL)
    answers = _golds(record, "answer")
    if not answers:
        raise DatasetError("field 'answer' is an empty list")
    return Question(question_id=f"line-{line.number}", question=question_in(record), answers=answers, article_ids=())


def _own_question(record: Record) -> Question:
    refuse_unknown(record, _OWN)
    question = Question(
        question_id=id_in(record, "question_id"),
        question=question_in(record),
        answers=_golds(record, "answers"),
        article_ids=texts_in(record, "article_ids"),
        asked_on=_asked_on(record),
        type=text_in(record, "type", ""),
        hard=texts_in(record, "hard", []),
        split=text_in(record, "split", ""),
        near=texts_in(record, "near", []),
    )
    _check_answerable(record, question)
    return question


def _golds(record: Record, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(normalise(gold) for gold in texts_in(record, name)))


def _check_answerable(record: Record, question: Question) -> None:
    said = record.get("is_answerable")
    if not isinstance(said, bool):
        problem = f"must be true or false, not {said!r}" if "is_answerable" in record else "is missing"
        raise DatasetError(f"field 'is_answerable' {problem}")
    if said != question.is_answerable:
        raise DatasetError(f"'is_answerable' is {str(said).lower()} and there are {len(question.answers)} answers")
    if bool(question.article_ids) != said:
        n_articles = len(question.article_ids)
        raise DatasetError(f"'article_ids' names {n_articles} articles for {len(question.answers)} answers")


def _asked_on(record: Record) -> date | None:
    value = record.get("asked_on")
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DatasetError(f"field 'asked_on' is {value!r}: give an ISO 8601 date like 2020-02-28") from None
