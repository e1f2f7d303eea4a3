"""Evaluation datasets: SQuAD-format files, which bring their archive, and JSON lines, which are asked of a Library."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from eval.squad import read_squad
from index.articles import Article, make_article, normalise
from index.errors import ArticleError, DatasetError

_REQUIRED = ("question_id", "question", "answers", "article_ids", "is_answerable")
_OPTIONAL = ("asked_on", "type", "hard", "near", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its gold.

    `answers` holds every acceptable text and `article_ids` the articles that give one; both are empty exactly when the
    archive does not answer it. `type`, `hard` and `split` group the scores, `near` names articles that an
    unanswerable question is near; all are empty where the dataset says nothing.
    """

    question_id: str
    question: str
    answers: tuple[str, ...]
    article_ids: tuple[str, ...]
    asked_on: date | None = None
    type: str = ""
    hard: tuple[str, ...] = ()
    split: str = ""
    near: tuple[str, ...] = ()

    @property
    def is_answerable(self) -> bool:
        """Whether the archive holds an answer."""
        return bool(self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Questions, and the archive to ask where the dataset brings one (`articles` is None where it does not)."""

    questions: Sequence[Question]
    articles: Sequence[Article] | None


def read_dataset(path: Path) -> Dataset:
    """The dataset in a file: JSON lines if its name ends in `.jsonl`, else SQuAD format.

    Raises:
        DatasetError: it cannot be read; the message names the line or the field.
    """
    if path.suffix == ".jsonl":
        return Dataset(questions=_read_json_lines(path), articles=None)
    return _from_squad(path)


def _from_squad(path: Path) -> Dataset:
    """Each paragraph becomes an article with its encyclopedia article's title; an exact repetition becomes one."""
    articles: dict[str, Article] = {}
    questions = []
    for paragraph in read_squad(path):
        try:
            article = make_article(article_id="p", text=paragraph.context, title=paragraph.title)
        except ArticleError as error:
            raise DatasetError(f"{path}: paragraph {paragraph.context[:40]!r}: {error}") from error
        article_id = f"squad-{article.sha256[:16]}"
        articles.setdefault(
            article_id, make_article(article_id=article_id, text=paragraph.context, title=paragraph.title)
        )
        for asked in paragraph.questions:
            golds = tuple(dict.fromkeys(normalise(answer.text) for answer in asked.answers))
            questions.append(
                Question(
                    question_id=asked.question_id,
                    question=asked.question,
                    answers=golds,
                    article_ids=(article_id,) if golds else (),
                )
            )
    return Dataset(questions=questions, articles=list(articles.values()))


def _read_json_lines(path: Path) -> list[Question]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    questions: dict[str, Question] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = _question(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(f"{path}, line {number}: {error}") from error
        if question.question_id in questions:
            raise DatasetError(f"{path}, line {number}: question_id {question.question_id!r} was used before")
        questions[question.question_id] = question
    return list(questions.values())


def _question(record: dict[str, Any]) -> Question:
    for name in _REQUIRED:
        if name not in record:
            raise ValueError(f"field {name!r} is missing")
    unknown = set(record) - {*_REQUIRED, *_OPTIONAL}
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r}")
    for name in ("question", "type", "split"):
        if not isinstance(record.get(name, ""), str):
            raise TypeError(f"field {name!r} must be text, not {record[name]!r}")
    for name in ("answers", "article_ids", "hard", "near"):
        values = record.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"field {name!r} must be a list of texts, not {values!r}")
    answers = tuple(record["answers"])
    if bool(answers) != record["is_answerable"]:
        raise ValueError(f"'is_answerable' is {record['is_answerable']} and there are {len(answers)} answers")
    if bool(record["article_ids"]) != bool(answers):
        raise ValueError(f"'article_ids' names {len(record['article_ids'])} articles for {len(answers)} answers")
    asked_on = record.get("asked_on")
    return Question(
        question_id=str(record["question_id"]),
        question=record["question"],
        answers=answers,
        article_ids=tuple(record["article_ids"]),
        asked_on=date.fromisoformat(asked_on) if asked_on else None,
        type=record.get("type", ""),
        hard=tuple(record.get("hard", ())),
        split=record.get("split", ""),
        near=tuple(record.get("near", ())),
    )
