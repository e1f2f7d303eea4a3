"""The OpenAPI document: every operation, every problem, and examples that are what the code makes and takes."""

import hashlib
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from api import article_schemas, health, schemas
from api.examples import EXAMPLES
from api.problem_schemas import ProblemDocument
from api.problems import KINDS

MODELS: dict[str, type[BaseModel]] = {
    name: found
    for module in (schemas, article_schemas, health)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, BaseModel)
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def test_every_operation_of_the_service_is_described(document: dict[str, Any]) -> None:
    assert {name for name, _ in _operations(document)} == {
        "POST /v1/ask", "POST /v1/ask:batch", "POST /v1/search", "GET /v1/articles", "POST /v1/articles",
        "GET /v1/articles/{article_id}", "PUT /v1/articles/{article_id}", "DELETE /v1/articles/{article_id}",
        "GET /healthz", "GET /readyz", "GET /metrics",
    }  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_document_that_the_code_takes_and_makes(name: str) -> None:
    model = MODELS[name].model_validate(EXAMPLES[name])
    assert model.model_dump(mode="json").keys() >= EXAMPLES[name].keys()


def test_a_citation_of_the_examples_can_be_checked() -> None:
    citation = EXAMPLES["AskDocument"]["answer"]["citation"]
    text = EXAMPLES["ArticleDocument"]["text"]
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert citation["sha256"] == EXAMPLES["ArticleDocument"]["sha256"] == digest


def test_every_operation_shows_an_example_of_what_it_takes_and_gives(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        bodies = [operation.get("requestBody"), *(each for s, each in operation["responses"].items() if s < "300")]
        for content in (each["content"] for each in bodies if each and "content" in each):
            for media_type, described in content.items():
                if media_type == "text/plain":
                    continue
                reference = described.get("schema", {}).get("$ref", "").rpartition("/")[2]
                assert "example" in described or document["components"]["schemas"][reference]["examples"], name


def test_every_problem_has_an_example_and_every_code_is_somewhere(document: dict[str, Any]) -> None:
    seen = set()
    for _, operation in _operations(document):
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                for code, example in content.get("examples", {}).items():
                    problem = ProblemDocument.model_validate(example["value"])
                    assert (problem.code, problem.status, str(problem.status)) == (code, KINDS[code][0], status)
                    seen.add(code)
    assert set(KINDS) - seen == {"address_not_found", "method_not_allowed"}  # of no operation


def test_codes_are_stable_names() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) and 400 <= status < 600 for code, (status, _) in KINDS.items())
