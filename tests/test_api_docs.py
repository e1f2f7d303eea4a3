"""docs/api.md is true: its requests get its answers, and its programs find a false citation."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.guards import BODY_SECONDS, MAX_BODY_BYTES, MAX_STREAM_BYTES
from api.keys import EVERY_SCOPE, KeyStore
from api.problems import KINDS
from api.schemas import MAX_ALTERNATIVES, MAX_BATCH, MAX_PASSAGES
from api.settings import Settings
from api.wiring import open_archive
from index.articles import Article, make_article
from qa.pipeline import MAX_QUESTION_CHARS
from tests.conftest import add
from tests.torture.server import Server

DOCS = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
CURL_FAILED = 22
"""The exit code of `curl --fail-with-body` after a status of 400 or more."""
NEEDED = ("bash", "curl", "jq", "sha256sum", "python3", "node")

QUOTE = "400 metres"
SHIP = make_article(article_id="ships/größe?", text=f"🚢 The container ship Ever Given is {QUOTE} long.")
START = SHIP.text.index(QUOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A block of commands, and the answer that stands below it."""

    commands: str
    kind: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A server that asks for keys, and a folder where the page's programs stand."""

    server: Server
    key: str
    folder: Path


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)


def examples() -> list[Example]:
    """The page's commands, in their order, each with its answer if one follows."""
    found = re.finditer(
        r"^```bash\n(?P<commands>.*?)^```\n(?:\n```(?P<kind>json|text)\n(?P<answer>.*?)^```\n)?",
        DOCS,
        re.DOTALL | re.MULTILINE,
    )
    return [Example(commands=m["commands"], kind=m["kind"] or "", answer=m["answer"] or "") for m in found]


@contextmanager
def serving(folder: Path, cache_dir: Path, *articles: Article) -> Iterator[Live]:
    """A server over these articles, until the block ends."""
    settings = Settings(library=folder / "library", cache=cache_dir)
    add(open_archive(settings, create=True), *articles)
    key = KeyStore(settings.library).add("docs", EVERY_SCOPE)
    server = Server(settings, more={"QUOTH_REQUIRE_KEYS": "true", "QUOTH_RATE": "off"})
    try:
        assert server.wait_until_ready()
        (program,) = blocks("python")
        (folder / "verify.py").write_text(program, encoding="utf-8")
        (folder / "verify.mjs").write_text("".join(blocks("javascript")), encoding="utf-8")
        yield Live(server=server, key=key, folder=folder)
    finally:
        server.process.end(kill=True)
        server.process.errors()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, exported: Path) -> Iterator[Live]:
    """A server over an empty Library."""
    assert exported.is_dir()
    with serving(tmp_path_factory.mktemp("api"), cache_dir) as opened:
        yield opened


@pytest.fixture(scope="module")
def shipping(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, exported: Path) -> Iterator[Live]:
    """A server over an article with an emoji."""
    assert exported.is_dir()
    with serving(tmp_path_factory.mktemp("ships"), cache_dir, SHIP) as opened:
        yield opened


@pytest.fixture(scope="module")
def told(live: Live) -> list[subprocess.CompletedProcess[str]]:
    """What each example did, run from top to bottom."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    definitions, *rest = examples()
    begin = "set -euo pipefail\n" + re.sub(r"^export .*\n", "", definitions.commands, flags=re.MULTILINE)
    return [run(["bash", "-c", begin + each.commands], live) for each in rest]


def run(command: Sequence[str], live: Live, *, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command, run where the programs stand."""
    environment = {**os.environ, "QUOTH": f"http://127.0.0.1:{live.server.port}", "KEY": live.key}
    return subprocess.run(
        command, cwd=live.folder, env=environment, input=given, capture_output=True, text=True, check=False
    )


@pytest.mark.enable_socket
def test_every_request_gets_the_answer_that_the_page_shows(told: list[subprocess.CompletedProcess[str]]) -> None:
    shown = 0
    for example, done in zip(examples()[1:], told, strict=True):
        expected = _documents(example.answer) if example.kind == "json" else []
        is_problem = bool(expected) and "code" in expected[0]
        assert done.returncode == (CURL_FAILED if is_problem else 0), example.commands + done.stdout + done.stderr
        if example.kind == "json":
            assert _fixed(_documents(done.stdout)) == _fixed(expected), example.commands
        elif example.kind == "text":
            assert done.stdout == example.answer, example.commands
        shown += bool(example.kind)
    assert shown >= 10


@pytest.mark.enable_socket
@pytest.mark.parametrize("program", ["verify.py", "verify.mjs"])
@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({}, 0, "right"),
        ({"quote": "500 metres"}, 1, "the article does not say this there"),
        ({"start": START + 1, "end": START + 11}, 1, "the article does not say this there"),
        ({"sha256": "0" * 64}, 1, "the article has changed since"),
    ],
)
def test_a_program_of_the_page_tells_right_from_wrong(
    shipping: Live, program: str, change: dict[str, object], code: int, says: str
) -> None:
    citation = {
        "article_id": SHIP.article_id, "start": START, "end": START + len(QUOTE), "quote": QUOTE,
        "sha256": SHIP.sha256, **change,
    }  # fmt: skip
    runner = sys.executable if program.endswith(".py") else shutil.which("node")
    if runner is None:
        pytest.skip("node is not installed")

    reply = json.dumps({"answer": {"citation": citation, "also_in": []}, "alternatives": []})
    done = run([runner, program], shipping, given=reply)

    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.strip().endswith(f": {says}")


def test_in_utf16_the_quote_is_elsewhere() -> None:
    units = SHIP.text.encode("utf-16-le")

    assert SHIP.text[START:].startswith(QUOTE)
    assert units[2 * START :].decode("utf-16-le").startswith(f" {QUOTE}")


@pytest.mark.enable_socket
def test_the_page_has_every_operation_and_no_other(live: Live) -> None:
    status, document = live.server.call("GET", "/openapi.json")
    described = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }  # fmt: skip

    assert status == 200
    assert set(re.findall(r"^### `([A-Z]+ /[^`]*)`$", DOCS, re.MULTILINE)) == described


def test_the_page_has_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| [^|]{10,} \|$", DOCS, re.MULTILINE)

    assert [(code, int(status)) for code, status in rows] == [(code, status) for code, (status, _) in KINDS.items()]


def test_the_page_has_the_limits_as_they_are() -> None:
    for limit in (
        f"{MAX_BODY_BYTES:,} bytes, within {BODY_SECONDS} s",
        f"{MAX_STREAM_BYTES:,} bytes, a line {MAX_BODY_BYTES:,}",
        f"| a question | {MAX_QUESTION_CHARS:,} characters |",
        f"| a batch | {MAX_BATCH} questions |",
        f"| passages read | {MAX_PASSAGES} |",
        f"rival answers, 0 to {MAX_ALTERNATIVES}",
        f"{Settings.model_fields['queue'].default} (`QUOTH_QUEUE`)",
        f"{Settings.model_fields['deadline_s'].default} s (`QUOTH_DEADLINE_S`)",
    ):
        assert limit in DOCS, limit


def _documents(text: str) -> list[Any]:
    """The JSON values that stand one after the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def _fixed(value: Any) -> Any:
    """What is the same each time: models give other fractions on other processors, and ids are drawn."""
    if isinstance(value, dict):
        return {name: _fixed(each) for name, each in value.items() if name != "request_id"}
    if isinstance(value, list):
        return [_fixed(each) for each in value]
    return "a fraction" if isinstance(value, float) else value
