"""The server as a process: whom it lets in, what it logs, how it stops, and what it does with those who mean harm."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from api.keys import KeyStore, Scope
from api.serve import is_loopback
from api.settings import Settings
from tests.api.parts import Quoth
from tests.api.serving import Server

pytestmark = pytest.mark.enable_socket
QUESTION = "How many Turkish soldiers were killed in Idlib?"


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("quoth.example", False), ("", False),  # noqa: S104
    ],
)  # fmt: skip
def test_only_this_machine_reaches_the_loopback_address(host: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) == is_one


def test_without_a_key_it_refuses_to_be_reached_from_elsewhere(quoth: Quoth) -> None:
    for arguments in (("--host", "0.0.0.0"), ("--require-keys",)):  # noqa: S104
        said = quoth("serve", *arguments, code=1).stderr
        assert "quoth keys add NAME --scope ask" in said


def test_keys_are_made_listed_and_revoked_by_command(quoth: Quoth) -> None:
    key = quoth("keys", "add", "newsroom", "--scope", "ask", "--scope", "write").stdout.strip()
    assert key.startswith("quoth_")
    listed = quoth("keys", "list").stdout
    assert listed.split("\t")[:2] == ["newsroom", "ask, write"]
    assert key.split("_", 2)[2] not in listed
    assert quoth("keys", "revoke", "newsroom").stdout == "revoked newsroom\n"
    assert quoth("keys", "list").stdout == ""
    assert "no key named" in quoth("keys", "revoke", "newsroom", code=1).stderr
    assert "'read' is not one of" in quoth("keys", "add", "x", "--scope", "read", code=2).stderr


def test_it_asks_for_keys_behind_a_proxy_and_logs_no_question(filled: Settings, tmp_path: Path) -> None:
    store = KeyStore(filled.library)
    headers = {"authorization": f"Bearer {store.add('newsroom', [Scope.ASK])}", "x-request-id": "from-the-proxy"}
    with Server(filled, tmp_path, "--require-keys") as server:
        assert httpx.post(f"{server.url}/v1/ask", json={"question": QUESTION}).status_code == 401
        asked = httpx.post(f"{server.url}/v1/ask", json={"question": QUESTION}, headers=headers)
        page = httpx.get(f"{server.url}/", params={"q": QUESTION}, headers=headers)
        assert (asked.status_code, page.status_code) == (200, 200)
        assert server.stop() == 0
    store.revoke("newsroom")

    assert "Turkish soldiers" not in server.log.read_text(encoding="utf-8")
    lines = [line for line in server.lines() if line.get("event") == "request"]
    refused = next(line for line in lines if line["status"] == 401)
    answered = next(line for line in lines if line["route"] == "/v1/ask")
    assert (refused["status"], refused["caller"]) == (401, None)
    assert (answered["status"], answered["caller"], answered["request_id"]) == (200, "newsroom", "from-the-proxy")
    assert answered["outcome"] in {"answered", "refused"}
    assert {"ms", "waited_ms", "worked_ms", "client", "timestamp", "level"} <= set(answered)


def test_questions_are_logged_if_asked_for(filled: Settings, tmp_path: Path) -> None:
    with Server(filled, tmp_path, more={"QUOTH_LOG_QUESTIONS": "true"}) as server:
        httpx.post(f"{server.url}/v1/ask", json={"question": QUESTION}).raise_for_status()
        server.stop()
    assert QUESTION in [line.get("question") for line in server.lines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_runs_is_finished_when_it_is_told_to_stop(filled: Settings, tmp_path: Path, workers: int) -> None:
    outcomes: list[int | str] = []
    with Server(filled, tmp_path, "--workers", str(workers)) as server:

        def ask_until_refused() -> None:
            with httpx.Client(base_url=server.url, limits=httpx.Limits(max_keepalive_connections=0)) as client:
                while True:
                    try:
                        outcomes.append(client.post("/v1/ask", json={"question": QUESTION}).status_code)
                    except httpx.ConnectError:
                        return  # it does not listen any more
                    except httpx.TransportError as error:
                        outcomes.append(repr(error))
                        return

        threads = [threading.Thread(target=ask_until_refused) for _ in range(6)]
        for thread in threads:
            thread.start()
        while len(outcomes) < 20:
            time.sleep(0.01)
        assert server.stop() == 0
        for thread in threads:
            thread.join()
    assert set(outcomes) == {200}


def test_head_is_get_without_a_body(filled: Settings, tmp_path: Path) -> None:
    with Server(filled, tmp_path) as server, httpx.Client(base_url=server.url) as client:
        for path in ("/healthz", "/", "/articles/idlib", "/v1/articles/idlib", "/metrics"):
            head, get = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-type"] == get.headers["content-type"]
        assert client.head("/v1/articles/nowhere").status_code == 404


def test_headers_that_do_not_end_lose_their_connection(filled: Settings, tmp_path: Path) -> None:
    with Server(filled, tmp_path) as server:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            slow.settimeout(60)
            while True:  # a byte now and then is no progress
                try:
                    slow.sendall(b"x")
                    slow.settimeout(0.5)
                    if slow.recv(100) == b"":
                        break
                except TimeoutError:
                    assert time.monotonic() - began < 60
                except OSError:
                    break
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_a_request_that_goes_on_after_its_answer_loses_its_connection(filled: Settings, tmp_path: Path) -> None:
    with Server(filled, tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\nContent-Length: 1000\r\n\r\n")
        assert b"403" in slow.recv(4000)
        slow.settimeout(30)
        slow.sendall(b"x")
        while slow.recv(4000):
            pass


def test_workers_share_the_archive_and_a_dead_one_is_replaced(filled: Settings, tmp_path: Path) -> None:
    with Server(filled, tmp_path, "--workers", "2") as server:
        with httpx.Client(base_url=server.url) as client:
            client.put("/v1/articles/worker-test", json={"text": "The harbour of Lerwick was closed on Friday."})
        deadline = time.monotonic() + 10
        for _ in range(10):  # each on a connection of its own: some worker answers
            while "worker-test" not in _found(server):
                assert time.monotonic() < deadline
        workers = _children(server.process.pid)
        os.kill(workers[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(set(_children(server.process.pid)) - {workers[0]}) < len(workers):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "worker-test" in _found(server)
        counted = httpx.get(f"{server.url}/metrics").text
        assert 'quoth_requests_total{method="PUT",route="/v1/articles/{article_id:path}",status="201"} 1.0' in counted
        assert "quoth_library_articles 3.0" in counted
        httpx.delete(f"{server.url}/v1/articles/worker-test").raise_for_status()
        assert server.stop() == 0


def _found(server: Server) -> list[str]:
    for _ in range(100):
        try:
            reply = httpx.post(f"{server.url}/v1/search", json={"question": "harbour of Lerwick"})
        except httpx.TransportError:  # taken by a worker that was just killed
            continue
        return [passage["article_id"] for passage in reply.raise_for_status().json()["passages"]]
    raise AssertionError("no answer")


def _children(pid: int) -> list[int]:
    """The workers: processes whose parent it is, less the helper of the multiprocessing module."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"resource_tracker" not in command:
            found.append(int(status.parent.name))
    return sorted(found)
