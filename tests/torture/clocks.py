"""Clocks that are wrong, and that jump while a process runs; files from the future and from long ago."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.torture.product import ROOT, Victim, quoth
from tests.torture.server import Client, Server
from tests.torture.trials import Bench, Stage, Trial

_TEN_YEARS_S = 315_360_000
_SHIFT = "TORTURE_CLOCK_SHIFTS_S"
_SITECUSTOMIZE = f"""
import os, time
_shifts = [float(s) for s in os.environ["{_SHIFT}"].split(",")]
_time, _calls = time.time, [0]
def shifted():
    _calls[0] += 1
    return _time() + _shifts[_calls[0] % len(_shifts)]
time.time = shifted
time.time_ns = lambda: int(shifted() * 1e9)
"""
"""Python runs it at the start of a process: the time of day is then off by each of the shifts in turn."""
_ARTICLES = 10


def jumping(bench: Bench) -> Trial:
    """Add, ask, serve and be killed with the time of day ten years ahead, behind, and jumping between the two."""
    trial = Trial(name="time of day off by ten years, and jumping")
    stage = bench.stage("clock")
    shifter = stage.folder / "shifter"
    shifter.mkdir()
    (shifter / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
    ahead, behind = str(_TEN_YEARS_S), str(-_TEN_YEARS_S)
    for number, shifts in enumerate([ahead, behind, f"{ahead},{behind},0"]):
        more = {_SHIFT: shifts, "PYTHONPATH": f"{shifter}{os.pathsep}{ROOT}"}
        _add_and_kill(trial, stage, f"clock-{number}", more)
        _touch(stage.settings.library, bench.rng.choice([-1, 1]) * _TEN_YEARS_S)
        stage.examine(trial)
        _serve_and_kill(trial, stage, more)
        _touch(stage.settings.library, bench.rng.choice([-1, 1]) * _TEN_YEARS_S)
        stage.examine(trial)
    bench.keep_or_delete("clock", trial)
    return trial


def other_boot(bench: Bench) -> Trial:
    """Add and be killed in a time namespace in which the computer has been up for years, then outside of it."""
    trial = Trial(name="monotonic clock ahead (time namespace)")
    prefix = ["unshare", "-T", "--monotonic", str(_TEN_YEARS_S), "--boottime", str(_TEN_YEARS_S)]
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        trial.skipped = str(error)
        return trial
    if tried.returncode:
        trial.skipped = tried.stderr.strip()
        return trial
    stage = bench.stage("boot")
    _add_and_kill(trial, stage, "inside", {}, prefix)
    stage.examine(trial)
    _add_and_kill(trial, stage, "outside", {})
    done = quoth(stage.settings, "check", prefix=prefix)
    trial.expect(done.returncode == 0, f"quoth check inside: {done.stdout}{done.stderr}")
    stage.examine(trial)
    bench.keep_or_delete("boot", trial)
    return trial


def _add_and_kill(trial: Trial, stage: Stage, name: str, more: dict[str, str], prefix: Sequence[str] = ()) -> None:
    items = [stage.newsroom.flash() for _ in range(_ARTICLES)]
    items += [stage.newsroom.flash(item.article.article_id) for item in items[::3]]
    victim = Victim(stage.settings, "add", "--verbose", stage.file(name, items), more=more, prefix=prefix)
    victim.wait_for_lines(stage.bench.rng.randint(1, len(items)))
    victim.end(kill=True)
    trial.facts.append(f"{name}: {stage.hear(victim.lines)} of {len(items)} acknowledged before the kill")
    errors = victim.errors()
    trial.expect("Traceback" not in errors, errors[-1000:])


def _serve_and_kill(trial: Trial, stage: Stage, more: dict[str, str]) -> None:
    server = Server(stage.settings, more=more)
    trial.expect(server.wait_until_ready(), "quoth serve does not start")
    flashes = [stage.newsroom.flash() for _ in range(_ARTICLES)]
    client = Client(server, stage.ledger, [[(item.article.article_id, item) for item in flashes]])
    client.start()
    client.wait_for(_ARTICLES // 2)
    time.sleep(stage.bench.rng.uniform(0, 0.05))
    server.process.end(kill=True)
    client.join()
    errors = server.process.errors()
    trial.expect("Traceback" not in errors, errors[-1000:])
    trial.expect(not client.refused, f"refused: {client.refused}")


def _touch(library: Path, shift_s: float) -> None:
    """Give every file and folder a time of change that is so far off."""
    for path in [library, *library.rglob("*")]:
        when = time.time() + shift_s
        os.utime(path, (when, when))
