"""Every damage to every file of a Library, each to a copy of its own, and what the product makes of it."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from index.vectors import MOST_BESIDE
from tests.torture.damage import Damage, damages, damages_of_fields, files_of
from tests.torture.judge import Outcome, Truth, judge
from tests.torture.news import Item
from tests.torture.probe import Reply
from tests.torture.product import ROOT, TIMEOUT_S, environment
from tests.torture.trials import Stage

DATABASE = "library.sqlite3"
_ARTICLES, _LATE = 24, 4
_QUESTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One damage and its outcome; `base` tells which Library was damaged."""

    base: str
    file: str
    way: str
    where: str
    outcome: Outcome
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A Library to damage copies of, its articles, and what it answers."""

    name: str
    settings: Settings
    items: Sequence[Item]
    commands: Sequence[Sequence[str]]
    truth: Truth


def closed_library(stage: Stage, *, n_questions: int = _QUESTIONS) -> Base:
    """A Library whose last process ended well: SQLite has taken its write-ahead log away.

    An article was replaced, so that the lexical index has a file of what is deleted.
    """
    items = [stage.newsroom.story(), *(stage.newsroom.flash() for _ in range(_ARTICLES))]
    stage.add("articles", [*items[:-1], stage.newsroom.flash(items[-1].article.article_id)])
    stage.add("revision", items[-1:])
    return _base("closed", stage, items, n_questions)


def killed_library(stage: Stage) -> Base:
    """A Library whose last process was killed: its write-ahead log holds articles that were acknowledged."""
    items = [stage.newsroom.flash() for _ in range(_ARTICLES)]
    late = [stage.newsroom.flash(f"late-{number}") for number in range(_LATE)]
    stage.add("articles", items)
    stage.add_and_kill("late", late)
    return _base("killed", stage, [*late, *items])


def large_library(stage: Stage) -> Base:
    """A Library of so many passages that its dense index is a file."""
    items = [stage.newsroom.brief() for _ in range(MOST_BESIDE + _ARTICLES)]
    stage.add("articles", items)
    return _base("large", stage, items)


def _base(name: str, stage: Stage, items: Sequence[Item], n_questions: int = _QUESTIONS) -> Base:
    asks = [["ask", item.question, "--json", "--min-confidence", "0"] for item in items[:n_questions]]
    copy = Settings(library=stage.folder / "whole", cache=stage.settings.cache)
    shutil.copytree(stage.settings.library, copy.library)
    replies, crash = run_commands(copy, [*asks, ["check", "--repair"], *asks], stage.folder / "replies")
    shutil.rmtree(copy.library)
    if crash or any(reply.code for reply in replies):
        raise RuntimeError(f"an undamaged Library does not answer: {crash} {replies}")
    return Base(
        name=name,
        settings=stage.settings,
        items=items,
        commands=[["check"], *asks, ["check", "--repair"], asks[0]],
        truth=Truth.of(replies, [item.article for item in items]),
    )


def all_damages(base: Base, rng: random.Random, *, n_flips: int) -> Iterator[Damage]:
    """What is done to the files of a base: all of it to all files, and to rows that SQLite has no reason to doubt."""
    folder = base.settings.library
    of_interest = {"closed": "", "killed": DATABASE, "large": "dense/"}[base.name]  # the rest is as in a closed one
    for file in files_of(folder):
        if file.startswith(of_interest):
            yield from damages(folder, file, rng, n_flips=n_flips)
    if base.name == "closed":
        for item in base.items[: len(base.truth.answers)]:
            yield from damages_of_fields(folder, DATABASE, item.article.article_id, rng)


def cases(base: Base, wanted: Iterable[Damage], scratch: Path) -> Iterator[Case]:
    """Do each damage to a copy, ask and check it, and judge what came of it; a copy with a fault is kept."""
    for number, damage in enumerate(wanted):
        settings = Settings(library=scratch / f"{base.name}-{number}", cache=base.settings.cache)
        outcome, words = try_out(settings, damage, base)
        if outcome is Outcome.HANG:  # or the computer slept meanwhile: a clock that ran on is no fault of the product
            shutil.rmtree(settings.library)
            outcome, words = try_out(settings, damage, base)
        if outcome.is_right:
            shutil.rmtree(settings.library)
        words = words.replace(str(settings.library), "LIBRARY")[:600]
        yield Case(base=base.name, file=damage.file, way=damage.way, where=damage.where, outcome=outcome, words=words)


def try_out(settings: Settings, damage: Damage, base: Base) -> tuple[Outcome, str]:
    """Damage a new copy, then check, ask, repair and ask again of it, in a process of its own."""
    shutil.copytree(base.settings.library, settings.library)
    damage.do(settings.library)
    replies, crash = run_commands(settings, base.commands, settings.library.with_suffix(".replies"))
    return judge(damage.file, replies, base.truth) if crash is None else crash


def run_commands(
    settings: Settings, commands: Sequence[Sequence[str]], file: Path
) -> tuple[list[Reply], tuple[Outcome, str] | None]:
    """The replies to commands run one after another in a process, and how that ended if not well.

    Args:
        settings: of the Library.
        commands: what stands after `quoth`.
        file: where the replies are kept meanwhile.
    """
    process = [sys.executable, "-m", "tests.torture.probe", str(file)]
    text = "".join(json.dumps(command) + "\n" for command in commands)
    crash = None
    try:
        done = subprocess.run(
            process, input=text, env=environment(settings), cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        if done.returncode:
            crash = (Outcome.CRASH, f"exit code {done.returncode}: {done.stderr[-600:]}")
        elif "panicked" in done.stderr:
            crash = (Outcome.TRACEBACK, done.stderr[-600:])
    except subprocess.TimeoutExpired as error:
        crash = (Outcome.HANG, str(error))
    replies = [Reply(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    file.unlink()
    return replies, crash
