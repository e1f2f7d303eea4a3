"""A server in trouble: asked ten times too much, a worker killed, stopped while it is asked."""

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from bench.load_generator import Load
from bench.load_records import (
    REFUSED_CONNECTION,
    Record,
    Traffic,
    facts_of,
    longest_gap_s,
    quantile_ms,
    recovery,
    slope_per_hour,
)
from bench.load_server import Memory, Served, Variant
from bench.load_steps import Bench, cores_of, show

TIMES_OVER = 10
QUIET_S, AFTER_S = 20, 30
KILLS, BETWEEN_KILLS_S = 3, 15
STOPS = (1, 2, 1, 2)
"""Workers of each server that is stopped."""
_SAMPLE_S = 30
_SLOWER = 1.5


def overload(bench: Bench, rate: float, seconds: float) -> None:
    """Ten times the rate, between quiet before and after."""
    begin, end = QUIET_S, QUIET_S + seconds
    with Served(bench.library, Variant()) as served:
        bench.warm(served)
        load = Load(served, [(rate, QUIET_S), (TIMES_OVER * rate, seconds), (rate, AFTER_S)], bench.folder)
        load.wait_until(begin)
        cpu_s = served.cpu_s()
        samples = _sampled(served, load, seconds)
        cpu_s = served.cpu_s() - cpu_s
        traffic = load.traffic()
        samples_after = [(seconds + AFTER_S, served.memory())]
    quiet = traffic.between(0, begin)
    show("quiet before", {"rate": rate, **facts_of(quiet)})
    facts = facts_of(traffic.between(begin, end))
    show("overload", {"rate": TIMES_OVER * rate, "s": seconds, **facts, **cores_of(traffic, cpu_s, seconds)})
    for t, memory in [*samples, *samples_after]:
        show("memory", {"s": t, **asdict(memory)})
    rss = slope_per_hour([(t, memory.rss_mb) for t, memory in samples])
    pss = slope_per_hour([(t, memory.pss_mb) for t, memory in samples])
    show("memory slope", {"rss_mb_per_h": rss, "pss_mb_per_h": pss})
    limit_ms = _SLOWER * (quantile_ms([record for record in quiet if record.is_answered], 0.99) or 0.0)
    found = recovery(traffic.records, traffic.began + end, limit_ms)
    again = facts_of(traffic.between(end, end + AFTER_S))
    show("recovery", {"rate": rate, "limit_ms": round(limit_ms, 1), **found, **again})


def killed(bench: Bench, rate: float) -> None:
    """Of two workers, the older one is killed, again and again."""
    seconds = QUIET_S + KILLS * BETWEEN_KILLS_S
    with Served(bench.library, Variant(workers=2)) as served:
        bench.warm(served)
        load = Load(served, [(rate, seconds)], bench.folder)
        kills = []
        for number in range(KILLS):
            load.wait_until(QUIET_S + number * BETWEEN_KILLS_S)
            victim = served.workers()[0]
            at = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            kills.append((at, _until_both_answer(served, victim)))
        traffic = load.traffic()
    first = kills[0][0]
    before = facts_of([record for record in traffic.records if record.done < first])
    gap_s = longest_gap_s(traffic.records, traffic.began, first)
    show("before the kills", {"rate": rate, "longest_gap_s": gap_s, **before})
    for at, both_answer_s in kills:
        show("worker killed", {"both_answer_again_s": both_answer_s, **_seen_of_a_kill(traffic, at)})


def stop(bench: Bench, rate: float) -> None:
    """SIGTERM under more than it bears, so that questions wait."""
    for workers in STOPS:
        with Served(bench.library, Variant(workers=workers)) as served:
            bench.warm(served)
            load = Load(served, [(rate, 12)], bench.folder)
            load.wait_until(6)
            at = time.monotonic()
            code = served.stop()
            stopped_s = round(time.monotonic() - at, 2)
            traffic = load.traffic()
        facts = {"workers": workers, "rate": rate, "exit": code, "stopped_s": stopped_s}
        show("graceful stop", {**facts, **_seen_of_a_stop(traffic, at)})


def _sampled(served: Served, load: Load, seconds: float) -> list[tuple[float, Memory]]:
    """Memory every half minute of the overload, and at its beginning and end."""
    samples = [(0.0, served.memory())]
    while samples[-1][0] < seconds:
        t = min(samples[-1][0] + _SAMPLE_S, seconds)
        load.wait_until(QUIET_S + t)
        samples.append((t, served.memory()))
    return samples


def _until_both_answer(served: Served, victim: int) -> float | None:
    """Seconds until two workers answer that are not the one killed; None if that takes too long."""
    began = time.monotonic()
    answering: set[int] = set()
    while len(answering) < 2:
        if time.monotonic() > began + BETWEEN_KILLS_S - 1:
            return None
        answering |= {served.who_answers()} - {0, victim}
        time.sleep(0.05)
    return round(time.monotonic() - began, 2)


def _seen_of_a_kill(traffic: Traffic, at: float) -> dict[str, object]:
    """What clients saw until the next one."""
    end = at + BETWEEN_KILLS_S
    records = [record for record in traffic.records if at < record.done < end]
    wrong = [record for record in records if not record.is_answered]
    return {
        "in_flight": sum(record.sent <= at for record in records),
        "not_answered": _outcomes(wrong),
        "the_last_of_them_s": round(max((record.done - at for record in wrong), default=0.0), 2),
        "longest_gap_s": longest_gap_s(traffic.records, at, end),
        **facts_of(records),
    }


def _seen_of_a_stop(traffic: Traffic, at: float) -> dict[str, object]:
    """What clients saw of it: of the questions in flight, and of those sent later."""
    lost = [record for record in traffic.records if record.status == 0 and record.what != REFUSED_CONNECTION]
    return {
        "answered_before": sum(record.is_answered and record.done <= at for record in traffic.records),
        "in_flight": _outcomes([record for record in traffic.records if record.sent <= at < record.done]),
        "sent_later": _outcomes([record for record in traffic.records if record.sent > at]),
        "lost": len(lost),
    }


def _outcomes(records: Sequence[Record]) -> dict[str, int]:
    return dict(Counter(record.what for record in records))
