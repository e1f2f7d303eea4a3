"""Keys: made, found, revoked; and what they open over HTTP."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.access import COOKIE
from api.http import build_app
from api.keys import KeyStore, Scope
from api.service import open_service
from api.settings import Settings
from api.wiring import Archive
from index.errors import InputError, LibraryError
from qa.pipeline import Pipeline

ASKED = {"question": "How many soldiers were killed?"}


def test_a_key_is_found_by_its_secret_and_by_nothing_else(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key = store.add("newsroom", [Scope.ASK])
    other = store.add("desk", [Scope.ASK, Scope.WRITE])

    found = store.find(key)
    assert found is not None
    assert (found.name, found.scopes) == ("newsroom", frozenset({Scope.ASK}))
    prefix, key_id, secret = key.split("_", 2)
    wrong = [
        "", "quoth", f"{prefix}_{key_id}_", f"{prefix}_{key_id}_{secret[:-1]}", f"x_{key_id}_{secret}",
        f"{prefix}_{other.split('_')[1]}_{secret}", f"{prefix}_{key_id}_\ud800", key + "=",
    ]  # fmt: skip
    assert [store.find(each) for each in wrong] == [None] * len(wrong)


def test_the_file_holds_no_secret_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key = store.add("newsroom", [Scope.ASK])

    assert key.split("_", 2)[2] not in store.file.read_text(encoding="utf-8")
    assert stat.S_IMODE(store.file.stat().st_mode) == 0o600


def test_another_process_sees_what_is_made_and_revoked(tmp_path: Path) -> None:
    ours, theirs = KeyStore(tmp_path), KeyStore(tmp_path)
    assert list(theirs.keys()) == []
    key = ours.add("newsroom", [Scope.ASK])
    assert theirs.find(key) is not None
    ours.revoke("newsroom")
    assert theirs.find(key) is None


@pytest.mark.parametrize(
    ("name", "scopes"), [("", [Scope.ASK]), ("x" * 101, [Scope.ASK]), ("a\nb", [Scope.ASK]), ("a", [])]
)
def test_a_key_needs_a_name_and_a_scope(tmp_path: Path, name: str, scopes: list[Scope]) -> None:
    with pytest.raises(InputError, match=r"name|scope"):
        KeyStore(tmp_path).add(name, scopes)


def test_names_are_taken_once_and_revoked_once(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.add("newsroom", [Scope.ASK])
    with pytest.raises(InputError, match="there is a key named 'newsroom'"):
        store.add("newsroom", [Scope.WRITE])
    store.revoke("newsroom")
    with pytest.raises(InputError, match="no key named 'newsroom'"):
        store.revoke("newsroom")


@pytest.mark.parametrize("damage", ["", "{}", "[{}]", '[{"key_id": "a"'])
def test_a_damaged_file_lets_nobody_in_and_is_named(tmp_path: Path, damage: str) -> None:
    store = KeyStore(tmp_path)
    key = store.add("newsroom", [Scope.ASK])
    store.file.write_text(damage, encoding="utf-8")
    with pytest.raises(LibraryError, match=r"keys\.json"):
        store.find(key)


@pytest.fixture
def locked(archive: Archive, pipeline: Pipeline, settings: Settings) -> Iterator[TestClient]:
    """A client of a server that asks for keys, and lets each in ten times a minute."""
    settings = settings.with_values(require_keys=True, rate="10/minute")
    service = open_service(archive, pipeline, settings, "0")
    with TestClient(build_app(service), base_url="http://quoth.example") as client:
        yield client


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_without_a_good_key_nothing_is_told(locked: TestClient) -> None:
    missing = locked.post("/v1/ask", json=ASKED)
    unknown = locked.post("/v1/ask", json=ASKED, headers=_bearer("quoth_00000000_x"))
    basic = locked.get("/v1/articles/idlib", headers={"authorization": "Basic eDp5"})

    assert [each.status_code for each in (missing, unknown, basic)] == [401, 401, 401]
    assert [each.json()["code"] for each in (missing, unknown, basic)] == [
        "key_required",
        "key_unknown",
        "key_required",
    ]
    assert missing.headers["www-authenticate"].startswith("Bearer")
    assert locked.get("/healthz").status_code == 200
    assert locked.get("/openapi.json").json()["components"]["securitySchemes"]


def test_each_scope_opens_its_own(locked: TestClient, settings: Settings) -> None:
    store = KeyStore(settings.library)
    keys = {scope: _bearer(store.add(scope, [scope])) for scope in Scope}
    calls = {
        Scope.ASK: ("POST", "/v1/ask", ASKED),
        Scope.WRITE: ("PUT", "/v1/articles/x", {"text": "A report."}),
        Scope.ADMIN: ("GET", "/metrics", None),
    }

    for scope, (method, path, body) in calls.items():
        for held, headers in keys.items():
            response = locked.request(method, path, json=body, headers=headers)
            assert (response.status_code < 300) == (held == scope), (scope, held)
            assert held == scope or response.json()["code"] == "scope_missing"


def test_a_revoked_key_is_refused_from_the_next_request_on(locked: TestClient, settings: Settings) -> None:
    store = KeyStore(settings.library)
    headers = _bearer(store.add("newsroom", [Scope.ASK]))
    assert locked.get("/v1/articles", headers=headers).status_code == 200
    store.revoke("newsroom")
    assert locked.get("/v1/articles", headers=headers).json()["code"] == "key_unknown"


def test_the_page_keeps_the_key_in_a_cookie(locked: TestClient, settings: Settings) -> None:
    locked.cookies.set(COOKIE, KeyStore(settings.library).add("newsroom", [Scope.ASK]))
    assert locked.get("/v1/articles").status_code == 200


def test_each_key_and_each_address_has_a_rate_of_its_own(locked: TestClient, settings: Settings) -> None:
    store = KeyStore(settings.library)
    one, other = (_bearer(store.add(name, [Scope.ASK])) for name in ("one", "other"))
    statuses = [locked.get("/v1/articles", headers=one).status_code for _ in range(11)]
    refused = locked.get("/v1/articles", headers=one)

    assert statuses == [200] * 10 + [429]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert locked.get("/v1/articles", headers=other).status_code == 200
    guesses = [locked.get("/v1/articles", headers=_bearer(f"quoth_{n}_x")).status_code for n in range(11)]
    assert guesses == [401] * 10 + [429]


def test_a_stranger_is_turned_away_before_anything_is_read(locked: TestClient) -> None:
    statuses = [locked.post("/v1/ask", content=b"[,").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    page = locked.get("/articles")
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (429, "text/html")


def test_damaged_keys_lock_the_server(locked: TestClient, settings: Settings) -> None:
    store = KeyStore(settings.library)
    headers = _bearer(store.add("newsroom", [Scope.ASK]))
    store.file.write_text("[", encoding="utf-8")

    response = locked.get("/v1/articles", headers=headers)
    assert (response.status_code, response.json()["code"]) == (500, "library_unusable")


def test_what_the_keys_file_holds(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.add("newsroom", [Scope.WRITE, Scope.ASK])
    (record,) = json.loads(store.file.read_text(encoding="utf-8"))
    assert set(record) == {"key_id", "name", "scopes", "sha256", "made"}
    assert record["scopes"] == ["ask", "write"]
