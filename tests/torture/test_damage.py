"""A few damages, and proof that a wrong answer would be seen. The long form is `python -m tests.torture`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import IDLIB
from tests.torture.damage import Damage, damages
from tests.torture.judge import Outcome, Truth, judge
from tests.torture.matrix import all_damages, cases, closed_library
from tests.torture.news import seeded
from tests.torture.probe import TRACEBACK, Reply
from tests.torture.trials import Bench


def test_a_damaged_file_is_repaired_or_refused_by_name(bench: Bench) -> None:
    base = closed_library(bench.stage("closed"), n_questions=1)
    everything = {damage.name: damage for damage in all_damages(base, seeded(0), n_flips=0)}
    expected = {
        "lexical/state.json: bit flipped (middle)": Outcome.REBUILT,
        "library.sqlite3: bit flipped (title of an article)": Outcome.REFUSED,
    }

    found = cases(base, [everything[name] for name in expected], bench.scratch)

    assert [case.outcome for case in found] == list(expected.values())


def test_damages_are_what_they_say(tmp_path: Path) -> None:
    whole = bytes(range(200))
    for damage in damages_of(tmp_path, whole):
        (tmp_path / "file").write_bytes(whole)
        damage.do(tmp_path)
        left = (tmp_path / "file").read_bytes() if (tmp_path / "file").exists() else None
        if damage.way == "missing":
            assert left is None
        elif damage.way == "truncated":
            assert left == whole[: {"to nothing": 0, "to half": 100, "by its last byte": 199}[damage.where]]
        else:
            assert left is not None
            assert sum((a ^ b).bit_count() for a, b in zip(whole, left, strict=True)) == 1


def damages_of(folder: Path, content: bytes) -> list[Damage]:
    (folder / "file").write_bytes(content)
    return list(damages(folder, "file", seeded(0), n_flips=3))


def test_nothing_is_flipped_in_an_empty_file(tmp_path: Path) -> None:
    assert [damage.way for damage in damages_of(tmp_path, b"")] == ["missing"]


START = IDLIB.text.index("33")
CITATION: dict[str, Any] = {
    "article_id": IDLIB.article_id, "title": IDLIB.title, "source": IDLIB.source, "url": "", "published": "2020-02-28",
    "start": START, "end": START + 2, "quote": "33", "sha256": IDLIB.sha256,
}  # fmt: skip
ANSWER: dict[str, Any] = {"text": "33", "citation": CITATION}
NULL: dict[str, Any] = {"answer": None, "alternatives": []}


def asked(document: dict[str, Any] | None = None, *, code: int = 0, errors: str = "") -> Reply:
    given = document or {"answer": ANSWER, "alternatives": []}
    output = "" if code == 1 else json.dumps({**given, "timings_ms": {"total": 1.5}})
    return Reply(command=["ask", "How many?"], code=code, output=output, errors=errors)


def checked(fault: str = "") -> Reply:
    return Reply(command=["check"], code=1 if fault else 0, output=fault, errors="")


def cited(**other: object) -> dict[str, Any]:
    return {"answer": {"text": "33", "citation": {**CITATION, **other}}, "alternatives": []}


JUDGED: list[tuple[str, list[Reply], Outcome]] = [
    ("library.sqlite3", [asked(), checked()], Outcome.SAME),
    ("dense/state.json", [asked(errors="quoth: rebuilding dense"), checked()], Outcome.REBUILT),
    ("dense/state.json", [asked(errors="rebuilding"), asked(errors="rebuilding"), checked()], Outcome.AGAIN),
    ("dense/state.json", [asked(), checked("the dense index lacks 2 passages")], Outcome.UNREPAIRED),
    ("library.sqlite3", [asked(), checked("article 'idlib': its hash differs")], Outcome.CHECKED),
    ("library.sqlite3-wal", [asked(code=1, errors="library.sqlite3: malformed"), checked()], Outcome.REFUSED),
    ("library.sqlite3", [asked(code=1, errors="quoth: malformed"), checked()], Outcome.UNNAMED),
    ("library.sqlite3", [asked(), checked("something is wrong")], Outcome.UNNAMED),
    ("library.sqlite3", [asked(NULL, code=3), checked()], Outcome.UNNOTICED),
    ("library.sqlite3", [asked(NULL, code=3), checked("article 'idlib': its hash differs")], Outcome.CHECKED),
    ("lexical/meta.json", [asked(NULL, code=3, errors="lexical: rebuilding"), checked()], Outcome.UNNOTICED),
    ("library.sqlite3", [asked(cited(title="Another")), checked("article 'idlib'")], Outcome.CITATION),
    ("library.sqlite3", [asked(cited(start=START + 1, end=START + 3)), checked()], Outcome.CITATION),
    ("library.sqlite3", [asked(cited(article_id="other")), checked()], Outcome.CITATION),
    ("library.sqlite3", [asked(code=1, errors="Traceback (most recent call last)"), checked()], Outcome.TRACEBACK),
    ("library.sqlite3", [checked(), asked(code=TRACEBACK)], Outcome.TRACEBACK),
]


@pytest.mark.parametrize(("file", "replies", "outcome"), JUDGED)
def test_the_judge_tells_right_from_wrong(file: str, replies: list[Reply], outcome: Outcome) -> None:
    truth = Truth.of([asked()], [IDLIB])

    assert judge(file, replies, truth)[0] is outcome


@pytest.mark.parametrize("outcome", Outcome)
def test_only_four_outcomes_are_right(outcome: Outcome) -> None:
    assert outcome.is_right == (outcome in {Outcome.SAME, Outcome.REBUILT, Outcome.CHECKED, Outcome.REFUSED})
