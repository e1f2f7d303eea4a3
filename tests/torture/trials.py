"""What the trials beside the kills have in common: a Library of a known content, and a list of what was wrong."""

import json
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.settings import Settings
from index.articles import Article
from tests.torture.examine import Examiner
from tests.torture.ledger import Ledger
from tests.torture.news import Item, Newsroom, write
from tests.torture.product import Victim, acknowledged, quoth


@dataclass(slots=True, kw_only=True)
class Trial:
    """One trial: what was wrong, what is worth knowing, or why it was not made."""

    name: str
    faults: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    skipped: str = ""

    def expect(self, is_so: bool, otherwise: str) -> None:  # noqa: FBT001 (like assert)
        """Note a fault unless it is so."""
        if not is_so:
            self.faults.append(otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What trials are made with: a folder of their own, a cache, articles, and who examines."""

    scratch: Path
    cache: Path
    originals: Sequence[Article]
    examiner: Examiner
    rng: random.Random

    def stage(self, name: str, library: Path | None = None) -> "Stage":
        """A Library that is not there yet, in a new folder, or where the trial says."""
        folder = self.scratch / name
        folder.mkdir(parents=True)
        return Stage(
            bench=self,
            folder=folder,
            settings=Settings(library=library or folder / "library", cache=self.cache),
            newsroom=Newsroom(self.originals, self.rng),
        )

    def keep_or_delete(self, name: str, trial: Trial) -> None:
        """Delete the folder of a trial in which nothing was wrong."""
        if not trial.faults:
            shutil.rmtree(self.scratch / name, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A Library, what it must hold, and a way to add to it."""

    bench: Bench
    folder: Path
    settings: Settings
    newsroom: Newsroom
    ledger: Ledger = field(default_factory=Ledger)

    def file(self, name: str, items: Sequence[Item]) -> Path:
        """The articles as a file, noted as submitted."""
        self.ledger.submit_all(items)
        return write(items, self.folder / f"{name}.jsonl")

    def hear(self, lines: Iterable[str]) -> int:
        """Note what `quoth add --verbose` acknowledged, and say how much it was."""
        done = acknowledged(list(lines))
        for article_id in done:
            self.ledger.acknowledge(article_id)
        return len(done)

    def add(self, name: str, items: Sequence[Item]) -> None:
        """Add articles with a process that ends well.

        Raises:
            RuntimeError: it does not.
        """
        done = quoth(self.settings, "add", "--verbose", self.file(name, items))
        if done.returncode:
            raise RuntimeError(f"quoth add: exit code {done.returncode}: {done.stderr}")
        self.hear(done.stdout.splitlines())

    def add_and_kill(self, name: str, items: Sequence[Item]) -> None:
        """Add articles with a process that is killed when the last is acknowledged: the log holds them still."""
        victim = Victim(self.settings, "add", "--verbose", self.file(name, items))
        victim.wait_for_lines(len(items))
        victim.end(kill=True)
        victim.errors()
        self.hear(victim.lines)

    def examine(self, trial: Trial, library: Path | None = None) -> None:
        """Compare the Library, or a copy of it, with what was acknowledged, all of it."""
        settings = Settings(library=library, cache=self.settings.cache) if library else self.settings
        found = self.bench.examiner.examine(settings, self.ledger, everything=True)
        trial.faults += [*found.lost, *found.inconsistent]

    def examine_copy(self, trial: Trial) -> None:
        """The same on a copy elsewhere: for a disk on which nothing can be written."""
        copy = self.folder / "copy"
        shutil.copytree(self.settings.library, copy)
        self.examine(trial, copy)
        shutil.rmtree(copy)

    def finds(self, item: Item) -> str:
        """What is wrong with `quoth search` for an article's own sentence, or nothing."""
        done = quoth(self.settings, "search", item.own, "--json")
        if done.returncode:
            return f"quoth search: exit code {done.returncode}: {done.stderr}"
        found = [passage["article_id"] for passage in json.loads(done.stdout)["passages"]]
        return "" if item.article.article_id in found else f"{item.article.article_id!r} is not found: {found}"


def is_clear(errors: str, *words: str) -> bool:
    """Whether a refusal is a message for people, with one of the words in it."""
    return "Traceback" not in errors and any(word in errors.lower() for word in words)


Make = Callable[[Bench], Trial]
