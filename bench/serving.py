"""A server under questions at full speed, quiet and while another process adds and removes articles.

    python -m bench.serving [--seconds 40] [--clients 2] [--add 1000] [--remove 500]

Method: `quoth serve` over the articles of seeds/; `clients` threads ask the seeds' questions over HTTP, one after the
other without a pause, for `seconds` (quiet); then go on while another process takes in `add` articles (the seeds' own
under other ids, with a number of their own in the text) at its usual low priority and then removes `remove` of them,
one transaction each. Errors are answers other than 200. A citation is stale if its article had been removed, as the
other process was told, before the question was sent; it is wrong if its quote is not what the article as added says
there.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from api.settings import Settings
from api.taking_in import give_way
from api.wiring import open_archive
from index.articles import Article, find_files, read_file
from index.errors import ArticleError

PORT = 8765
SEEDS = Path("seeds")


@dataclass(slots=True)
class Asked:
    """What the clients saw."""

    times: list[tuple[float, float]] = field(default_factory=list)
    citations: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def main(
    seconds: Annotated[float, typer.Option(help="Of the quiet part.")] = 40,
    clients: Annotated[int, typer.Option(min=1)] = 2,
    add: Annotated[int, typer.Option(help="Articles that the other process adds.")] = 1000,
    remove: Annotated[int, typer.Option(help="Of these, how many it removes.")] = 500,
) -> None:
    """Print one JSON line for each part, then what was wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quoth = [str(Path(sys.executable).with_name("quoth")), "--library", str(folder / "library")]
        subprocess.run([*quoth, "add", str(SEEDS / "articles")], check=True, stdout=subprocess.DEVNULL)
        questions = [json.loads(line)["question"] for line in (SEEDS / "questions.jsonl").open(encoding="utf-8")]
        with serving(quoth):
            asked, stopped = Asked(), threading.Event()
            threads = [
                threading.Thread(target=ask, args=(questions[n::clients], asked, stopped)) for n in range(clients)
            ]
            for thread in threads:
                thread.start()
            time.sleep(3)
            began = time.monotonic()
            time.sleep(seconds)
            writing = time.monotonic()
            command = [sys.executable, "-m", "bench.serving", "--write", str(folder / "library")]
            writer = subprocess.run([*command, str(add), str(remove)], check=True, capture_output=True, text=True)
            ended = time.monotonic()
            stopped.set()
            for thread in threads:
                thread.join()
        show("quiet", asked, began, writing)
        show(f"while {add} articles are added and {remove} removed", asked, writing, ended)
        removed = {record["removed"]: record["at"] for record in map(json.loads, writer.stdout.splitlines())}
        articles = {article.article_id: article for article in [*originals(), *copies(add)]}
        stale = [c for sent, c in asked.citations if removed.get(c["article_id"], sent + 1) < sent]
        wrong = [c for _, c in asked.citations if not is_right(c, articles)]
        facts = {"errors": len(asked.errors), "stale citations": len(stale), "wrong citations": len(wrong)}
        print(json.dumps({**facts, "citations": len(asked.citations), "removed": len(removed)}))
        for trouble in [*asked.errors, *stale, *wrong][:5]:
            print(trouble, file=sys.stderr)


@contextmanager
def serving(quoth: Sequence[str]) -> Iterator[None]:
    """A server that is ready."""
    with subprocess.Popen(
        [*quoth, "serve", "--port", str(PORT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(600):
                try:
                    httpx.get(f"http://127.0.0.1:{PORT}/readyz").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield
        finally:
            server.terminate()


def ask(questions: Sequence[str], asked: Asked, stopped: threading.Event) -> None:
    """One client: the questions in turn, over and over."""
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
        number = 0
        while not stopped.is_set():
            sent = time.monotonic()
            try:
                reply = client.post("/v1/ask", json={"question": questions[number % len(questions)]})
            except httpx.HTTPError as error:
                asked.errors.append(repr(error))
                continue
            asked.times.append((sent, time.monotonic() - sent))
            number += 1
            if reply.status_code != 200:
                asked.errors.append(f"{reply.status_code} {reply.text}")
                continue
            document = reply.json()
            answers = [document["answer"], *document["alternatives"]]
            asked.citations += [(sent, answer["citation"]) for answer in answers if answer]


def is_right(citation: dict[str, Any], articles: dict[str, Article]) -> bool:
    """Whether the article says the quote where the citation says."""
    article = articles[citation["article_id"]]
    return bool(article.text[citation["start"] : citation["end"]] == citation["quote"])


def originals() -> list[Article]:
    """The seeds' articles."""
    files, _ = find_files([SEEDS / "articles"])
    return [article for file in files for article in read_file(file) if not isinstance(article, ArticleError)]


def copies(n: int) -> list[Article]:
    """As many of them under other ids, each with its own number in place of every number: no two say the same."""
    found = originals()
    return [
        replace(article, article_id=f"copy-{i}", text=re.sub(r"\d+", str(1000 + i), article.text))
        for i, article in ((i, found[i % len(found)]) for i in range(n))
    ]


def write(library: Path, n_add: int, n_remove: int) -> None:
    """The other process: prints what it removed and when it was told so."""
    give_way()
    archive = open_archive(Settings(library=library))
    for _ in archive.intake().take_in(copies(n_add)):
        pass
    for number in range(n_remove):
        archive.library.remove(f"copy-{number}")
        print(json.dumps({"removed": f"copy-{number}", "at": time.monotonic()}))


def show(name: str, asked: Asked, began: float, ended: float) -> None:
    """Print a part's latencies."""
    taken = np.array([seconds for sent, seconds in asked.times if began <= sent < ended]) * 1000
    p50, p99 = np.quantile(taken, [0.5, 0.99])
    facts = {"part": name, "s": round(ended - began), "questions": len(taken), "per_s": len(taken) / (ended - began)}
    print(json.dumps({**facts, "p50_ms": round(float(p50)), "p99_ms": round(float(p99))}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        typer.run(main)
