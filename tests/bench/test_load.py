import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import Archive
from bench.load_records import (
    REFUSED_CONNECTION,
    Record,
    Traffic,
    facts_of,
    is_within,
    longest_gap_s,
    read_traffic,
    recovery,
    slope_per_hour,
)
from bench.load_server import Served, Variant

ROOT = Path(__file__).parent.parent.parent
SLOW_SERVER = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    n = 0
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.n += 1
        time.sleep(0.1)
        if Handler.n % 4 == 0:
            return  # no answer
        self.send_response(503 if Handler.n % 4 == 1 else 200)
        self.end_headers()
        self.wfile.write(b'{"code": "busy"}')
class Server(HTTPServer):
    request_queue_size = 200
server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""Takes one question after the other, 0.1 s each; of four, one is shed, two are answered, and one is broken off."""


def answered(due: float, took_ms: float) -> Record:
    return Record(due=due, sent=due, done=due + took_ms / 1000, status=200, error="")


def shed(due: float) -> Record:
    return Record(due=due, sent=due, done=due + 0.002, status=503, error="busy")


def broken_off(due: float) -> Record:
    return Record(due=due, sent=due, done=due + 0.002, status=0, error="awaiting the answer: ConnectionResetError")


def test_the_facts_of_a_step() -> None:
    slow = Record(due=1.0, sent=1.25, done=3.0, status=200, error="")
    gone = Record(due=1.0, sent=1.0, done=11.0, status=503, error="deadline")
    facts = facts_of([*(answered(n, 100.0) for n in range(7)), slow, shed(2), shed(3), gone, broken_off(4)])
    assert facts == {
        "questions": 12, "answered": 8, "answered_per_s": 1.31, "shed": 2, "shed_share": 0.1667,
        "others": {"503 deadline": 1, "awaiting the answer: ConnectionResetError": 1},
        "p50_ms": 100.0, "p99_ms": 1867.0, "max_ms": 2000.0, "shed_p50_ms": 2.0, "shed_p99_ms": 2.0, "shed_max_ms": 2.0,
        "sent_late_p99_ms": 222.5, "sent_late_max_ms": 250.0,
    }  # fmt: skip


def test_the_facts_of_nothing() -> None:
    facts = facts_of([])
    assert {name for name, value in facts.items() if value} == set()
    assert facts["p99_ms"] is None


@pytest.mark.parametrize(
    ("records", "within"),
    [
        ([answered(n, 500) for n in range(200)], True),
        ([*(answered(n, 100) for n in range(97)), *(answered(n, 600) for n in range(3))], False),
        ([*(answered(n, 100) for n in range(99)), shed(1)], True),
        ([*(answered(n, 100) for n in range(98)), shed(1), shed(2)], False),
        ([*(answered(n, 100) for n in range(999)), broken_off(1)], False),
        ([], False),
    ],
)
def test_what_can_be_served(records: list[Record], within: bool) -> None:  # noqa: FBT001
    assert is_within(records) == within


def test_recovery_begins_with_the_first_good_window_and_is_over_after_the_last_bad_one() -> None:
    late = [answered(10 + n / 4, 900.0) for n in range(8)]  # due in the first 2 s after the end of the overload at 10
    good = [answered(12 + n / 4, 100.0) for n in range(24)]
    assert recovery([answered(9, 10), *late, *good], 10, 150) == {"first_answer_s": 2.1, "back_s": 1.8, "stays_s": 1.8}
    again = sorted([*late, *good, shed(15.125)], key=lambda record: record.due)
    assert recovery(again, 10, 150) == {"first_answer_s": 2.1, "back_s": 1.8, "stays_s": 5.2}
    assert recovery(late, 10, 150) == {"first_answer_s": None, "back_s": None, "stays_s": None}
    assert recovery(good, 12, 150) == {"first_answer_s": 0.1, "back_s": 0.0, "stays_s": 0.0}


def test_the_longest_gap_counts_answers_alone_and_both_ends() -> None:
    records = [answered(1, 500), shed(2), broken_off(3), answered(4, 500), answered(4.6, 100)]
    assert longest_gap_s(records, 1, 5) == 3.0
    assert longest_gap_s(records, 1, 9) == 4.3
    assert longest_gap_s([], 1, 9) == 8.0


def test_the_slope_of_memory_leaves_out_the_warm_up() -> None:
    warm_up = [(0.0, 100.0), (30.0, 290.0), (90.0, 299.0)]
    then = [(120.0 + 30 * n, 300 + n * 0.5) for n in range(10)]
    assert slope_per_hour([*warm_up, *then]) == 60.0
    assert slope_per_hour([*warm_up, *then[:3]]) is None


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    """20 questions a second for 1.5 s, of a server that takes 10."""
    with subprocess.Popen([sys.executable, "-c", SLOW_SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            port = int(server.stdout.readline())
            return asked(port, tmp_path_factory.mktemp("load"), "20:1,20:0.5")
        finally:
            server.kill()


def asked(port: int, folder: Path, stages: str) -> Traffic:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "bench" / "load_users.py"), "--headless", "-u", "1"]
    options = ["--address", f"127.0.0.1:{port}", "--stages", stages, "--records", str(folder / "records.json")]
    questions = ["--questions", str(ROOT / "seeds" / "questions.jsonl"), "--exit-code-on-error", "0"]
    subprocess.run([*command, *options, *questions], check=True, capture_output=True, timeout=120, cwd=folder)
    return read_traffic(folder / "records.json")


def test_the_generator_tells_each_outcome(seen: Traffic) -> None:
    n = len(seen.records)
    assert 10 < n < 60
    outcomes = Counter(record.what for record in seen.records)
    no_answer = "awaiting the answer: RemoteDisconnected"
    assert outcomes == {"200": n - n // 4 - (n + 3) // 4, "503 busy": (n + 3) // 4, no_answer: n // 4}
    assert 0 < seen.cpu_s < seen.s


def test_questions_are_due_at_the_times_of_the_seed_whatever_the_server_does(seen: Traffic) -> None:
    chance = random.Random(7)  # noqa: S311
    due, expected = chance.expovariate(20), []
    for end in (1.0, 1.5):
        while due < end:
            expected.append(due)
            due += chance.expovariate(20)
        due = end + chance.expovariate(20)
    assert [record.due - seen.began for record in seen.records] == pytest.approx(expected, abs=1e-6)


def test_a_latency_counts_the_wait_behind_others(seen: Traffic) -> None:
    served_s = 0.1 * len(seen.records)
    last_s = max(record.done for record in seen.records) - seen.began
    assert last_s >= served_s
    assert max(record.latency_ms for record in seen.records) >= (served_s - 1.5) * 1000


def test_where_nobody_listens_connections_are_refused(tmp_path: Path) -> None:
    traffic = asked(free_port(), tmp_path, "20:0.5")
    assert traffic.records
    assert {record.what for record in traffic.records} == {REFUSED_CONNECTION}


@pytest.mark.enable_socket
def test_a_server_its_workers_and_its_memory(
    archive: Archive, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive.library.counts() == (2, 2)
    monkeypatch.setenv("QUOTH_CACHE", str(settings.cache))
    with Served(settings.library, Variant(workers=2)) as served:
        workers = served.workers()
        assert len(set(workers)) == 2
        assert served.who_answers() in workers
        memory = served.memory()
        assert 100 < memory.pss_mb < memory.rss_mb
        assert served.cpu_s() > 0
        os.kill(workers[0], 9)
        while served.process.poll() is None and set(served.workers()) & {workers[0]}:
            time.sleep(0.05)
        assert served.process.poll() is None
        assert served.stop() == 0
    assert served.who_answers() == 0


def free_port() -> int:
    """Of the loopback address, by a process of its own: this one may open no socket."""
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
