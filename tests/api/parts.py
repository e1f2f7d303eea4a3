"""The command `quoth` as a user runs it, and small datasets for `quoth eval`."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from api.settings import Settings

QUOTH = str(Path(sys.executable).with_name("quoth"))


class Quoth:
    """Runs the installed command in a process of its own, as a user does."""

    def __init__(self, settings: Settings) -> None:
        self.environment = {
            **os.environ,
            "QUOTH_LIBRARY": str(settings.library),
            "QUOTH_CACHE": str(settings.cache),
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [QUOTH, *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done


class QuothHere:
    """The same in the process of the tests: nothing is imported again, and a warning is an error."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {
            "QUOTH_LIBRARY": str(settings.library),
            "QUOTH_CACHE": str(settings.cache),
        }

    def __call__(self, *arguments: str | Path, code: int = 0, columns: int = 200) -> subprocess.CompletedProcess[str]:
        command = ["quoth", *map(str, arguments)]
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", command)
            for name, value in {**self._environment, "COLUMNS": str(columns)}.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        done = subprocess.CompletedProcess(command, int(ended.value.code or 0), out.getvalue(), err.getvalue())
        assert done.returncode == code, done.stdout + done.stderr
        return done


def asked(
    question_id: str, question: str, answers: Sequence[str], article_ids: Sequence[str], **more: object
) -> dict[str, object]:
    """A record of Quoth's own JSON lines."""
    return {
        "question_id": question_id,
        "question": question,
        "answers": list(answers),
        "article_ids": list(article_ids),
        "is_answerable": bool(answers),
        **more,
    }


SOLDIERS = asked(
    "soldiers", "How many Turkish soldiers were killed in Idlib?", ["33", "at least 33"], ["idlib"],
    split="tune", type="how many", hard=["[/number]"],
)  # fmt: skip
MEETING = asked("meeting", "Where was the emergency meeting called?", ["Ankara"], ["idlib"], split="report")
CANAL = asked(
    "canal", "Which canal did the Ever Given run aground in?", ["Suez Canal", "the Suez Canal"], ["suez"],
    split="tune", type="[/red]",
)  # fmt: skip
PERU = asked("peru", "What is the capital of Peru?", [], [], split="report", type="what")
QUESTIONS = (SOLDIERS, MEETING, CANAL, PERU)
"""Asked of the Library with the articles "idlib" and "suez"."""


def write_lines(file: Path, records: Sequence[object]) -> Path:
    """A file of JSON lines, gzipped if its name says so."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    data = text.encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def write_squad(file: Path, paragraphs: Sequence[tuple[str, Sequence[tuple[str, str]]]], *, version: str) -> Path:
    """A SQuAD-format file of paragraphs with (question, gold) pairs; ids are q0, q1, ...; "" is no gold (v2.0)."""
    entries: list[dict[str, Any]] = []
    number = 0
    for context, pairs in paragraphs:
        qas = []
        for question, gold in pairs:
            answers = [{"text": gold, "answer_start": context.index(gold)}] if gold else []
            impossible = {"is_impossible": not answers} if version == "v2.0" else {}
            qas.append({"id": f"q{number}", "question": question, "answers": answers, **impossible})
            number += 1
        entries.append({"context": context, "qas": qas})
    document = {"version": version, "data": [{"title": "Some_news", "paragraphs": entries}]}
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def values(run_folder: Path) -> dict[str, float]:
    """The metrics of a run, from its `scores.json`."""
    document = json.loads((run_folder / "scores.json").read_text(encoding="utf-8"))
    return {name: estimate["value"] for name, estimate in document["everything"]["values"].items()}


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
