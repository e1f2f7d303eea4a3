import json
import time

import pytest
from fastapi.testclient import TestClient

from qa.confidence import load_confidence
from qa.pipeline import MAX_QUESTION_CHARS
from qa.windows import MAX_QUESTION_TOKENS
from tests.conftest import IDLIB

QUESTION = "How many Turkish soldiers were killed in Idlib?"


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
    document = client.post("/v1/search", json={"question": "ship aground in a canal", "k": 1}).json()

    (passage,) = document["passages"]
    assert passage["article_id"] == "suez"
    assert "Ever Given" in passage["text"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"question": ""}, "question"),
        ({"question": "x" * (MAX_QUESTION_CHARS + 1)}, "question"),
        ({"question": "why " * (MAX_QUESTION_TOKENS + 1)}, "question"),
        ({"question": QUESTION, "k": 0}, "k"),
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

    problem = response.json()
    assert response.status_code == problem["status"] == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] in {"invalid_request", "invalid_question"}
    assert [each["field"] for each in problem["errors"]] == [field]
    assert problem["request_id"] == response.headers["x-request-id"]


def test_a_question_without_words_is_refused(client: TestClient) -> None:
    response = client.post("/v1/ask", json={"question": " ?! "})

    assert response.status_code == 422
    assert "question is empty" in response.json()["detail"]


def test_both_thresholds_at_once_are_refused_by_name(client: TestClient) -> None:
    problem = client.post("/v1/ask", json={"question": QUESTION, "precision": 0.9, "min_confidence": 0}).json()

    assert (problem["code"], problem["errors"][0]["field"]) == ("invalid_question", "precision")


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_as_many_alternatives_are_given_as_are_asked_for(client: TestClient, wanted: int) -> None:
    for place, dead in (("Kars", "twelve"), ("Van", "seven")):  # every passage has a candidate, however unlikely
        client.put(f"/v1/articles/{place}", json={"text": f"In {place} {dead} people were killed on Monday."})
    asked = {"question": QUESTION, "min_confidence": 0}
    every = client.post("/v1/ask", json={**asked, "alternatives": 10}).json()["alternatives"]
    document = client.post("/v1/ask", json={**asked, "alternatives": wanted}).json()

    assert len(every) >= 2
    assert document["alternatives"] == every[:wanted]
    assert document["answer"]["text"] in {"33", "at least 33"}


def test_a_batch_gets_what_each_of_its_questions_would_get_alone(client: TestClient) -> None:
    asked = [
        {"question": QUESTION, "min_confidence": 0},
        {"question": " ?! "},
        {"question": "Which ship ran aground?", "source": "nobody"},
    ]
    answered, refused, filtered = client.post("/v1/ask:batch", json={"questions": asked}).json()["results"]

    alone = client.post("/v1/ask", json=asked[0]).json()
    assert answered["answer"] == alone["answer"]
    assert (refused["code"], refused["status"]) == ("invalid_question", 422)
    assert (filtered["answer"], filtered["passages"]) == (None, [])


@pytest.mark.parametrize(("n", "status"), [(0, 422), (33, 422)])
def test_a_batch_has_a_question_and_not_too_many(client: TestClient, n: int, status: int) -> None:
    response = client.post("/v1/ask:batch", json={"questions": [{"question": QUESTION}] * n})

    assert (response.status_code, response.json()["errors"][0]["field"]) == (status, "questions")


def test_a_question_of_damaged_characters_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v1/ask", content=b'{"question": "who \\ud800"}', headers=headers)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "question"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nowhere", 404, "address_not_found"),
        ("GET", "/v1/ask", 405, "method_not_allowed"),
        ("PATCH", "/v1/articles/idlib", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_a_problem_too(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    response = client.request(method, path)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert status != 405 or "allow" in response.headers


def test_health_readiness_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    for _ in range(200):
        if (ready := client.get("/readyz")).status_code == 200:
            break
        assert ready.json()["code"] == "not_ready"
        time.sleep(0.05)
    assert ready.json() == {"status": "ready"}

    before = _metrics(client)
    for least in (0, 1):
        reply = client.post("/v1/ask", json={"question": QUESTION, "min_confidence": least})
        assert (reply.status_code, bool(reply.json()["answer"])) == (200, least == 0)
    after = _metrics(client)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown['quoth_answers_total{outcome="answered"}'] == grown['quoth_answers_total{outcome="refused"}'] == 1
    assert grown['quoth_requests_total{method="POST",route="/v1/ask",status="200"}'] == 2
    assert grown['quoth_stage_seconds_count{stage="read"}'] == grown["quoth_confidence_count"] == 2
    assert (after["quoth_library_articles"], after["quoth_library_passages"]) == (2, 2)
    assert grown['quoth_queue_waiting{queue="questions"}'] == grown['quoth_queue_running{queue="questions"}'] == 0


def test_a_method_that_nobody_has_is_counted_with_its_like(client: TestClient) -> None:
    for method in ("BREW", "WHEN"):
        assert client.request(method, "/v1/ask").status_code == 405
    assert not any("BREW" in name or "WHEN" in name for name in _metrics(client))


def test_of_many_wrong_fields_the_first_are_named(client: TestClient) -> None:
    body = {"question": QUESTION, **{f"wrong{n}": n for n in range(1000)}}
    problem = client.post("/v1/ask", json=body).json()
    assert len(problem["errors"]) == 20
    assert problem["detail"].endswith("; and 980 more")


def _metrics(client: TestClient) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
