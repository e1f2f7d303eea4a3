"""Quoth's service under load: what it bears, what it does past that, and how it recovers, loses a worker and stops.

    python -m bench.load seeds/articles [MORE_ARTICLES ...] [--parts size,steady,...] [--minutes 1] [--rate 9]

Method: a Library of the articles given; `quoth serve` as a process of its own on the loopback address, without a rate
limit; questions from seeds/questions.jsonl in random order at the times of a Poisson process (bench/load_users.py says
why, and what a latency is). The generator runs on the same cores: each line tells how much of them it and the server
took, and how late it sent. The parts, each printing one JSON line a measurement:

- size: seconds to ready, and memory (PSS: a page that processes share is counted once), with one worker and with two.
- steady: rates in rising steps until p99 of the answered is over 500 ms, more than 1 % are shed or anything else comes;
  a step that is over is tried once more, as a neighbour on the machine may have caused it. The last step within is the
  steady rate, on which the following parts rest; `--rate` gives it instead.
- overload: the steady rate, then ten times it for `--minutes`, then the steady rate again: what was shed and how fast,
  memory before, every 30 s and after, its slope by least squares after two minutes, and the recovery: p99 of windows of
  two seconds against 1.5 times the quiet p99.
- killed: two workers at 60 % of the steady rate, of which one is killed (SIGKILL): what clients saw.
- stop: SIGTERM at twice the steady rate, with one worker and with two: `lost` are questions that a connection had
  taken and that got no whole answer.
- queue: ten times the steady rate with other lengths of the queue, side by side.
- places: the rates around the steady one with other numbers of questions at once, and with two workers, side by side.
"""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.load_records import (
    REFUSED_CONNECTION,
    Record,
    Traffic,
    facts_of,
    is_within,
    longest_gap_s,
    quantile_ms,
    recovery,
    slope_per_hour,
)
from bench.load_server import Load, Served, Variant, make_library

PARTS = "size,steady,overload,killed,stop,queue,places"
RATES = "4,6,7,8,9,10,11,12,13,14,16,18,20,24,28,32"
QUEUES = (4, 8, 16, 32)
SIDE_BY_SIDE = (Variant(places=1), Variant(places=2), Variant(places=3), Variant(workers=2))
TIMES_OVER = 10
WARM_UP = (3.0, 5.0)
QUIET_S, AFTER_S = 20, 30


def main(
    articles: list[Path],
    parts: Annotated[str, typer.Option(help="Which, with commas between.")] = PARTS,
    rates: Annotated[str, typer.Option(help="The steps of the steady part, a second.")] = RATES,
    step_s: Annotated[float, typer.Option(help="Seconds of a step; side by side, two thirds.")] = 30,
    minutes: Annotated[float, typer.Option(help="Of the overload.")] = 1,
    rate: Annotated[float, typer.Option(help="The steady rate, where it is not measured.")] = 0,
) -> None:
    """Print one JSON line for each measurement."""
    chosen = parts.split(",")
    if unknown := set(chosen) - set(PARTS.split(",")):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the parts are {PARTS}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(make_library(Path(folder), articles), step_s)
        if "size" in chosen:
            bench.size()
        if "steady" in chosen:
            rate = bench.steady([float(step) for step in rates.split(",")])
        if not rate and set(chosen) - {"size"}:
            raise typer.BadParameter("no rate is within the limits, or none was given: give --rate")
        if "overload" in chosen:
            bench.overload(rate, minutes * 60)
        if "killed" in chosen:
            bench.killed(round(0.6 * rate, 1))
        if "stop" in chosen:
            bench.stop(2 * rate)
        if "queue" in chosen:
            bench.queue(rate)
        if "places" in chosen:
            bench.places([rate + more for more in (-2, -1, 0, 1, 2, 3) if rate + more > 0])


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts, over one Library."""

    library: Path
    step_s: float

    def size(self) -> None:
        """What a server takes that has nothing to do, and after it has answered."""
        for workers in (1, 2):
            with Served(self.library, Variant(workers=workers)) as served:
                idle = served.memory()
                self._load(served, WARM_UP)
                facts = {"ready_s": served.ready_s, "idle": asdict(idle), "warm": asdict(served.memory())}
                show("size", workers=workers, cores=len(os.sched_getaffinity(0)), **facts)

    def steady(self, rates: Sequence[float]) -> float:
        """The highest rate of the steps within the limits; 0 if even the first is not."""
        best = 0.0
        with Served(self.library, Variant()) as served:
            self._load(served, WARM_UP)
            for rate in rates:
                if not any(self._step("steady", served, rate, self.step_s, n) for n in (1, 2)):
                    break
                best = rate
        show("steady result", per_s=best)
        return best

    def overload(self, rate: float, seconds: float) -> None:
        """Ten times the rate, between quiet before and after."""
        over, end = QUIET_S, QUIET_S + seconds
        with Served(self.library, Variant()) as served:
            self._load(served, WARM_UP)
            load = Load(served, [(rate, QUIET_S), (TIMES_OVER * rate, seconds), (rate, AFTER_S)], self.library.parent)
            load.wait_until(over)
            samples, cpu = [(0.0, served.memory())], served.cpu_s()
            while samples[-1][0] < seconds:
                taken = min(samples[-1][0] + 30, seconds)
                load.wait_until(over + taken)
                samples.append((taken, served.memory()))
            server_cores = round((served.cpu_s() - cpu) / seconds, 2)
            traffic = load.traffic()
            after = served.memory()
        quiet = traffic.between(0, over)
        show("quiet before", rate=rate, **facts_of(quiet, QUIET_S))
        facts = facts_of(traffic.between(over, end), seconds)
        show("overload", rate=TIMES_OVER * rate, s=seconds, **facts, server_cores=server_cores, **_generator(traffic))
        for t, memory in [*samples, (seconds + AFTER_S, after)]:
            show("memory", s=t, **asdict(memory))
        slopes = {f"{name}_mb_per_h": slope_per_hour([(t, getattr(m, f"{name}_mb")) for t, m in samples])
                  for name in ("rss", "pss")}  # fmt: skip
        show("memory slope", **slopes)
        limit_ms = 1.5 * (quantile_ms([record for record in quiet if record.is_answered], 0.99) or 0.0)
        found = recovery(traffic.records, traffic.began + end, limit_ms)
        show("recovery", limit_ms=limit_ms, **found, **facts_of(traffic.between(end, end + AFTER_S), AFTER_S))

    def killed(self, rate: float) -> None:
        """One of two workers is killed."""
        with Served(self.library, Variant(workers=2)) as served:
            self._load(served, WARM_UP)
            load = Load(served, [(rate, QUIET_S + AFTER_S)], self.library.parent)
            load.wait_until(QUIET_S)
            before = served.workers()
            at = time.monotonic()
            os.kill(before[0], 9)
            both_s = _until_both_answer(served, before)
            traffic = load.traffic()
        in_flight = [record for record in traffic.records if record.sent <= at < record.done]
        wrong = [record for record in traffic.records if not record.is_answered]
        parts = {"before": traffic.between(0, QUIET_S), "after": traffic.between(QUIET_S, QUIET_S + AFTER_S)}
        show(
            "worker killed", rate=rate, in_flight=len(in_flight), errors=dict(Counter(record.what for record in wrong)),
            errors_until_s=round(max((record.done - at for record in wrong), default=0.0), 2),
            longest_gap_before_s=longest_gap_s(traffic.records, traffic.began, at),
            longest_gap_after_s=longest_gap_s(traffic.records, at, traffic.began + QUIET_S + AFTER_S),
            both_answer_again_s=both_s,
        )  # fmt: skip
        for name, records in parts.items():
            show(f"worker killed: {name}", **facts_of(records, QUIET_S if name == "before" else AFTER_S))

    def stop(self, rate: float) -> None:
        """SIGTERM under more than it bears, so that questions wait."""
        for workers in (1, 2):
            with Served(self.library, Variant(workers=workers)) as served:
                self._load(served, WARM_UP)
                load = Load(served, [(rate, 15)], self.library.parent)
                load.wait_until(8)
                at = time.monotonic()
                code = served.stop()
                stop_s = round(time.monotonic() - at, 2)
                traffic = load.traffic()
            show("graceful stop", workers=workers, rate=rate, exit=code, stop_s=stop_s, **_seen(traffic, at))

    def queue(self, rate: float) -> None:
        """Ten times the rate, with each length of the queue."""
        seconds = self.step_s * 2 / 3
        for length in QUEUES:
            with Served(self.library, Variant(queue=length)) as served:
                self._load(served, WARM_UP)
                self._step(f"queue {length}", served, TIMES_OVER * rate, seconds, 1)

    def places(self, rates: Sequence[float]) -> None:
        """Each rate with every variant, one after the other, so that all meet the same noise of the machine."""
        best = dict.fromkeys(SIDE_BY_SIDE, 0.0)
        with ExitStack() as stack:
            servers = {variant: stack.enter_context(Served(self.library, variant)) for variant in SIDE_BY_SIDE}
            for served in servers.values():
                self._load(served, WARM_UP)
            for rate in rates:
                for variant, served in servers.items():
                    name = f"workers {variant.workers}, places {variant.places or 2}"
                    if self._step(name, served, rate, self.step_s * 2 / 3, 1):
                        best[variant] = rate
        for variant, rate in best.items():
            show("places result", workers=variant.workers, places=variant.places or 2, per_s=rate)

    def _load(self, served: Served, stage: tuple[float, float], order: int = 1) -> Traffic:
        return Load(served, [stage], self.library.parent, order=order).traffic()

    def _step(self, part: str, served: Served, rate: float, seconds: float, order: int) -> bool:
        cpu = served.cpu_s()
        traffic = self._load(served, (rate, seconds), order)
        cores = round((served.cpu_s() - cpu) / traffic.s, 2)
        within = is_within(traffic.records)
        facts = facts_of(traffic.records, traffic.s)
        show(part, rate=rate, s=seconds, within=within, **facts, server_cores=cores, **_generator(traffic))
        return within


def _generator(traffic: Traffic) -> dict[str, float]:
    return {"generator_cores": round(traffic.cpu_s / traffic.s, 2)}


def _until_both_answer(served: Served, before: Sequence[int]) -> float | None:
    """Seconds until a worker that is new answers, and the one that was left too."""
    began = time.monotonic()
    missing = 2
    seen: set[int] = set()
    while missing and time.monotonic() < began + AFTER_S:
        seen |= {served.who_answers()} - {0, before[0]}
        missing = 2 - len(seen)
        time.sleep(0.05)
    return None if missing else round(time.monotonic() - began, 2)


def _seen(traffic: Traffic, at: float) -> dict[str, Any]:
    """What clients saw of a stop at that moment."""

    def whole(records: Sequence[Record]) -> int:
        return sum(record.status != 0 for record in records)

    in_flight = [record for record in traffic.records if record.sent <= at < record.done]
    refused = [record for record in traffic.records if record.what == REFUSED_CONNECTION]
    lost = Counter(r.what for r in traffic.records if r.status == 0 and r.what != REFUSED_CONNECTION)
    later = [record for record in traffic.records if record.sent > at]
    return {
        "questions": len(traffic.records), "in_flight": len(in_flight), "in_flight_answered": whole(in_flight),
        "statuses_in_flight": dict(Counter(record.what for record in in_flight)),
        "sent_later": len(later), "sent_later_answered": whole(later), "connections_refused": len(refused),
        "lost": dict(lost),
    }  # fmt: skip


def show(part: str, **facts: object) -> None:
    """Print the line."""
    print(json.dumps({"part": part, **facts}), flush=True)


if __name__ == "__main__":
    typer.run(main)
