"""People who mean harm: hostile articles, questions, bodies and addresses, and what each gets."""

import json
import time
from collections.abc import Iterator

import anyio
import pytest
from fastapi.testclient import TestClient

from api import guards
from api.problems import ProblemError

HOSTILE_TEXTS = {
    "script": "<script>alert(1)</script> The mayor of Lerwick, <b>Ann</b> Gray, resigned on Friday.",
    "attribute": '"><img src=x onerror=alert(1)> The mayor of Lerwick, Ann Gray, resigned on Friday.',
    "markdown": "[click](javascript:alert(1)) **The** mayor of Lerwick, Ann Gray, resigned on `Friday`.",
    "template": "{{ 7 * 7 }} {% include 'x' %} ${7*7} The mayor of Lerwick, Ann Gray, resigned on Friday.",
    "right to left": "\u202eThe mayor of Lerwick\u202c, \u2066Ann Gray\u2069, resigned on \u200fFriday.",
    "combining": "The mayor of Le\u0301rwick, A" + "\u0301" * 50 + "nn Gray, resigned on Friday.",
    "emoji": "👩‍👩‍👧 The mayor of Lerwick, Ann Gray 🏴󠁧󠁢󠁳󠁣󠁴󠁿, resigned on Friday.",
    "control": "The mayor of Lerwick,\x07 Ann\x1b[31m Gray, resigned on\x0b Friday.",
    "one word": "The mayor of Lerwick, Ann Gray, resigned. " + "x" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_a_hostile_article_is_data_and_is_cited_to_the_character(client: TestClient, name: str) -> None:
    text = HOSTILE_TEXTS[name]
    assert client.put("/v1/articles/hostile", json={"text": text, "title": text[:60]}).status_code == 201

    asked = {"question": "Who is the mayor of Lerwick?", "min_confidence": 0}
    document = client.post("/v1/ask", json=asked).json()
    cited = [answer["citation"] for answer in [document["answer"], *document["alternatives"]]]
    article = client.get("/v1/articles/hostile").json()
    of_it = [citation for citation in cited if citation["article_id"] == "hostile"]
    assert of_it
    assert all(article["text"][c["start"] : c["end"]] == c["quote"] for c in of_it)
    for path in ("/articles/hostile", "/?q=Who+is+the+mayor+of+Lerwick", "/articles"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49" not in page or "{{" in page or name != "template"
        assert 'href="javascript' not in page


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", " https://e.org", "//e.org"]
)
def test_only_addresses_of_the_web_become_links(client: TestClient, url: str) -> None:
    client.put("/v1/articles/linked", json={"text": "A report.", "url": url})
    page = client.get("/articles/linked").text.lower()
    assert 'href="javascript' not in page
    assert 'href="data' not in page
    assert 'href="//e.org' not in page


@pytest.mark.parametrize(
    "question",
    [
        "'; DROP TABLE articles; --", "title:* OR body:[a TO z]", '"unbalanced (((( ', "a" * 1000, "(" * 60 + "a",
        "\x00 who?", "who\u202e?", "? " * 60 + "who", "٣٣ 兵士 🙂 who", "<script>alert(1)</script>", "{{7*7}}",
        "who\r\nSet-Cookie: x=1",
        "a^10~2 AND NOT -b +c \\", ".*.*.*.*.*.*a",
    ],
)  # fmt: skip
def test_a_hostile_question_is_plain_words(client: TestClient, question: str) -> None:
    response = client.post("/v1/ask", json={"question": question})
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    page = client.get("/", params={"q": question})
    assert page.status_code == 200
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"question": ' * 5000, b'{"question": "a", "k": ' + b"9" * 5000 + b"}",
        b'{"question": "a", "k": 1e400}',
        b"\xff\xfe{", b"\x1f\x8b\x08\x00", b"", b"null", b'"question"', b'{"question": "\xed\xa0\x80"}',
        b'{"question": NaN}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_document_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/ask", content=body, headers={"content-type": "application/json"})

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../http.py", "/static/%2e%2e/http.py", "/static/..%2f..%2fhttp.py", "/static//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd", "/articles/..%2f..%2fetc%2fpasswd", "/v1/articles/..%2f..%2fkeys.json",
        "/v1/articles/library.sqlite3", "/keys.json", "/.git/config", "/%00", "/v1/articles/%ff%fe",
    ],
)  # fmt: skip
def test_paths_lead_to_nothing_but_articles(client: TestClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code in {404, 422}
    assert "root:" not in response.text
    assert "import" not in response.text


def test_a_body_that_is_cut_off_is_not_taken_for_whole() -> None:
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b"id=some", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def test() -> None:
        with pytest.raises(ProblemError) as gone:
            await guards._whole_body(receive)
        assert gone.value.problem.code == "client_gone"

    anyio.run(test)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "multipart/form-data; boundary=b; charset=punycode",
            b'--b\r\nContent-Disposition: form-data; name="id"\r\n\r\nx\r\n--b--',
        ),
        ("application/x-www-form-urlencoded; charset=undefined", b"id=\xff"),
        ("application/x-www-form-urlencoded", b"id=%FF"),
        ("application/x-www-form-urlencoded", b"&".join(b"a=b" for _ in range(100))),
    ],
)
def test_a_form_is_read_in_utf_8_or_not_at_all(client: TestClient, kind: str, body: bytes) -> None:
    for path in ("/remove", "/add"):
        response = client.post(path, content=body, headers={"content-type": kind})
        assert response.status_code in {404, 415, 422}


def test_a_form_that_is_too_long_is_refused(client: TestClient) -> None:
    assert client.post("/remove", data={"id": "x" * 20_000}).status_code == 413


def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "BODY_SECONDS", 0.1)

    async def never() -> dict[str, object]:
        await anyio.sleep(10)
        return {}

    async def test() -> None:
        with pytest.raises(ProblemError) as slow:
            await guards._whole_body(never)
        assert slow.value.problem.code == "too_slow"
        with pytest.raises(ProblemError):
            await guards._counted(never)()

    began = time.monotonic()
    anyio.run(test)
    assert time.monotonic() - began < 9


def test_five_megabytes_are_too_much_for_a_request_and_say_so(client: TestClient) -> None:
    def lines() -> Iterator[bytes]:
        yield b'{"id": "long", "text": "'
        for _ in range(50):
            yield b"word " * 20_000
        yield b'"}\n'

    put = client.put("/v1/articles/long", json={"text": "word " * 1_000_000})
    bulk = client.post("/v1/articles", content=lines(), headers={"content-type": "application/x-ndjson"})
    assert (put.status_code, put.json()["code"]) == (413, "too_large")
    assert json.loads(bulk.text)["problem"]["code"] == "too_large"
