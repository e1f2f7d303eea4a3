"""What every request passes: sizes, hosts, other sites; and what every response carries."""

import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.guards import MAX_BODY_BYTES
from api.http import build_app
from api.service import open_service
from api.settings import Settings
from api.wiring import Archive
from qa.pipeline import Pipeline

ASKED = {"question": "How many soldiers were killed?"}


def test_a_request_that_is_too_large_is_refused_declared_or_not(client: TestClient) -> None:
    def stream() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 100_000 + 1):
            yield b" " * 100_000

    declared = client.post("/v1/ask", content=b" " * (MAX_BODY_BYTES + 1))
    streamed = client.put("/v1/articles/x", content=stream())

    assert declared.status_code == streamed.status_code == 413
    assert declared.json()["code"] == streamed.json()["code"] == "too_large"
    assert str(MAX_BODY_BYTES) in declared.json()["detail"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8000", 200), ("127.0.0.1:1", 200), ("[::1]:8000", 200), ("[::1]", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example:8000", 421), ("", 421),
    ],
)  # fmt: skip
def test_on_the_loopback_address_only_its_own_names_are_answered(client: TestClient, host: str, status: int) -> None:
    response = client.get("/v1/articles", headers={"host": host})

    assert response.status_code == status
    assert status == 200 or response.json()["code"] == "wrong_host"


def test_a_server_answers_to_the_names_it_is_given(archive: Archive, pipeline: Pipeline, settings: Settings) -> None:
    service = open_service(archive, pipeline, settings.with_values(hosts="quoth.example, other.example"), "0")
    with TestClient(build_app(service), base_url="http://quoth.example:8000") as client:
        assert client.get("/v1/articles").status_code == 200
        assert client.get("/v1/articles", headers={"host": "localhost"}).status_code == 421
        assert client.get("/healthz", headers={"host": "localhost"}).status_code == 200  # a container asks itself


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost"}, 200),
        ({"origin": "http://localhost:9000"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "https://evil.example"}, 403),
    ],
)
def test_pages_of_other_sites_may_not_post(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/v1/ask", json=ASKED, headers=headers).status_code == status
    linked = client.get("/v1/articles", headers={**headers, "sec-fetch-mode": "navigate"})
    loaded = client.get("/", params={"q": "who?"}, headers={**headers, "sec-fetch-mode": "no-cors"})
    assert linked.status_code == 200
    assert loaded.status_code == (status if "sec-fetch-site" in headers else 200)


@pytest.mark.parametrize(
    "path", ["/", "/articles", "/v1/articles/idlib", "/v1/nowhere", "/nowhere", "/healthz", "/openapi.json"]
)
def test_every_response_is_sealed_against_other_sites(client: TestClient, path: str) -> None:
    headers = client.get(path).headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] in {"no-store", "private, no-cache"}


def test_a_request_keeps_the_id_that_a_proxy_gave_it_if_it_is_one(client: TestClient) -> None:
    assert client.get("/healthz", headers={"x-request-id": "proxy-12345"}).headers["x-request-id"] == "proxy-12345"
    forged = client.get("/healthz", headers={"x-request-id": 'x" injected'}).headers["x-request-id"]
    assert len(forged) == 16


def test_what_nobody_expected_is_a_problem_that_tells_nothing(
    client: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(archive.retriever), "retrieve", broken)
    with caplog.at_level(logging.ERROR):
        response = client.post("/v1/search", json=ASKED)

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "secret" not in response.text
    assert "content-security-policy" in response.headers
