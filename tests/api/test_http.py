import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.http import MAX_REQUEST_BYTES, Service, build_app
from api.wiring import Archive
from qa.confidence import load_confidence
from qa.pipeline import MAX_QUESTION_CHARS, Pipeline
from tests.conftest import IDLIB

QUESTION = "How many Turkish soldiers were killed in Idlib?"


@pytest.fixture
def client(archive: Archive, pipeline: Pipeline) -> Iterator[TestClient]:
    with TestClient(build_app(Service(archive=archive, pipeline=pipeline), version="0")) as opened:
        yield opened


def test_ask_cites_the_article_to_the_character(client: TestClient) -> None:
    document = client.post("/v1/ask", json={"question": QUESTION, "min_confidence": 0}).json()

    citation = document["answer"]["citation"]
    article = client.get(f"/v1/articles/{citation['article_id']}").json()
    assert "33" in document["answer"]["text"]
    assert article["text"][citation["start"] : citation["end"]] == citation["quote"] == document["answer"]["text"]
    sentence = citation["sentence"]
    assert article["text"][sentence["start"] : sentence["end"]] == sentence["text"]
    assert citation["sha256"] == article["sha256"] == IDLIB.sha256
    assert citation["published"] == "2020-02-28"
    assert set(document["timings_ms"]) == {"retrieve", "read", "total"}
    assert document["passages"][0]["article_id"] == "idlib"


def test_ask_answers_null_below_the_asked_confidence(client: TestClient) -> None:
    document = client.post("/v1/ask", json={"question": QUESTION, "min_confidence": 1}).json()

    assert document["answer"] is None
    assert 0 <= document["no_answer_probability"] <= 1
    assert document["min_confidence"] == 1
    assert document["alternatives"]


def test_ask_takes_the_threshold_of_the_asked_precision_or_the_fitted_one(client: TestClient) -> None:
    shipped = load_confidence()
    lowest, highest = shipped.thresholds[0], shipped.thresholds[-1]
    given = client.post("/v1/ask", json={"question": QUESTION, "precision": lowest.precision}).json()
    usual = client.post("/v1/ask", json={"question": QUESTION}).json()
    lacking = {"question": "What is the capital of Peru?", "precision": highest.precision}
    withheld = client.post("/v1/ask", json=lacking).json()

    assert "33" in given["answer"]["text"]
    assert given["answer"]["confidence"] >= given["min_confidence"] == lowest.min_confidence
    assert usual["min_confidence"] == shipped.min_confidence
    assert withheld["answer"] is None
    assert withheld["alternatives"][0]["confidence"] < withheld["min_confidence"] == highest.min_confidence


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"precision": 1}, "no threshold kept a precision of 1 on held-out questions"),
        ({"precision": 0.9, "min_confidence": 0}, "not for both"),
    ],
)
def test_a_precision_that_cannot_be_had_is_refused(client: TestClient, body: dict[str, float], says: str) -> None:
    response = client.post("/v1/ask", json={"question": QUESTION, **body})

    assert response.status_code == 422
    assert says in response.json()["detail"]


def test_ask_looks_only_in_articles_that_pass_the_filters(client: TestClient) -> None:
    document = client.post("/v1/ask", json={"question": QUESTION, "after": "2021-01-01", "min_confidence": 0}).json()

    assert {passage["article_id"] for passage in document["passages"]} == {"suez"}


def test_search_returns_passages_best_first(client: TestClient) -> None:
    document = client.post("/v1/search", json={"question": "ship aground in a canal", "passages": 1}).json()

    (passage,) = document["passages"]
    assert passage["article_id"] == "suez"
    assert "Ever Given" in passage["text"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"question": ""}, "question"),
        ({"question": "x" * (MAX_QUESTION_CHARS + 1)}, "question"),
        ({"question": QUESTION, "passages": 0}, "passages"),
        ({"question": QUESTION, "min_confidence": 1.5}, "min_confidence"),
        ({"question": QUESTION, "precision": -0.1}, "precision"),
        ({"question": QUESTION, "precision": "high"}, "precision"),
        ({"question": QUESTION, "before": "yesterday"}, "before"),
        ({"question": QUESTION, "pasages": 3}, "pasages"),
        ({"question": QUESTION, "source": "\ud800"}, "source"),
    ],
)
def test_a_bad_request_names_its_field(client: TestClient, body: dict[str, object], field: str) -> None:
    # As ASCII: the client itself would refuse half of a surrogate pair.
    headers = {"content-type": "application/json"}
    response = client.post("/v1/ask", content=json.dumps(body), headers=headers)

    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"{field}: ")


def test_a_question_without_words_is_refused(client: TestClient) -> None:
    response = client.post("/v1/ask", json={"question": " ?! "})

    assert response.status_code == 422
    assert "question is empty" in response.json()["detail"]


def test_an_article_can_be_put_replaced_read_and_deleted(client: TestClient) -> None:
    url = "/v1/articles/fire/2019"
    fields = {
        "text": "The spire of Notre-Dame fell at 7.50 p.m. on Monday.",
        "title": "Fire",
        "published": "2019-04-15",
    }
    asked = {"question": "When did the spire of Notre-Dame fall?", "min_confidence": 0}

    assert client.put(url, json=fields).status_code == 201
    assert client.put(url, json=fields).json()["status"] == "unchanged"
    assert client.post("/v1/ask", json=asked).json()["answer"]["citation"]["article_id"] == "fire/2019"
    replaced = client.put(url, json={**fields, "text": "The spire of Notre-Dame fell at dusk."})
    assert (replaced.status_code, replaced.json()["status"]) == (200, "replaced")
    assert client.get(url).json()["text"].endswith("at dusk.")
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    after = client.post("/v1/ask", json=asked).json()
    assert "fire/2019" not in {passage["article_id"] for passage in after["passages"]}


def test_an_article_without_text_is_refused(client: TestClient) -> None:
    response = client.put("/v1/articles/empty", json={"text": "  \n "})

    assert response.status_code == 422
    assert "'text' is empty" in response.json()["detail"]


def test_deleting_what_is_not_there_says_so(client: TestClient) -> None:
    response = client.delete("/v1/articles/nowhere")

    assert response.status_code == 404
    assert "nowhere" in response.json()["detail"]


def test_articles_are_listed_newest_first_in_pages(client: TestClient) -> None:
    page = client.get("/v1/articles", params={"limit": 1}).json()
    rest = client.get("/v1/articles", params={"limit": 1, "offset": 1}).json()

    assert (page["total"], [a["article_id"] for a in page["articles"]]) == (2, ["suez"])
    assert [a["article_id"] for a in rest["articles"]] == ["idlib"]


def test_a_request_that_is_too_large_is_refused_declared_or_not(client: TestClient) -> None:
    def stream() -> Iterator[bytes]:
        for _ in range(MAX_REQUEST_BYTES // 100_000 + 1):
            yield b" " * 100_000

    declared = client.post("/v1/ask", content=b" " * (MAX_REQUEST_BYTES + 1))
    streamed = client.post("/v1/ask", content=stream())

    assert declared.status_code == streamed.status_code == 413
    assert str(MAX_REQUEST_BYTES) in declared.json()["detail"]


def test_a_question_of_damaged_characters_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v1/ask", content=b'{"question": "who \\ud800"}', headers=headers)

    assert response.status_code == 422
    assert response.json()["detail"].startswith("question: ")


def test_an_offset_beyond_all_numbers_is_refused(client: TestClient) -> None:
    assert client.get("/v1/articles", params={"offset": 10**30}).json()["detail"].startswith("offset: ")


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["articles"] == 2


def test_openapi_describes_every_endpoint_with_an_example(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    assert {"/v1/ask", "/v1/search", "/v1/articles", "/v1/articles/{article_id}", "/healthz", "/readyz"} <= set(
        document["paths"]
    )
    assert document["components"]["schemas"]["AskRequest"]["properties"]["question"]["examples"]
