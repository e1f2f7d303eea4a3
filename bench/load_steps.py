"""What a server takes, and the rate that it bears: as it is, and with other settings."""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load_generator import Load
from bench.load_records import Traffic, facts_of, is_within
from bench.load_server import Served, Variant

QUEUES = (4, 8, 16, 32)
SIDE_BY_SIDE = (Variant(places=1), Variant(places=2), Variant(places=3), Variant(workers=2))
_WARM_UP = (3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Bench:
    """The Library that is asked, and how long a step takes."""

    library: Path
    step_s: float

    @property
    def folder(self) -> Path:
        """Where files of this run may lie."""
        return self.library.parent

    def warm(self, served: Served) -> None:
        """The first questions, which are not measured."""
        Load(served, [_WARM_UP], self.folder, order=0).traffic()

    def step(self, part: str, served: Served, stage: tuple[float, float], order: int = 1) -> bool:
        """Measure questions a second, for so many seconds: whether this rate can be served."""
        rate, seconds = stage
        cpu_s = served.cpu_s()
        traffic = Load(served, [stage], self.folder, order=order).traffic()
        cores = cores_of(traffic, served.cpu_s() - cpu_s, traffic.s)
        within = is_within(traffic.records)
        show(part, {"rate": rate, "s": seconds, "within": within, **facts_of(traffic.records), **cores})
        return within


def size(bench: Bench) -> None:
    """What a server takes that has nothing to do, and after it has answered."""
    for workers in (1, 2):
        with Served(bench.library, Variant(workers=workers)) as served:
            idle = served.memory()
            bench.warm(served)
            facts = {"ready_s": served.ready_s, "idle": asdict(idle), "warm": asdict(served.memory())}
            show("size", {"workers": workers, "cores": len(os.sched_getaffinity(0)), **facts})


def steady(bench: Bench, rates: Sequence[float]) -> float:
    """The highest rate of the steps before the first that is twice over; 0 if the first is."""
    best = 0.0
    with Served(bench.library, Variant()) as served:
        bench.warm(served)
        for rate in rates:
            if not any(bench.step("steady", served, (rate, bench.step_s), order) for order in (1, 2)):
                break
            best = rate
    show("steady result", {"per_s": best})
    return best


def queue(bench: Bench, rate: float) -> None:
    """More than it bears, with each length of the queue."""
    for length in QUEUES:
        with Served(bench.library, Variant(queue=length)) as served:
            bench.warm(served)
            bench.step(f"queue {length}", served, (rate, bench.step_s / 2))


def places(bench: Bench, rates: Sequence[float]) -> None:
    """Each rate with every variant, one after the other, so that all meet the same noise of the machine; a variant
    that was over twice is not asked again.
    """
    best, misses = dict.fromkeys(SIDE_BY_SIDE, 0.0), dict.fromkeys(SIDE_BY_SIDE, 0)
    with ExitStack() as stack:
        servers = {variant: stack.enter_context(Served(bench.library, variant)) for variant in SIDE_BY_SIDE}
        for served in servers.values():
            bench.warm(served)
        for rate in rates:
            for variant, served in servers.items():
                if misses[variant] == 2:
                    continue
                if bench.step(variant.name, served, (rate, bench.step_s / 2)):
                    best[variant] = rate
                else:
                    misses[variant] += 1
    for variant, rate in best.items():
        show("places result", {**asdict(variant), "per_s": rate})


def cores_of(traffic: Traffic, server_cpu_s: float, seconds: float) -> dict[str, float]:
    """How many cores the server and the generator took on average."""
    return {"server_cores": round(server_cpu_s / seconds, 2), "generator_cores": round(traffic.cpu_s / traffic.s, 2)}


def show(part: str, facts: dict[str, object]) -> None:
    """Print the line."""
    print(json.dumps({"part": part, **facts}), flush=True)
