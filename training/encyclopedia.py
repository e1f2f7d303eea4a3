"""Our own questions about SQuAD's paragraphs, to learn from beside SQuAD's.

    python -m training.encyclopedia TRAIN.json.gz OUT.json

They are in `training/corpus/squad-questions.jsonl`, a paragraph a line: it is known by the first twelve digits of the
SHA-256 of its text, and each answer is `[start, end)`, characters of that text, so nothing of SQuAD is in this
repository. All are about the training part.

Writes every paragraph of TRAIN, in order, with these questions instead of SQuAD's: those without any are there for
`training.negatives` to find.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter

from eval.squad import SquadParagraph, read_squad

QUESTIONS = Path(__file__).parent / "corpus" / "squad-questions.jsonl"
N_DIGITS = 12
"""Of the SHA-256: 48 bits tell 18,891 paragraphs apart."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOfParagraph:
    """A paragraph and its questions, each with the start and the end of the answer, in characters of the paragraph."""

    paragraph: str
    questions: tuple[tuple[str, int, int], ...]


_FORM = TypeAdapter(AskedOfParagraph)


def prepare(train_file: Path, out_file: Path) -> None:
    """Write the paragraphs with our questions.

    Raises:
        SystemExit: a paragraph that is asked about is missing.
    """
    asked = {one.paragraph: one for one in read_questions(QUESTIONS)}
    paragraphs = read_squad(train_file)
    lacking = asked.keys() - {digits(paragraph.context) for paragraph in paragraphs}
    if lacking:
        raise SystemExit(
            f"{train_file}: {len(lacking)} paragraphs that {QUESTIONS.name} asks about are missing or have other texts,"
            f" such as {min(lacking)}; it is SQuAD 1.1's training file that is needed"
        )
    out_file.write_text(json.dumps(in_squad_form(paragraphs, asked), ensure_ascii=False), encoding="utf-8")
    print(json.dumps({"paragraphs": len(asked), "questions": sum(len(one.questions) for one in asked.values())}))


def read_questions(file: Path) -> list[AskedOfParagraph]:
    """Every paragraph that is asked about, in file order."""
    return [_FORM.validate_json(line) for line in file.read_bytes().splitlines()]


def digits(context: str) -> str:
    """What a paragraph is known by."""
    return hashlib.sha256(context.encode("utf-8")).hexdigest()[:N_DIGITS]


def in_squad_form(paragraphs: Sequence[SquadParagraph], asked: Mapping[str, AskedOfParagraph]) -> Record:
    """The paragraphs in their order, those of one title together, with the questions that are asked of them here.

    Where a text stands twice, the first one has the questions.
    """
    todo = dict(asked)
    titles: dict[str, list[Record]] = {}
    for paragraph in paragraphs:
        known_by = digits(paragraph.context)
        one = todo.pop(known_by, None)
        questions = one.questions if one is not None else ()
        titles.setdefault(paragraph.title, []).append(
            {
                "context": paragraph.context,
                "qas": [_qa(f"{known_by}-{n}", paragraph, *question) for n, question in enumerate(questions, start=1)],
            }
        )
    return {"data": [{"title": title, "paragraphs": listed} for title, listed in titles.items()]}


def _qa(question_id: str, paragraph: SquadParagraph, question: str, start: int, end: int) -> Record:
    answer = {"text": paragraph.context[start:end], "answer_start": start}
    return {"id": question_id, "question": question, "answers": [answer]}


if __name__ == "__main__":
    typer.run(prepare)
