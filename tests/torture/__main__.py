"""Pulls the plug on Quoth, for as long as you like: python -m tests.torture --kills 500 --out torture.json.

Kills processes that add, serve, remove, search and repair; damages every file; fills the disk; takes the right to write
away; turns the clock; lets two write at once. Ends with exit code 1, and keeps the Library, if anything acknowledged is
lost, anything is inconsistent, or any damage goes unnoticed.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from api.settings import Settings
from index.export import DEFAULT_MODEL, exported_embedder
from tests.torture import clocks, matrix, places, power, summary, writers
from tests.torture.examine import Examiner
from tests.torture.kills import Campaign, Kill, large_start
from tests.torture.matrix import Case
from tests.torture.news import SEEDS, originals, seeded
from tests.torture.trials import Bench, Trial

PARTS = ("kills", "damage", "disk", "read-only", "clock", "writers", "power")
_DISKS_KB = (300, 400, 500, 600, 800, 1000)
_FLIPS = 2
_WRITER_ARTICLES = 60
_PAIRS_KILLED = 10


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything that was done and found."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    damage: list[Case] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether nothing was found."""
        wrong_kills = [kill for kill in self.kills if kill.lost or kill.inconsistent]
        wrong_cases = [case for case in self.damage if not case.outcome.is_right]
        return not wrong_kills and not wrong_cases and not any(trial.faults for trial in self.trials)


def main(
    kills: Annotated[int, typer.Option(min=0, help="How many processes to kill.")] = 500,
    seed: Annotated[int, typer.Option(help="Other articles, other plans, other places of damage.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write everything that was found there, as JSON.")] = None,
    articles: Annotated[Path, typer.Option(help="A file or folder of articles that others are made from.")] = SEEDS,
    part: Annotated[list[str] | None, typer.Option(help=f"Only this: {', '.join(PARTS)}.")] = None,
    first_library: Annotated[int, typer.Option(help="Repeat from the Library of this number on.")] = 0,
    scratch: Annotated[Path | None, typer.Option(help="Where Libraries are made; else a temporary folder.")] = None,
) -> None:
    """Kill, damage, fill, lock and turn the clock; print a summary."""
    folder = Path(tempfile.mkdtemp(prefix="quoth-torture-", dir=scratch))
    cache = Settings().cache
    exported_embedder(DEFAULT_MODEL, cache / "embedders")
    bench = Bench(
        scratch=folder,
        cache=cache,
        originals=originals(articles),
        examiner=Examiner(seed),
        rng=seeded(seed),
    )
    report = Report(seed=seed)
    for name in part or PARTS:
        began = time.monotonic()
        _do(name, bench, report, n_kills=kills, first_library=first_library)
        report.seconds[name] = round(time.monotonic() - began, 1)
        if out:
            out.write_text(json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    bench.examiner.close()
    typer.echo(summary.text(report.kills, report.damage, report.trials, report.seconds))
    if not report.is_right:
        typer.echo(f"\nWhat was found is kept in {folder}; seed {seed}.")
        sys.exit(1)
    shutil.rmtree(folder)


def _do(name: str, bench: Bench, report: Report, *, n_kills: int, first_library: int) -> None:
    if name == "kills":
        large = large_start(bench) if n_kills else None
        for kill in Campaign(bench=bench, seed=report.seed, large=large).run(n_kills, first_library=first_library):
            report.kills.append(kill)
            _say(summary.line_of_kill(kill, report.seed), is_right=not kill.lost and not kill.inconsistent)
    elif name == "damage":
        for case in _cases(bench):
            report.damage.append(case)
            _say(summary.line_of_case(case), is_right=case.outcome.is_right)
    elif name in PARTS:
        for make in _trials(name, bench):
            trial = make()
            report.trials.append(trial)
            _say(summary.line_of_trial(trial), is_right=not trial.faults)
    else:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(PARTS)}")


def _cases(bench: Bench) -> Iterator[Case]:
    for make in (matrix.closed_library, matrix.killed_library, matrix.large_library):
        base = make(bench.stage(f"damage-{make.__name__}"))
        damages = matrix.all_damages(base, bench.rng, n_flips=_FLIPS)
        yield from matrix.cases(base, damages, bench.scratch)


def _trials(name: str, bench: Bench) -> list[Callable[[], Trial]]:
    n = _WRITER_ARTICLES
    if name == "disk":
        return [partial(places.full_disk, bench, size_kb) for size_kb in _DISKS_KB]
    if name == "read-only":
        return [partial(places.read_only, bench, state) for state in places.STATES]
    if name == "clock":
        return [partial(clocks.jumping, bench), partial(clocks.other_boot, bench)]
    if name == "power":
        return [partial(power.loss_of_power, bench)]
    return [
        partial(writers.different_articles, bench, n),
        partial(writers.same_articles, bench, n),
        partial(writers.add_beside_serving, bench, n),
        partial(writers.held_lock, bench),
        *(partial(writers.both_killed, bench, n, number) for number in range(_PAIRS_KILLED)),
    ]


def _say(line: str, *, is_right: bool) -> None:
    typer.echo(f"{time.strftime('%H:%M:%S')} {'' if is_right else 'WRONG '}{line}")


if __name__ == "__main__":
    typer.run(main)
