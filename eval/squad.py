"""Read SQuAD-format files (v1.1 and v2.0, plain or gzipped)."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.errors import DatasetError


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
        DatasetError: the file is missing, is not JSON, or lacks a field; the message names the place.
    """
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read as SQuAD-format JSON: {error}") from error
    try:
        return list(_paragraphs(document))
    except (AttributeError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not in SQuAD form, a field is missing or of the wrong type: {error}") from error


def _paragraphs(document: dict[str, Any]) -> Iterator[SquadParagraph]:
    for article in document["data"]:
        title = article.get("title", "").replace("_", " ")
        for paragraph in article["paragraphs"]:
            questions = tuple(_question(record) for record in paragraph["qas"])
            yield SquadParagraph(title=title, context=paragraph["context"], questions=questions)


def _question(record: dict[str, Any]) -> SquadQuestion:
    marked = () if record.get("is_impossible", False) else record["answers"]
    answers = tuple(SquadAnswer(text=answer["text"], start=answer["answer_start"]) for answer in marked)
    return SquadQuestion(question_id=record["id"], question=record["question"].strip(), answers=answers)
