"""Read SQuAD-format files (v1.1 and v2.0, plain or gzipped).

The form is not ours: fields that it does not know are left to those who added them. What is read is checked: a gold is
the characters of its paragraph that it says it is, and a question is impossible exactly when it has no gold.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eval.data_files import Faults, Record, list_in, open_file, question_in, record_of, text_in
from index.articles import make_article
from index.errors import ArticleError, DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class SquadAnswer:
    """A gold answer: `context[start:start + len(text)]` of its paragraph, as the annotators marked it."""

    text: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SquadQuestion:
    """A question about one paragraph; `answers` is empty exactly when the question is unanswerable (v2.0)."""

    question_id: str
    question: str
    answers: tuple[SquadAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SquadParagraph:
    """A paragraph of an encyclopedia article with the questions asked about it.

    `title` has spaces where the file has underscores.
    """

    title: str
    context: str
    questions: tuple[SquadQuestion, ...]


def read_squad(path: Path) -> list[SquadParagraph]:
    """Every paragraph of a SQuAD-format file, in file order.

    Raises:
        DatasetError: the file cannot be read, or has bad records; the message counts them and names the first ones.
    """
    faults = Faults()
    paragraphs = squad_paragraphs(path, faults)
    faults.refuse(path)
    return paragraphs


def squad_paragraphs(path: Path, faults: Faults) -> list[SquadParagraph]:
    """The good paragraphs, each with its good questions; the others are added to `faults`.

    Raises:
        DatasetError: the file cannot be read, or is of another form altogether.
    """
    try:
        with open_file(path) as file:
            document = json.loads(file.read().decode("utf-8-sig"))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read as SQuAD-format JSON: {error}") from error
    try:
        articles = list_in(record_of(document), "data")
    except DatasetError as error:
        raise DatasetError(f"{path}: not in SQuAD form: {error}") from error
    return list(_paragraphs(articles, faults))


def _paragraphs(articles: list[object], faults: Faults) -> Iterator[SquadParagraph]:
    asked: set[str] = set()
    for number, article in enumerate(articles, start=1):
        with faults.at(f"article {number}"):
            record = record_of(article)
            title = text_in(record, "title", "")
            for paragraph_number, paragraph in enumerate(list_in(record, "paragraphs"), start=1):
                name = f" ({title})" if title else ""
                place = f"article {number}{name}, paragraph {paragraph_number}"
                with faults.at(place):
                    yield _paragraph(title.replace("_", " "), record_of(paragraph), asked, place, faults)


def _paragraph(title: str, record: Record, asked: set[str], place: str, faults: Faults) -> SquadParagraph:
    context = text_in(record, "context")
    try:
        make_article(article_id="p", text=context, title=title)
    except ArticleError as error:
        raise DatasetError(f"the paragraph cannot be stored: {error}") from error
    questions = []
    for number, value in enumerate(list_in(record, "qas"), start=1):
        name = value["id"] if isinstance(value, dict) and isinstance(value.get("id"), str) else number
        with faults.at(f"{place}, question {name}"):
            question = _question(record_of(value), context)
            if question.question_id in asked:
                raise DatasetError("the id was used before")
            asked.add(question.question_id)
            questions.append(question)
    return SquadParagraph(title=title, context=context, questions=tuple(questions))


def _question(record: Record, context: str) -> SquadQuestion:
    answers = tuple(_answer(record_of(value), context) for value in list_in(record, "answers"))
    impossible = record.get("is_impossible", not answers)
    if not isinstance(impossible, bool):
        raise DatasetError(f"field 'is_impossible' must be true or false, not {impossible!r}")
    if impossible == bool(answers):  # the official script looks at the answers alone: the scores would part
        raise DatasetError(f"'is_impossible' is {str(impossible).lower()} and there are {len(answers)} answers")
    return SquadQuestion(question_id=text_in(record, "id"), question=question_in(record), answers=answers)


def _answer(record: Record, context: str) -> SquadAnswer:
    text, start = text_in(record, "text"), record.get("answer_start")
    if not text.strip():
        raise DatasetError("an answer is empty")
    if isinstance(start, bool) or not isinstance(start, int):
        raise DatasetError(f"field 'answer_start' must be a whole number, not {start!r}")
    if start < 0 or context[start : start + len(text)] != text:
        found = context.find(text)
        where = f"it stands at {found}" if found >= 0 else "it does not stand in the paragraph"
        raise DatasetError(f"the answer {text[:40]!r} is not at its 'answer_start', {start}: {where}")
    return SquadAnswer(text=text, start=start)
