import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from api.access import COOKIE
from api.desk import Desk
from api.http import build_app
from api.keys import KeyStore, Scope
from api.service import Service, open_service
from api.settings import Settings
from api.view_links import article_link
from api.wiring import Archive, open_archive, open_pipeline
from index.articles import make_article
from qa.pipeline import MAX_QUESTION_CHARS, Pipeline
from tests.conftest import IDLIB, SUEZ, add

QUESTION = "How many Turkish soldiers were killed in Idlib?"
EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>\u202e**bold** {{ 7*7 }}"


class Page(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and the words in each kind of element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "input", "option", "rect"}:
            self._open.append(tag)
        self.words.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.words[tag][-1] += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]

    def one(self, tag: str, **attributes: str) -> dict[str, str]:
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def links(self) -> list[str]:
        return [found["href"] for found in self.all("a")]

    def said(self, tag: str) -> str:
        (words,) = self.words[tag]
        return " ".join(words.split())


@pytest.fixture
def keyed(archive: Archive, pipeline: Pipeline, settings: Settings) -> Iterator[TestClient]:
    """A client of the service where keys are on; it has none yet."""
    service = open_service(archive, pipeline, settings.with_values(require_keys=True), "0")
    with TestClient(build_app(service), base_url="https://localhost") as opened:
        yield opened


@pytest.fixture
def keys(settings: Settings) -> KeyStore:
    return KeyStore(settings.library)


def test_an_answer_is_shown_in_its_sentence_with_a_link_to_its_characters(client: TestClient) -> None:
    response = client.get("/", params={"q": QUESTION, "after": "2020-01-01"})
    document = client.post("/v1/ask", json={"question": QUESTION, "after": "2020-01-01"}).json()
    page, answer = Page(response.text), document["answer"]
    citation = answer["citation"]
    link = f"/articles/idlib#{citation['start']}-{citation['end']}"

    assert response.status_code == 200
    assert page.said("h1") == QUESTION
    assert page.words["mark"][0] == citation["quote"]
    assert page.words["blockquote"][0] == citation["sentence"]["text"]
    assert link in page.links
    assert page.all("button", **{"data-link": link})[0]["data-copy"].startswith(f"“{citation['quote']}”\n")
    assert f"{100 * answer['confidence']:.0f}\xa0%" in response.text
    assert page.one("input", name="q")["value"] == QUESTION
    assert page.one("input", name="after")["value"] == "2020-01-01"
    assert "open" in page.one("details", **{"class": "filters"})
    read = [f"/articles/{each['article_id']}#{each['start']}-{each['end']}" for each in document["passages"]]
    assert set(read) <= set(page.links)


def test_what_the_archive_does_not_hold_is_said_with_the_nearest_passages_unfolded(client: TestClient) -> None:
    page = Page(client.get("/", params={"q": "What is the capital of Peru?"}).text)

    assert "The archive holds no answer that is sure enough." in " ".join(page.words["article"])
    assert "An answer had to be" in " ".join(page.words["article"])
    assert "mark" not in page.words or "Nearest passages" in " ".join(page.words["summary"])
    folds = page.all("details", **{"class": "fold"})
    assert "open" in folds[-1]
    assert len([link for link in page.links if "#" in link]) >= 2


def test_filters_that_no_article_passes_are_said_to_be_the_reason(client: TestClient) -> None:
    html = client.get("/", params={"q": QUESTION, "source": "Nobody"}).text
    assert "No article passes these filters" in html


def test_the_first_page_has_the_box_and_the_latest_articles(client: TestClient) -> None:
    response = client.get("/")
    page = Page(response.text)

    assert "autofocus" in page.one("input", name="q")
    assert [link for link in page.links if link.startswith("/articles/")] == ["/articles/suez", "/articles/idlib"]
    assert "2 articles" in response.text
    assert response.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"q": "x" * (MAX_QUESTION_CHARS + 1)}, f"at most {MAX_QUESTION_CHARS} are read"),
        ({"q": "?!"}, "The question is empty"),
        ({"q": QUESTION, "after": "yesterday"}, "“yesterday” is not a date"),
        ({"q": QUESTION, "after": "2021-01-01", "before": "2020-01-01"}, "No day is on or after"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/articles"])
def test_what_cannot_be_asked_stays_in_its_box_with_the_reason(
    client: TestClient, path: str, parameters: dict[str, str], says: str
) -> None:
    response = client.get(path, params=parameters)
    page = Page(response.text)

    assert response.status_code == 422
    assert says in " ".join(page.words["form"])
    assert page.one("input", name="q")["value"] == parameters["q"]
    wrong = next(found for found in page.all("input") if "aria-invalid" in found)
    assert page.one("p", id=wrong["aria-describedby"])


def test_a_quote_that_others_print_too_links_to_them(client: TestClient, archive: Archive) -> None:
    add(archive, replace(IDLIB, article_id="wire", title="From the wire", source="The Wire"))
    asked = client.post("/v1/ask", json={"question": QUESTION}).json()["answer"]
    (other,) = asked["also_in"]
    page = Page(client.get("/", params={"q": QUESTION}).text)
    said = next(words for words in page.words["p"] if words.split()[:2] == ["Also", "in"])
    assert " ".join(said.split()) == f"Also in {other['title']} ({other['source']} · 28 February 2020)"
    assert f"/articles/{other['article_id']}#{other['start']}-{other['end']}" in page.links


def test_a_cursor_that_is_none_says_so(client: TestClient) -> None:
    response = client.get("/articles?cursor=x")
    assert response.status_code == 422
    assert "Give the next_cursor of the page before" in response.text


def test_an_article_is_shown_to_the_character(client: TestClient) -> None:
    response = client.get("/articles/idlib")
    page = Page(response.text)
    text = page.one("div", id="text")
    shown = [(int(found["data-start"]), words) for found, words in _paragraphs(page)]

    first, second = IDLIB.text.split("\n\n")
    assert shown == [(0, first), (len(first) + 2, second)]
    assert int(text["data-chars"]) == len(IDLIB.text)
    assert text["data-sha256"] == IDLIB.sha256
    assert IDLIB.sha256 in " ".join(page.words["dl"])
    assert page.said("h1") == IDLIB.title
    assert "28 February 2020" in page.words["time"]


def test_a_place_is_marked_by_the_server_where_the_address_asks_for_it(client: TestClient) -> None:
    page = Page(client.get("/articles/idlib", params={"mark": "80-99"}).text)
    assert page.words["mark"] == IDLIB.text[80:99].split("\n\n")
    assert [found.get("id") for found in page.all("mark")] == ["marked", None]
    assert "mark" not in Page(client.get("/articles/idlib", params={"mark": "x-9"}).text).words
    assert "mark" not in Page(client.get("/articles/idlib", params={"mark": "9000-9001"}).text).words


def test_an_article_that_is_not_there_says_so(client: TestClient) -> None:
    response = client.get("/articles/nowhere")
    assert response.status_code == 404
    assert Page(response.text).said("h1") == "This article is not in the archive"
    assert client.get("/nowhere").status_code == 404
    assert Page(client.get("/nowhere").text).said("h1") == "There is nothing here"


def test_hostile_articles_are_data(client: TestClient, archive: Archive) -> None:
    article = make_article(
        article_id='"><script>1</script>',
        title=EVIL,
        source=EVIL,
        url="javascript:alert(1)",
        published="2022-02-02",
        text=f"The wizard {EVIL} won the prize for magic in Riga.",
    )
    add(archive, article)
    link = article_link(article.article_id)
    asked = client.get("/", params={"q": "Who won the prize for magic in Riga?", "source": EVIL}).text
    for html in (asked, client.get(link).text, client.get("/articles").text, client.get("/").text):
        page = Page(html)
        assert [found for found in page.all("script") if "src" not in found] == []
        assert page.all("img") == []
        assert not [name for _, found in page.elements for name in found if name.startswith("on") or name == "style"]
        assert not [found for found in page.links if found.startswith("javascript")]
    page = Page(client.get(link).text)
    assert page.words["h1"] == [article.title]
    assert _paragraphs(page)[0][1] == article.text
    assert page.one("input", name="id")["value"] == article.article_id


@pytest.mark.parametrize(
    "article_id",
    ["fire/2019", "a b", "50%", "#1", "a?b=c", 'it\'s "so"', "🗞️", "a//b", "/a", "a/", "…", "a\\b"],
)
def test_every_id_has_an_address_that_leads_to_it(client: TestClient, archive: Archive, article_id: str) -> None:
    add(archive, make_article(article_id=article_id, text="The wizard won."))
    listed = [link for link in Page(client.get("/articles").text).links if link.startswith("/articles")]
    assert article_link(article_id) in listed
    page = Page(client.get(article_link(article_id)).text)
    assert page.one("input", name="id")["value"] == article_id


def test_articles_are_listed_newest_first_page_by_page(client: TestClient, archive: Archive) -> None:
    add(archive, *(make_article(article_id=f"a{n:03}", text=f"Number {n}.", published="2019-01-01") for n in range(60)))
    found: list[str] = []
    link = "/articles?after=2018-01-01"
    while link:
        page = Page(client.get(link).text)
        found += [each for each in page.links if re.fullmatch("/articles/[a-z0-9]+", each)]
        older = page.all("a", rel="next")
        link = older[0]["href"] if older else ""
        assert not link or "after=2018-01-01" in link
    assert found == ["/articles/suez", "/articles/idlib", *(f"/articles/a{n:03}" for n in range(60))]


def test_passages_can_be_searched(client: TestClient) -> None:
    html = client.get("/articles", params={"q": "ship aground in a canal", "after": "2021-01-01"}).text
    page = Page(html)
    assert f"/articles/suez#0-{len(SUEZ.text)}" in page.links
    assert not [link for link in page.links if link.startswith("/articles/idlib")]
    assert "1 passage for" in html


def test_an_empty_archive_says_how_to_fill_it(settings: Settings) -> None:
    archive = open_archive(settings, create=True)
    service = open_service(archive, open_pipeline(archive, settings), settings, "0")
    with TestClient(build_app(service), base_url="http://localhost") as client:
        for path in ("/", "/articles", "/?q=Who%3F"):
            page = Page(client.get(path).text)
            assert "The archive is empty" in page.words["h2"]
            assert "quoth add articles/" in page.words["code"]


def test_an_article_can_be_pasted_found_and_removed(client: TestClient) -> None:
    fields = {"text": "The spire of Notre-Dame fell at dusk.", "title": "Fire", "published": "2019-04-15", "url": ""}
    pasted = Page(client.post("/add", data=fields).text)
    (link,) = [link for link in pasted.links if link.startswith("/articles/")]
    again = client.post("/add", data=fields).text

    assert pasted.words["li"][0].split() == ["added", "Fire"]
    assert Page(again).words["li"][0].split() == ["unchanged", "Fire"]
    assert "at dusk" in client.get("/", params={"q": "When did the spire of Notre-Dame fall?"}).text
    article_id = Page(client.get(link).text).one("input", name="id")["value"]
    assert Page(client.get("/remove", params={"id": article_id}).text).one("input", name="id")["value"] == article_id
    removed = client.post("/remove", data={"id": article_id}, follow_redirects=False)
    assert (removed.status_code, removed.headers["location"]) == (303, "/articles?removed=1")
    assert "The article was removed" in client.get("/articles?removed=1").text
    assert client.get(link).status_code == 404
    assert client.post("/remove", data={"id": article_id}).status_code == 404


def test_what_was_pasted_wrongly_comes_back_with_the_reason(client: TestClient) -> None:
    response = client.post("/add", data={"text": "\n<b>kept</b>", "title": "T", "published": "last week"})
    page = Page(response.text)
    assert response.status_code == 422
    assert "give an ISO 8601 date" in page.words["li"][0]
    assert page.words["textarea"][0].removeprefix("\n") == "\n<b>kept</b>"
    assert page.one("input", name="title")["value"] == "T"
    assert "'text' is empty" in Page(client.post("/add", data={"text": " "}).text).words["li"][0]


def test_files_are_taken_in_and_each_article_says_what_became_of_it(client: TestClient) -> None:
    lines = b'{"id": "one", "text": "One."}\n{"text": 5}\nnot json\n{"title": "Two", "text": "Two."}\n'
    files = [
        ("files", ("fire.md", b"---\nid: fire/2019\ntitle: Fire\n---\nThe spire fell.", "text/markdown")),
        ("files", ("many.jsonl", lines, "application/json")),
        ("files", ("../../bad.pdf", b"%PDF", "application/pdf")),
    ]
    page = Page(client.post("/add", files=files).text)
    counts = page.one("p", id="summary")

    assert counts["data-added"] == "4"
    assert counts["data-refused"] == "2"
    assert [words.split()[0] for words in page.words["li"]] == ["refused"] * 2 + ["added"] * 4
    said = " ".join(" ".join(page.words["li"]).split())
    assert "bad.pdf Articles are read from" in said
    assert "many.jsonl, line 3 Not JSON" in said
    assert client.get("/articles/fire/2019").status_code == 200
    assert client.get("/articles/one").status_code == 200
    again = Page(client.post("/add", files=files[1:2]).text).one("p", id="summary")
    assert again["data-unchanged"] == "3"


def test_a_form_that_is_none_is_refused(client: TestClient) -> None:
    response = client.post("/add", content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=x"})
    assert response.status_code == 422
    response = client.post("/add", content=b"x", headers={"content-type": "multipart/form-data"})
    assert response.status_code == 422


def test_files_of_the_page_may_be_kept_for_ever_under_their_version(client: TestClient) -> None:
    page = Page(client.get("/").text)
    for link in (
        page.one("link", rel="stylesheet")["href"],
        page.all("script")[0]["src"],
        page.one("link", rel="icon")["href"],
    ):
        response = client.get(link)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        stale = client.get(re.sub("/static/[^/]+/", "/static/other/", link))
        assert (stale.content, stale.headers["cache-control"]) == (response.content, "no-cache")
    assert client.get("/static/x/..%2fpages.py").status_code == 404
    assert client.get("/static/x/nothing.js").status_code == 404


def test_modules_name_files_that_are_there(client: TestClient) -> None:
    base = re.sub("[^/]+$", "", Page(client.get("/").text).all("script")[0]["src"])
    for name in ("quoth.js", "article.js", "add.js", "visit.js", "copy.js", "offsets.js"):
        response = client.get(base + name)
        assert response.headers["content-type"].startswith("text/javascript")
        for imported in re.findall(r'from "\./([^"]+)"', response.text):
            assert client.get(base + imported).status_code == 200


def test_nothing_is_loaded_from_elsewhere(client: TestClient) -> None:
    for path in ("/", f"/?q={QUESTION}", "/articles", "/articles/idlib", "/add", "/nowhere"):
        page = Page(client.get(path).text)
        loaded = [
            found.get("src") or found.get("href", "")
            for name, found in page.elements
            if name in {"script", "link", "img"}
        ]
        assert loaded
        assert all(link.startswith("/static/") for link in loaded)
        assert len(page.words["h1"]) == 1
        assert page.all("style") == []


def test_without_a_key_every_page_asks_for_one_and_goes_back(keyed: TestClient, keys: KeyStore) -> None:
    keys.add("other", [Scope.ASK])
    for path in ("/", "/?q=Who%3F", "/articles", "/articles/a%2Fb?mark=1-2", "/add", "/remove?id=x"):
        response = keyed.get(path)
        page = Page(response.text)
        assert response.status_code == 401
        assert page.one("input", name="key")["type"] == "password"
        assert page.one("input", name="back")["value"] == path
    assert keyed.get(Page(keyed.get("/").text).one("link", rel="stylesheet")["href"]).status_code == 200


def test_a_good_key_is_kept_out_of_reach_and_a_wrong_one_is_named(keyed: TestClient, keys: KeyStore) -> None:
    key = keys.add("newsroom", [Scope.ASK, Scope.WRITE])
    wrong = keyed.post("/login", data={"key": "quoth_1234_x", "back": "/articles"})
    assert wrong.status_code == 401
    assert "This key is not known" in wrong.text
    assert Page(wrong.text).one("input", name="back")["value"] == "/articles"
    assert "set-cookie" not in wrong.headers

    right = keyed.post("/login", data={"key": f" {key} ", "back": "/articles?q=x"}, follow_redirects=False)
    assert (right.status_code, right.headers["location"]) == (303, "/articles?q=x")
    cookie = right.headers["set-cookie"].lower()
    assert all(part in cookie for part in (f"{COOKIE}={key}".lower(), "httponly", "samesite=lax", "secure", "path=/"))
    page = keyed.get("/")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "Log out" in page.text
    assert keyed.post("/logout", follow_redirects=False).headers["location"] == "/login"
    assert keyed.get("/").status_code == 401


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", ""])
def test_a_login_leads_nowhere_else(keyed: TestClient, keys: KeyStore, back: str) -> None:
    key = keys.add("newsroom", [Scope.ASK])
    response = keyed.post("/login", data={"key": key, "back": back}, follow_redirects=False)
    assert response.headers["location"] == "/"
    keyed.cookies.clear()
    assert Page(keyed.get("/login", params={"back": back}).text).one("input", name="back")["value"] == "/"


def test_a_key_that_may_only_ask_cannot_add_or_remove(keyed: TestClient, keys: KeyStore) -> None:
    keyed.cookies.set(COOKIE, keys.add("reader", [Scope.ASK]))
    page = Page(keyed.get("/add").text)
    assert "with the scope write" in " ".join(" ".join(page.words["main"]).split())
    assert page.all("textarea") == []
    assert Page(keyed.get("/articles/idlib").text).all("input", name="id") == []
    for refused in (
        keyed.post("/add", data={"text": "x"}),
        keyed.post("/remove", data={"id": "idlib"}),
        keyed.get("/remove?id=idlib"),
    ):
        assert refused.status_code == 403
        assert Page(refused.text).said("h1") == "The key does not have the scope"
    assert keyed.get("/articles/idlib").status_code == 200


def test_where_keys_are_off_there_is_nothing_to_log_in_to(client: TestClient) -> None:
    response = client.get("/login?back=/articles", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/articles")


def test_a_busy_server_says_when_to_come_again(service: Service) -> None:
    full = replace(service, asking=Desk("questions", places=1, waiting=0, deadline_s=0.001))
    with TestClient(build_app(full), base_url="http://localhost") as client:
        response = client.get("/", params={"q": QUESTION})
    page = Page(response.text)
    assert response.status_code == 503
    assert page.one("main")["data-retry-after"] == response.headers["retry-after"]
    assert page.one("input", name="q")["value"] == QUESTION
    assert [link for link in page.links if link.startswith("/?q=")]


def _paragraphs(page: Page) -> list[tuple[dict[str, str], str]]:
    shown = [found for name, found in page.elements if name == "p"]
    return [(found, words) for found, words in zip(shown, page.words["p"], strict=True) if "data-start" in found]
