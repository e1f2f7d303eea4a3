"""The crowd that asks: a locustfile. `bench.load` starts it, in a process of its own.

    python -m locust -f bench/load_users.py --headless -u 1 --address 127.0.0.1:8000 --stages 8:20,80:60 \
        --questions seeds/questions.jsonl --records records.json

Questions come at the times of a Poisson process of a given rate, whether or not earlier ones have been answered: a
newsroom does not wait for its neighbour's answer. locust's own users do wait, each for its answer, before they ask
again; so a server that is slow would be asked less, and what waited meanwhile would never be measured ("coordinated
omission"). Here one locust user stands for the whole crowd, and a latency counts from the moment when the question was
due, not from when the generator came to sending it.

Prints `began T` (T on the monotonic clock) with the first stage. At the end the file of records holds what became of
each question: `due`, `sent` and `done` on that clock; the `status`, 0 where no whole answer came; and, where it was not
200, as `error`, the problem's code, or where it broke off and how.
"""

import http.client
import itertools
import json
import random
import select
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import gevent.pool  # type: ignore[import-untyped]
from locust import User, events, task

MOST_CONNECTIONS = 200
MOST_QUESTIONS = 1_000_000
"""Whatever the rates and times."""
TIMEOUT_S = 30
_FROM_NOW_S = 0.2
_JSON = {"Content-Type": "application/json"}

Record = dict[str, float | int | str]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    """What is asked of whom, when, and where it is written."""
    parser.add_argument("--address", help="Host and port.")
    parser.add_argument("--stages", help="One after the other: questions a second, colon, seconds; and commas.")
    parser.add_argument("--questions", type=Path, help="A .jsonl file whose records have a field `question`.")
    parser.add_argument("--records", type=Path, help="The file to write.")
    parser.add_argument("--order", type=int, default=7, help="The seed of times and of the order of questions.")


def arrivals(stages: Sequence[tuple[float, float]], order: int) -> Iterator[float]:
    """Seconds after the beginning at which questions are due: a Poisson process of each stage's rate."""
    chance = random.Random(order)  # noqa: S311
    begin = 0.0
    for rate, seconds in stages:
        due = begin + chance.expovariate(rate)
        while due < begin + seconds:
            yield due
            due += chance.expovariate(rate)
        begin += seconds


def shuffled(questions: Sequence[str], order: int) -> Iterator[str]:
    """All questions in a random order, then all in another, without end."""
    chance = random.Random(order)  # noqa: S311
    while True:
        yield from chance.sample(questions, len(questions))


class Crowd(User):
    """All who ask: one locust user, many connections."""

    @task
    def ask(self) -> None:
        """Ask at the given times until all stages are over and all answers are there; then end locust."""
        options = self.environment.parsed_options
        assert options  # noqa: S101
        stages = [(float(rate), float(s)) for rate, s in (stage.split(":") for stage in options.stages.split(","))]
        lines = options.questions.read_text(encoding="utf-8").splitlines()
        bodies = [json.dumps({"question": json.loads(line)["question"]}) for line in lines]
        self._address = options.address
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._records: list[Record] = []
        cpu, began = time.process_time(), time.monotonic() + _FROM_NOW_S
        print(f"began {began}", flush=True)
        dues = itertools.islice(arrivals(stages, options.order), MOST_QUESTIONS)
        self._send(((began + due, body) for due, body in zip(dues, shuffled(bodies, options.order), strict=False)))
        facts = {"began": began, "cpu_s": time.process_time() - cpu, "s": time.monotonic() - began}
        options.records.write_text(json.dumps({**facts, "records": self._records}), encoding="utf-8")
        assert self.environment.runner  # noqa: S101
        self.environment.runner.quit()

    def _send(self, questions: Iterable[tuple[float, str]]) -> None:
        crowd = gevent.pool.Pool(MOST_CONNECTIONS)
        for due, body in questions:
            time.sleep(max(0.0, due - time.monotonic()))
            if crowd.free_count():
                crowd.spawn(self._ask_one, due, body)
            else:  # not waited for: the next is due
                self._note({"due": due, "sent": due, "done": due, "status": 0, "error": "no connection free"}, 0)
        crowd.join()

    def _ask_one(self, due: float, body: str) -> None:
        """Ask on the connection that has been idle longest, so that all are used, as those of many clients are."""
        connection = (
            self._idle.popleft() if self._idle else http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        )
        sent = time.monotonic()
        status, text, broke_off = asked_on(connection, body)
        done = time.monotonic()
        self._idle.append(connection)
        error = broke_off or ("" if status == 200 else code_of(text))
        self._note({"due": due, "sent": sent, "done": done, "status": status, "error": error}, len(text))

    def _note(self, record: Record, length: int) -> None:
        self._records.append(record)
        self.environment.events.request.fire(
            request_type="POST",
            name="/v1/ask",
            response_time=(float(record["done"]) - float(record["due"])) * 1000,
            response_length=length,
            exception=RuntimeError(f"{record['status']} {record['error']}") if record["status"] != 200 else None,
            context={},
        )


def asked_on(connection: http.client.HTTPConnection, body: str) -> tuple[int, bytes, str]:
    """The status, the body, and where and how it broke off. Nothing is sent twice."""
    doing = "connecting"
    try:
        if has_closed(connection):
            connection.close()
        if connection.sock is None:
            connection.connect()
        doing = "sending"
        connection.request("POST", "/v1/ask", body, _JSON)
        doing = "awaiting the answer"
        response = connection.getresponse()
        doing = "reading the answer"
        return response.status, response.read(), ""
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return 0, b"", f"{doing}: {type(error).__name__}"


def has_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed the kept connection meanwhile, as it does after some idle seconds."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def code_of(text: bytes) -> str:
    """The code of a problem document; of anything else, none."""
    try:
        return str(json.loads(text)["code"])
    except (ValueError, KeyError, TypeError):
        return "no problem document"
