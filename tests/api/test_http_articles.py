"""Articles over HTTP: put, read, listed, removed, and many at once."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.guards import MAX_BODY_BYTES
from api.service import Service
from index.articles import make_article
from tests.conftest import IDLIB

NDJSON = {"content-type": "application/x-ndjson"}
FIRE = {"text": "The spire of Notre-Dame fell at 7.50 p.m. on Monday.", "title": "Fire", "published": "2019-04-15"}


def test_an_article_can_be_put_replaced_read_and_deleted(client: TestClient) -> None:
    url = "/v1/articles/fire/2019"
    asked = {"question": "When did the spire of Notre-Dame fall?", "min_confidence": 0}

    assert client.put(url, json=FIRE).status_code == 201
    assert client.put(url, json=FIRE).json()["status"] == "unchanged"
    assert client.post("/v1/ask", json=asked).json()["answer"]["citation"]["article_id"] == "fire/2019"
    replaced = client.put(url, json={**FIRE, "text": "The spire of Notre-Dame fell at dusk."})
    assert (replaced.status_code, replaced.json()["status"]) == (200, "replaced")
    assert client.get(url).json()["text"].endswith("at dusk.")
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    after = client.post("/v1/ask", json=asked).json()
    assert "fire/2019" not in {passage["article_id"] for passage in after["passages"]}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"text": "  \n "}, "invalid_article", ""),
        ({"text": "a\x00b"}, "invalid_article", ""),
        ({"title": "no text"}, "invalid_request", "text"),
        ({"text": "x", "published": "soon"}, "invalid_request", "published"),
        ({"text": "x", "tags": []}, "invalid_request", "tags"),
        ([], "invalid_request", ""),
    ],
)
def test_an_article_that_cannot_be_taken_in_is_refused(client: TestClient, body: object, code: str, field: str) -> None:
    response = client.put("/v1/articles/bad", json=body)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, code)
    assert [each["field"] for each in problem["errors"]] == ([field] if code == "invalid_request" else [])
    assert client.get("/v1/articles/bad").status_code == 404


@pytest.mark.parametrize("article_id", ["%2E%2E/etc/passwd", "a/%2E/b", "%20x", "a%00b", "a%09b", "%2E"])
def test_ids_that_no_address_can_name_are_refused(client: TestClient, article_id: str) -> None:
    response = client.put(f"/v1/articles/{article_id}", json=FIRE)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_article")


@pytest.mark.parametrize(
    "article_id", ["a/b", "ü", "日本/😀", "a b", "a%2Fb".lower(), "x?y", "x#y", "a..b", "https%3A//e.org/x/"]
)
def test_odd_ids_come_back_as_they_were_given(client: TestClient, article_id: str) -> None:
    address = f"/v1/articles/{article_id.replace('?', '%3F').replace('#', '%23')}"

    stored = client.put(address, json=FIRE).json()["article_id"]
    assert client.get(address).json()["article_id"] == stored
    assert stored in {article["article_id"] for article in client.get("/v1/articles").json()["articles"]}
    assert client.delete(address).status_code == 204


def test_deleting_what_is_not_there_says_so(client: TestClient) -> None:
    response = client.delete("/v1/articles/nowhere")

    assert (response.status_code, response.json()["code"]) == (404, "article_not_found")
    assert "nowhere" in response.json()["detail"]


def test_the_etag_changes_with_any_field_and_saves_sending_what_is_known(client: TestClient) -> None:
    url = "/v1/articles/idlib"
    first = client.get(url)
    etag = first.headers["etag"]
    known = client.get(url, headers={"if-none-match": f'W/"other", {etag}'})
    client.put(url, json={"text": IDLIB.text, "title": "Another title"})
    changed = client.get(url, headers={"if-none-match": etag})

    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    assert (changed.status_code, changed.json()["title"]) == (200, "Another title")
    assert changed.headers["etag"] != etag
    assert first.json()["sha256"] == changed.json()["sha256"]


def test_the_list_is_walked_by_cursor_newest_first_while_articles_come_and_go(client: TestClient) -> None:
    for name, day in (("old", "2001-01-01"), ("undated", None), ("new", "2024-01-01")):
        client.put(f"/v1/articles/{name}", json={**FIRE, "published": day})
    first = client.get("/v1/articles", params={"limit": 2}).json()
    client.put("/v1/articles/newer", json={**FIRE, "published": "2025-01-01"})
    client.delete(f"/v1/articles/{first['articles'][-1]['article_id']}")
    rest = client.get("/v1/articles", params={"limit": 10, "cursor": first["next_cursor"]}).json()

    assert [article["article_id"] for article in first["articles"]] == ["new", "suez"]
    assert [article["article_id"] for article in rest["articles"]] == ["idlib", "old", "undated"]
    assert (first["total"], rest["total"], rest["next_cursor"]) == (5, 5, None)


def test_the_list_can_be_filtered(client: TestClient) -> None:
    page = client.get("/v1/articles", params={"before": "2021-01-01", "source": "The Test"}).json()

    assert (page["total"], [article["article_id"] for article in page["articles"]]) == (1, ["idlib"])


@pytest.mark.parametrize("cursor", ["x", "e30", "WzFd", "bnVsbA", "🙂", "WyIyMDIwLTEzLTQwIiwieCJd", "WyJ4IixbXV0"])
def test_a_cursor_that_is_none_is_refused(client: TestClient, cursor: str) -> None:
    response = client.get("/v1/articles", params={"cursor": cursor})

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor")


def test_many_articles_get_a_line_each_and_a_bad_one_keeps_no_other_out(client: TestClient) -> None:
    lines = [
        json.dumps({"id": "one", **FIRE}),
        "not json",
        json.dumps(
            {"id": "idlib", "text": IDLIB.text, "title": IDLIB.title, "source": IDLIB.source, "published": "2020-02-28"}
        ),
        "",
        json.dumps({"id": "two", "text": " "}),
        json.dumps({"text": "no id"}),
        json.dumps({"id": "one", **FIRE, "text": "Another text."}),
    ]
    response = client.post("/v1/articles", content="\r\n".join(lines).encode(), headers=NDJSON)

    results = _lines(response.text)
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert [result["line"] for result in results] == [1, 2, 3, 5, 6, 7]
    stored = {result["line"]: result["stored"]["status"] for result in results if "stored" in result}
    assert stored == {1: "added", 3: "unchanged", 7: "replaced"}
    problems = {result["line"]: result["problem"]["errors"] for result in results if "problem" in result}
    assert [each["field"] for errors in problems.values() for each in errors] == ["", "id"]
    assert client.get("/v1/articles/one").json()["text"] == "Another text."


def test_many_articles_are_more_than_a_turn_holds(client: TestClient) -> None:
    body = "".join(json.dumps({"id": f"n{i}", "text": f"Report number {i}."}) + "\n" for i in range(70))
    results = _lines(client.post("/v1/articles", content=body, headers=NDJSON).text)

    assert [result["stored"]["article_id"] for result in results] == [f"n{i}" for i in range(70)]
    assert client.get("/v1/articles").json()["total"] == 72
    found = client.post("/v1/search", json={"question": "report number 69", "k": 1}).json()
    assert found["passages"][0]["article_id"] == "n69"


def test_a_line_that_is_too_long_is_refused_and_the_next_is_read(client: TestClient) -> None:
    body = b'{"id": "long", "text": "' + b"x" * MAX_BODY_BYTES + b'"}\n{"id": "short", "text": "Short."}'
    long, short = _lines(client.post("/v1/articles", content=body, headers=NDJSON).text)

    assert (long["line"], long["problem"]["code"]) == (1, "too_large")
    assert (short["line"], short["stored"]["status"]) == (2, "added")


def test_many_articles_come_as_json_lines_only(client: TestClient) -> None:
    response = client.post("/v1/articles", json=[FIRE])

    assert (response.status_code, response.json()["code"]) == (415, "media_type")


def test_what_is_taken_in_is_normalised_as_from_a_file(client: TestClient, service: Service) -> None:
    text = "Cafe\u0301 opens.\r\nAgain."
    client.put("/v1/articles/cafe", json={"text": text, "title": "  A \n title "})

    assert service.archive.library.get("cafe") == make_article(article_id="cafe", text=text, title="  A \n title ")


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
