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
- overload: the steady rate, then ten times it for `--minutes`, then the steady rate again: what was shed and how fast;
  memory before, every 30 s and after, its slope by least squares after two minutes; and the recovery: p99 of windows of
  two seconds against 1.5 times the quiet p99.
- killed: two workers at 60 % of the steady rate; three times, one of them is killed (SIGKILL): what clients saw.
- stop: SIGTERM at twice the steady rate, with one worker and with two: `lost` are questions that were sent and got no
  whole answer. A connection refused took no question.
- queue: ten times the steady rate with other lengths of the queue.
- places: the rates around the steady one with other numbers of questions at once, and with two workers, side by side.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bench.load_server import make_library
from bench.load_steps import Bench, places, queue, size, steady
from bench.load_troubles import killed, overload, stop

PARTS = "size,steady,overload,killed,stop,queue,places"
RATES = "4,6,7,8,9,10,11,12,13,14,16,18,20,24,28,32"


def main(
    articles: list[Path],
    parts: Annotated[str, typer.Option(help="Which, with commas between.")] = PARTS,
    rates: Annotated[str, typer.Option(help="The steps of the steady part, a second.")] = RATES,
    step_s: Annotated[float, typer.Option(help="Seconds of a step; half of it in queue and places.")] = 30,
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
            size(bench)
        if "steady" in chosen:
            rate = steady(bench, [float(step) for step in rates.split(",")])
        if not rate and set(chosen) - {"size", "steady"}:
            raise typer.BadParameter("no rate was within the limits, or none was measured: give --rate")
        if "overload" in chosen:
            overload(bench, rate, minutes * 60)
        if "killed" in chosen:
            killed(bench, round(0.6 * rate, 1))
        if "stop" in chosen:
            stop(bench, 2 * rate)
        if "queue" in chosen:
            queue(bench, 10 * rate)
        if "places" in chosen:
            places(bench, [rate + more for more in (-2, -1, 0, 1, 2, 3, 4) if rate + more > 0])


if __name__ == "__main__":
    typer.run(main)
