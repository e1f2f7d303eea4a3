import io
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.problems import KINDS, Problem, ProblemError
from api.view_forms import QuestionForm
from api.view_links import article_link, local_path, marked_link, parsed_span, span_link, web_link
from api.view_problems import advice_of, heading_of
from api.view_text import MAX_PARAGRAPH_CHARS, excerpt, marked, marked_sentence, paragraphs
from api.view_uploads import PasteForm, articles_in, file_name
from api.views import citation_lines, confidence_words, fits_the_box, long_date, percent, size_of, why_lost
from index.articles import Article, make_article
from index.errors import ArticleError
from index.passages import CharSpan
from index.records import Filters, StoredPassage
from index.retriever import RetrievedPassage
from qa.citation import Citation
from qa.pipeline import Answer, Reply, Timings

TEXTS = st.text(st.sampled_from("ab \n\t\u2028é😀\u0301אب"), max_size=60)


def citation(article_id: str = "idlib", start: int = 25, quote: str = "33") -> Citation:
    return Citation(
        article_id=article_id,
        title="Air raid",
        source="The Test",
        url="",
        published=date(2020, 2, 28),
        span=CharSpan(start, start + len(quote)),
        quote=quote,
        sentence=CharSpan(start - 5, start + 20),
        sentence_text=f"five {quote}".ljust(25, "."),
        sha256="ab" * 32,
    )


def passage(article_id: str, start: int, end: int, score: float) -> RetrievedPassage:
    stored = StoredPassage(key=1, article_id=article_id, title="", span=CharSpan(start, end), text="x" * (end - start))
    return RetrievedPassage(passage=stored, retrieval_score=score)


def reply(given_answer: Answer | None, rival: Answer, *passages: RetrievedPassage) -> Reply:
    return Reply(
        question="How many?",
        answer=given_answer,
        alternatives=[rival],
        no_answer_probability=0.1,
        min_confidence=0.26,
        passages=passages,
        timings=Timings(retrieve_ms=1, read_ms=2),
        total_ms=3,
    )


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (1.0, "Very likely right"), (0.9, "Very likely right"), (0.899, "Likely right"), (0.7, "Likely right"),
        (0.699, "More likely right than not"), (0.5, "More likely right than not"), (0.499, "Uncertain"),
        (0.0, "Uncertain"),
    ],
)  # fmt: skip
def test_confidence_has_words(confidence: float, words: str) -> None:
    assert confidence_words(confidence) == words


@pytest.mark.parametrize(
    ("probability", "written"),
    [(0, "0 %"), (0.004, "< 1 %"), (0.01, "1 %"), (0.9, "90 %"), (0.99, "99 %"), (0.995, "> 99 %"), (1, "100 %")],
)
def test_a_percentage_is_never_surer_than_it_is(probability: float, written: str) -> None:
    assert percent(probability).replace("\xa0", " ") == written


def test_short_answers_are_set_larger() -> None:
    assert [size_of("x" * n) for n in (1, 24, 25, 90, 91)] == ["short", "short", "medium", "medium", "long"]
    assert (fits_the_box("x" * 48), fits_the_box("x" * 49)) == (True, False)


def test_a_date_is_written_out() -> None:
    assert long_date(date(2020, 2, 8)) == "8 February 2020"


def test_a_rival_says_what_it_lost_to() -> None:
    winner = Answer(text="33", confidence=0.8, citation=citation())
    same = Answer(text="44", confidence=0.1, citation=citation(start=60, quote="44"))
    worse = Answer(text="44", confidence=0.3, citation=citation("suez", quote="44"))
    here, there = passage("idlib", 0, 100, 0.9), passage("suez", 0, 100, 0.4)

    assert why_lost(same, reply(winner, same, here)).replace("\xa0", " ") == (
        "10 % sure, where the answer is 80 %. It stands in the same passage; the reader preferred the other words."
        " Alone it would not be given either: that takes 26 %."
    )
    assert why_lost(worse, reply(winner, worse, here, there)).replace("\xa0", " ") == (
        "30 % sure, where the answer is 80 %."
        " Its passage, of another article, fits the question less well (retrieval score 0.40, against 0.90)."
    )
    assert why_lost(winner, reply(worse, winner, here, there)).endswith(
        "fits the question no worse (retrieval score 0.90, against 0.40), but the reader preferred the other words."
    )
    second = passage("idlib", 50, 200, 0.5)
    other = Answer(text="44", confidence=0.3, citation=citation(start=150, quote="44"))
    assert "Its passage, of the same article, fits" in why_lost(other, reply(winner, other, here, second))
    assert why_lost(worse, reply(winner, worse, here)).endswith("It stands in another article.")
    assert why_lost(same, reply(None, same)).replace("\xa0", " ") == "An answer had to be 26 % sure."


def test_a_citation_has_lines_to_paste() -> None:
    assert citation_lines(citation()).splitlines() == [
        "“33”",
        "In: “five 33..................”",
        "Air raid, The Test, 28 February 2020",
        f"Characters 25 to 27 of the text with SHA-256 {'ab' * 32}",
    ]


def test_the_quote_is_marked_in_its_sentence() -> None:
    pieces = marked_sentence(citation())
    assert [(piece.text, piece.is_marked) for piece in pieces] == [("five ", False), ("33", True), ("." * 18, False)]


@given(TEXTS, st.integers(-5, 70), st.integers(-5, 70))
def test_pieces_joined_are_the_text_and_marked_is_the_span(text: str, start: int, end: int) -> None:
    pieces = marked(text, start, end)
    assert "".join(piece.text for piece in pieces) == text
    said = "".join(piece.text for piece in pieces if piece.is_marked)
    assert said == (text[max(0, start) : max(0, end)] if start < end else "")


@given(TEXTS)
@example("")
@example("\n\n \n")
@example("one\n\ntwo\nthree\n \n four ")
def test_paragraphs_cover_every_character_that_is_not_blank(text: str) -> None:
    found = list(paragraphs(text))
    covered = [place for each in found for place in range(each.start, each.start + len(each.text))]
    assert covered == sorted(set(covered))
    assert all(text[each.start : each.start + len(each.text)] == each.text for each in found)
    assert {place for place, char in enumerate(text) if not char.isspace()} <= set(covered)
    assert all(each.text.strip() and "\n\n" not in each.text for each in found)


@given(TEXTS, st.integers(0, 60), st.integers(1, 30))
def test_what_is_marked_in_paragraphs_is_the_span_without_blank_lines(text: str, start: int, length: int) -> None:
    found = list(paragraphs(text, CharSpan(start, start + length)))
    said = "".join(piece.text for each in found for piece in each.pieces if piece.is_marked)
    assert "".join(said.split()) == "".join(text[start : start + length].split())


def test_a_very_long_paragraph_is_cut_at_blanks_where_there_are_any() -> None:
    words = "word " * 10_000 + "x" * 50_000
    found = list(paragraphs(words))
    assert "".join(each.text for each in found) == words
    assert max(len(each.text) for each in found) <= MAX_PARAGRAPH_CHARS
    assert found[0].text.endswith("word ")
    assert [each.goes_on for each in found] == [False] + [True] * (len(found) - 1)


def test_an_excerpt_ends_after_a_word() -> None:
    assert excerpt("one\n two  three", 100) == "one two three"
    assert excerpt("one two three", 10) == "one two…"
    assert excerpt("x" * 20, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("article_id", "link"),
    [
        ("idlib", "/articles/idlib"),
        ("fire/2019", "/articles/fire/2019"),
        ("a b#c?d", "/articles/a%20b%23c%3Fd"),
        ("50%2F", "/articles/50%252F"),
        ('"><img>', "/articles/%22%3E%3Cimg%3E"),
        ("🗞\u202e", "/articles/%F0%9F%97%9E%E2%80%AE"),
        ("a\\b", "/articles/a%5Cb"),
        ("..", "/articles?id=.."),
        ("a/../b", "/articles?id=a%2F..%2Fb"),
        ("a//b", "/articles?id=a%2F%2Fb"),
        ("/a", "/articles?id=%2Fa"),
        ("a/", "/articles?id=a%2F"),
        ("a\nb", "/articles?id=a%0Ab"),
    ],
)
def test_the_link_of_an_article_keeps_its_id_whole(article_id: str, link: str) -> None:
    assert article_link(article_id) == link


def test_the_link_of_a_span_names_its_characters() -> None:
    assert span_link("a b", CharSpan(3, 7)) == "/articles/a%20b#3-7"
    assert span_link("..", CharSpan(3, 7)) == "/articles?id=..#3-7"
    assert marked_link("a", CharSpan(3, 7)) == "/articles/a?mark=3-7#marked"
    assert marked_link("..", CharSpan(3, 7)) == "/articles?id=..&mark=3-7#marked"


@pytest.mark.parametrize(
    "written", ["", "3", "3-", "-3", "3-3", "7-3", "a-b", "3-7-9", "²-9", "1-" + "9" * 400, "+1-2"]
)
def test_what_is_no_span_is_none(written: str) -> None:
    assert parsed_span(written) is None


def test_a_span_is_parsed() -> None:
    assert parsed_span("3-7") == CharSpan(3, 7)


@pytest.mark.parametrize("url", ["http://example.org/a?b#c", "https://example.org", "HTTPS://EXAMPLE.ORG/"])
def test_web_addresses_are_links(url: str) -> None:
    assert web_link(url) == url


@pytest.mark.parametrize(
    "url",
    ["", "javascript:alert(1)", "java\nscript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//example.org",
     "https:example", "/local", "ftp://example.org", "http://[", "vbscript:x"],
)  # fmt: skip
def test_other_addresses_are_not(url: str) -> None:
    assert web_link(url) is None


@pytest.mark.parametrize("path", ["/", "/articles/a%2Fb?x=1", "/?q=%2F%2Fevil"])
def test_a_local_path_is_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "evil",
        "//evil",
        "///evil",
        "/\\evil",
        "\\\\evil",
        "/\t/evil",
        "/\n/evil",
        "https://evil",
        "javascript:x",
        "/ /\x00",
    ],
)
def test_a_path_that_leads_elsewhere_is_not(path: str) -> None:
    assert local_path(path) == "/"


def test_a_form_becomes_filters() -> None:
    form = QuestionForm.of({"q": "  Who? ", "after": "2020-01-01", "before": "2021-01-01", "source": " The Test "})
    assert form.question == "Who?"
    assert form.filters == Filters(after=date(2020, 1, 1), before=date(2021, 1, 1), source="The Test")
    assert form.has_filters
    assert not QuestionForm.of({"q": "Who?", "after": "", "before": " "}).has_filters
    assert QuestionForm().filters == Filters()


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (QuestionForm(after="yesterday"), "after"),
        (QuestionForm(before="2020-13-01"), "before"),
        (QuestionForm(after="2020-01-02", before="2020-01-02"), "after"),
    ],
)
def test_dates_that_are_none_are_named(form: QuestionForm, field: str) -> None:
    with pytest.raises(ProblemError) as error:
        _ = form.filters
    assert [each.field for each in error.value.problem.errors] == [field]


@pytest.mark.parametrize("code", KINDS)
def test_every_problem_has_a_heading_and_advice_for_people(code: str) -> None:
    found = Problem(code=code, detail="")
    assert heading_of(found)
    assert advice_of(found)[0].isupper()
    assert advice_of(found).endswith(".")


def test_pasting_the_same_twice_makes_one_id_and_another_text_another() -> None:
    one = PasteForm(text="The spire fell at dusk.", title="Fire at Notre-Dame")
    assert one.article.article_id == one.article.article_id
    assert one.article.article_id.startswith("fire-at-notre-dame-")
    assert PasteForm(text="The spire stood.", title="Fire at Notre-Dame").article.article_id != one.article.article_id
    assert PasteForm(text="The spire fell at dusk.").article.article_id.startswith("the-spire-fell-at-dusk-")
    assert PasteForm(text="…").article.article_id.startswith("article-")


@pytest.mark.parametrize(
    ("form", "says"), [(PasteForm(text=" "), "text"), (PasteForm(text="x", published="x"), "2020")]
)
def test_pasting_what_is_no_article_says_why(form: PasteForm, says: str) -> None:
    with pytest.raises(ArticleError, match=says):
        _ = form.article


def test_a_file_is_read_under_its_own_name_wherever_it_is_put() -> None:
    (one,), (again,) = of_file("Fire.TXT", "The spire fell."), of_file("Fire.TXT", "The spire fell.")
    (other,) = of_file("flood.txt", "The spire fell.")
    assert isinstance(one, Article)
    assert isinstance(other, Article)
    assert one == again
    assert one.article_id.startswith("fire-")
    assert one.article_id != other.article_id


def test_ids_and_fields_of_files_are_kept() -> None:
    (found,) = of_file("x.md", "---\nid: fire/2019\ntitle: Fire\npublished: 2019-04-15\n---\nThe spire fell.")
    assert found == make_article(article_id="fire/2019", title="Fire", published="2019-04-15", text="The spire fell.")
    one, two, bad = of_file("x.jsonl", '{"text": "One."}\n{"text": "Two.", "id": "two"}\n{"texts": 1}\n')
    assert isinstance(one, Article)
    assert isinstance(two, Article)
    assert (one.article_id[:2], one.article_id[-2:], two.article_id) == ("x-", "-1", "two")
    assert isinstance(bad, ArticleError)
    assert str(bad).startswith("x.jsonl, line 3: unknown field 'texts'")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pdf", b"x", "a.pdf: articles are read from .txt, .md, .jsonl files"),
        ("../../etc/a.txt", b"\xff", "a.txt: not UTF-8 text"),
        ("a.txt", b" ", "a.txt: field 'text' is empty"),
    ],
)
def test_a_file_that_is_none_says_so_under_its_own_name(name: str, content: bytes, says: str) -> None:
    (error,) = of_file(name, content)
    assert isinstance(error, ArticleError)
    assert str(error).startswith(says)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("a.md", "a.md"),
        ("../a.md", "a.md"),
        ("C:\\x\\a.md", "a.md"),
        ("a\n\x00b.md", "ab.md"),
        ("", "file"),
        ("a/", "file"),
    ],
)
def test_a_name_that_a_browser_sent_is_only_a_name(given_name: str, kept: str) -> None:
    assert file_name(given_name) == kept


def test_a_file_without_articles_has_none() -> None:
    assert of_file("a.jsonl", "\n\n") == []


def of_file(name: str, content: str | bytes) -> list[Article | ArticleError]:
    return list(articles_in(name, io.BytesIO(content.encode() if isinstance(content, str) else content)))
