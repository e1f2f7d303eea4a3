"""An article that was printed twice takes one place, and answers say where else it stands."""

import io
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from api.http import build_app
from api.schemas import AskDocument
from api.service import open_service
from api.settings import Settings
from api.terminal import show_passages, show_reply
from api.wiring import Archive
from index.articles import make_article
from index.records import Filters
from qa.pipeline import Pipeline
from tests.api.parts import QuothHere
from tests.conftest import IDLIB, add

QUESTION = "How many Turkish soldiers were killed in Idlib?"
WIRE = make_article(
    article_id="wire",
    title="Soldiers killed [in Syria]",
    source="The Wire",
    published="2020-02-29",
    text=f"ANKARA – {IDLIB.text}",
)


@pytest.fixture
def twice(archive: Archive) -> Archive:
    """Two articles, one of them printed twice."""
    add(archive, WIRE)
    return archive


def terminal() -> Console:
    return Console(file=io.StringIO(), width=200, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_copies_take_one_place_and_k_are_still_found(twice: Archive) -> None:
    add(twice, *(make_article(article_id=f"copy {n}", text=f"PARIS - {IDLIB.text}") for n in range(4)))
    found = twice.retriever.retrieve(QUESTION, 2)
    others = [copy.article_id for copy in found[0].also_in]
    assert {found[0].passage.article_id, *others} == {"idlib", "wire", *(f"copy {n}" for n in range(4))}
    assert (found[1].passage.article_id, found[1].also_in) == ("suez", ())


def test_a_source_asked_for_has_its_own_copy_and_names_no_other(twice: Archive) -> None:
    (found,) = twice.retriever.retrieve(QUESTION, 1, Filters(source="The Wire"))
    assert (found.passage.article_id, found.also_in) == ("wire", ())


def test_the_api_says_where_else_the_quote_stands(twice: Archive, pipeline: Pipeline, settings: Settings) -> None:
    service = open_service(twice, pipeline, settings, "0")
    with TestClient(build_app(service), base_url="http://localhost") as client:
        document = client.post("/v1/ask", json={"question": QUESTION, "min_confidence": 0}).json()
        (other,) = document["answer"]["also_in"]
        assert {document["answer"]["citation"]["article_id"], other["article_id"]} == {"idlib", "wire"}
        article = client.get(f"/v1/articles/{other['article_id']}").json()
        assert article["text"][other["start"] : other["end"]] == other["quote"] == document["answer"]["text"]
        assert other["sha256"] == article["sha256"]

        first, second = document["passages"]
        (copy,) = first["also_in"]
        assert {first["article_id"], copy["article_id"]} == {"idlib", "wire"}
        assert set(copy) == {"article_id", "title", "source", "published", "start", "end"}
        assert second["also_in"] == []
        searched = client.post("/v1/search", json={"question": QUESTION}).json()
        assert [passage["also_in"] for passage in searched["passages"]] == [[copy], []]
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        assert "take no place" in schemas["PassageDocument"]["properties"]["also_in"]["description"]


def test_people_read_where_else_it_stands(twice: Archive, pipeline: Pipeline) -> None:
    by_article = {
        "wire": "also in: Soldiers killed [in Syria], The Wire, 2020-02-29 (wire)",
        "idlib": f"also in: {IDLIB.title}, The Test, 2020-02-28 (idlib)",
    }
    reply = pipeline.ask(QUESTION, min_confidence=0)
    assert reply.answer is not None
    asked, searched = terminal(), terminal()
    show_reply(asked, reply)
    (other,) = {"idlib", "wire"} - {reply.answer.citation.article_id}
    assert f"\n  {by_article[other]}\n" in printed(asked)
    found = twice.retriever.retrieve(QUESTION, 2)
    show_passages(searched, found)
    (other,) = {"idlib", "wire"} - {found[0].passage.article_id}
    assert [line for line in printed(searched).split("\n") if "also in" in line] == [f"   {by_article[other]}"]


def test_an_untitled_copy_is_named_by_its_id(archive: Archive, pipeline: Pipeline) -> None:
    add(archive, make_article(article_id="bare", text=WIRE.text))
    console = terminal()
    show_passages(console, archive.retriever.retrieve(QUESTION, 1, Filters(source="The Test")))
    assert "also in" not in printed(console)
    reply = pipeline.ask(QUESTION, min_confidence=0)
    document = AskDocument.of(reply).model_dump(mode="json")
    show_reply(console, reply)
    assert document["answer"]["also_in"] != []
    assert ("also in: bare\n" in printed(console)) == (document["answer"]["citation"]["article_id"] == "idlib")


def test_the_command_says_it_too(settings: Settings, twice: Archive, tmp_path: Path) -> None:
    assert twice.library.folder.parent == tmp_path
    quoth = QuothHere(settings)
    asked = quoth("ask", QUESTION, "--min-confidence", "0")
    assert asked.stdout.count("also in: ") == 1
    document = json.loads(quoth("ask", QUESTION, "--min-confidence", "0", "--json").stdout)
    assert len(document["answer"]["also_in"]) == 1
