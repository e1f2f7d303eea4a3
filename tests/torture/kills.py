"""Kills at random moments, and what is found after each of them."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from index.vectors import MOST_BESIDE
from tests.torture.examine import Examination
from tests.torture.ledger import Ledger
from tests.torture.lives import KINDS, KINDS_OF_LARGE, Death, Scene
from tests.torture.news import Item, Newsroom, seeded
from tests.torture.product import quoth
from tests.torture.trials import Bench, Stage

KILLS_A_LIBRARY = 25
"""Then a new one is begun, so that the first moments of a Library are tried as well."""
_LARGE_EVERY = 5
_ON_A_COPY = 0.3
"""Of the kills: the Library itself is then left as it was, and the next process is the first to open it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill, and what was found after it; `said` is what the product warned of while it opened the Library."""

    number: int
    library: int
    kind: str
    phase: str
    lived_s: float
    acknowledged: int
    expected: int
    compared: int
    searched: int
    examined_s: float
    with_command: bool
    said: Sequence[str]
    lost: Sequence[str]
    inconsistent: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """How to kill: everything follows from `seed` but the moments themselves, which the machine decides.

    `large` holds just too few passages for a dense index on the disk: every `_LARGE_EVERY`th Library begins as a copy
    of it, so that this index is made, switched and made again under kills as well.
    """

    bench: Bench
    seed: int
    large: Stage | None = None
    command_every: int = 10

    def run(self, n_kills: int, *, first_library: int = 0) -> Iterator[Kill]:
        """Kill so many times, one Library after another; ends early after the first kill with a finding."""
        number, library = 0, first_library
        while number < n_kills:
            for kill in self._library(library, number, n_kills):
                number = kill.number
                yield kill
                if kill.lost or kill.inconsistent:
                    return
            library += 1

    def folder(self, library: int) -> Path:
        """Where the Library of that number lives; it is kept where something was found, else deleted."""
        return self.bench.scratch / f"library-{self.seed}-{library}"

    def _library(self, library: int, number: int, n_kills: int) -> Iterator[Kill]:
        is_large = self.large is not None and library % _LARGE_EVERY == _LARGE_EVERY - 1
        scene = self.scene(library, is_large=is_large)
        kinds = KINDS_OF_LARGE if is_large else KINDS
        last = min(number + KILLS_A_LIBRARY, n_kills)
        while number < last:
            (kind,) = scene.rng.choices(list(kinds), list(kinds.values()))
            death = scene.one_of(kind)
            number += death.was_killed  # one that came to its end is examined as well, and is no kill
            kill = self.examined(scene, death, number=number, library=library, is_last=number == last)
            if death.was_killed or kill.lost or kill.inconsistent:
                yield kill
            if kill.lost or kill.inconsistent:
                return
        shutil.rmtree(scene.scratch)

    def scene(self, library: int, *, is_large: bool = False) -> Scene:
        """A Library of that number: none yet, or a copy of the large one."""
        rng = seeded(self.seed, library)
        folder = self.folder(library)
        folder.mkdir(parents=True)
        ledger = Ledger()
        if is_large and self.large is not None:
            shutil.copytree(self.large.settings.library, folder / "library")
            for item in self.large.ledger.present():
                ledger.submit(item.article.article_id, item)
                ledger.settle(item.article.article_id, item)
            ledger.touched.clear()
        return Scene(
            settings=Settings(library=folder / "library", cache=self.bench.cache),
            ledger=ledger,
            newsroom=Newsroom(self.bench.originals, rng),
            rng=rng,
            scratch=folder,
        )

    def examined(self, scene: Scene, death: Death, *, number: int, library: int, is_last: bool) -> Kill:
        """What is found after a death: by the commands now and then, and by comparing and searching."""
        began = time.monotonic()
        with_command = number % self.command_every == 0 and scene.settings.library.is_dir()
        inconsistent = list(_faults_of(death))
        if with_command:
            inconsistent += _asked(scene)
        found = self._examination(scene, everything=is_last)
        return Kill(
            number=number,
            library=library,
            kind=death.kind,
            phase=death.phase,
            lived_s=round(death.lived_s, 3),
            acknowledged=death.acknowledged,
            expected=death.expected,
            compared=len(found.there),
            searched=found.n_searched,
            examined_s=round(time.monotonic() - began, 3),
            with_command=with_command,
            said=found.said,
            lost=found.lost,
            inconsistent=[*inconsistent, *found.inconsistent],
        )

    def _examination(self, scene: Scene, *, everything: bool) -> Examination:
        settings = scene.settings
        if scene.rng.random() >= _ON_A_COPY or not settings.library.is_dir():
            return self.bench.examiner.examine(settings, scene.ledger, everything=everything)
        copy = scene.scratch / "copy"
        shutil.copytree(settings.library, copy)
        try:
            copied = Settings(library=copy, cache=settings.cache)
            return self.bench.examiner.examine(copied, scene.ledger, everything=everything)
        finally:
            shutil.rmtree(copy)


def large_start(bench: Bench) -> Stage:
    """A Library to which a handful of passages more give a dense index on the disk."""
    stage = bench.stage("large")
    newsroom = Newsroom(bench.originals, bench.rng, label="large-")
    stage.add("articles", [newsroom.brief() for _ in range(MOST_BESIDE - 5)])
    return stage


def _faults_of(death: Death) -> Iterator[str]:
    if not death.was_killed and death.code:
        yield f"{death.kind} ended by itself with exit code {death.code}: {death.errors[-500:]}"
    elif "Traceback" in death.errors or "panicked" in death.errors:
        yield f"{death.kind}: {death.errors[-2000:]}"


def _asked(scene: Scene) -> Iterator[str]:
    """`quoth ask` and `quoth check` after the kill, before anything else has opened the Library."""
    present = scene.ledger.present()
    if not present:
        return
    item = scene.rng.choice([i for i in present if i.article.article_id not in scene.ledger.touched] or present)
    asked = quoth(scene.settings, "ask", item.question, "--json", "--min-confidence", "0")
    if asked.returncode != 0:
        yield f"quoth ask: exit code {asked.returncode}: {asked.stderr[-500:]}"
    else:
        yield from _citation_faults(asked.stdout, scene.ledger, item)
    checked = quoth(scene.settings, "check")
    if checked.returncode != 0:
        yield f"quoth check: exit code {checked.returncode}: {checked.stdout[-500:]}{checked.stderr[-500:]}"


def _citation_faults(text: str, ledger: Ledger, asked: Item) -> Iterator[str]:
    document = json.loads(text)
    if asked.article.article_id not in {passage["article_id"] for passage in document["passages"]}:
        yield f"quoth ask: article {asked.article.article_id!r} is not among the passages for {asked.question!r}"
    for answer in [document["answer"], *document["alternatives"]]:
        citation = answer["citation"]
        texts = [i.article.text for i in ledger.possible(citation["article_id"]) if i is not None]
        if not any(text[citation["start"] : citation["end"]] == citation["quote"] for text in texts):
            yield f"quoth ask: {citation['quote']!r} does not stand in article {citation['article_id']!r}"
