import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.wiring import Archive
from index.articles import make_article
from index.database import FILE_NAME
from index.errors import CitationError
from index.library import Library
from index.passages import CharSpan
from qa.citation import Citation, cite, sentence_around
from tests.conftest import IDLIB, SUEZ, add
from tests.qa.texts import hard_texts


def place(text: str, part: str) -> CharSpan:
    return CharSpan(text.index(part), text.index(part) + len(part))


def cite_part(library: Library, part: str) -> Citation:
    return cite(library, "idlib", place(IDLIB.text, part), part)


def alter(archive: Archive, column: str, old: str, new: str) -> None:
    """Change a stored field behind the Library's back."""
    with closing(sqlite3.connect(archive.library.folder / FILE_NAME)) as connection, connection:
        statement = f"UPDATE articles SET {column} = replace({column}, ?, ?) WHERE article_id = 'idlib'"  # noqa: S608
        assert connection.execute(statement, (old, new)).rowcount == 1


def test_a_citation_names_place_sentence_and_article(archive: Archive) -> None:
    start = IDLIB.text.index("33")
    found = cite_part(archive.library, "33")
    sentence = "An air strike killed at least 33 Turkish soldiers in Idlib on Thursday, officials said."
    assert found == Citation(
        article_id="idlib",
        title=IDLIB.title,
        source=IDLIB.source,
        url=IDLIB.url,
        published=IDLIB.published,
        span=CharSpan(start, start + 2),
        quote="33",
        sentence=CharSpan(0, len(sentence)),
        sentence_text=sentence,
        sha256=IDLIB.sha256,
    )


def test_a_quote_in_a_later_paragraph_has_the_sentence_of_that_paragraph(archive: Archive) -> None:
    found = cite_part(archive.library, "Erdoğan")
    assert found.sentence_text == "President Recep Tayyip Erdoğan called an emergency meeting in Ankara."
    assert found.sentence.of(IDLIB.text) == found.sentence_text


def test_a_quote_over_two_sentences_has_both(archive: Archive) -> None:
    found = cite_part(archive.library, "officials said.\n\nPresident Recep")
    assert found.sentence_text == IDLIB.text


def test_the_same_words_elsewhere_are_no_citation(archive: Archive) -> None:
    with pytest.raises(CitationError, match=r"'idlib' no longer says '33' at \[0, 2\)"):
        cite(archive.library, "idlib", CharSpan(0, 2), "33")


def test_a_span_beyond_the_end_is_refused(archive: Archive) -> None:
    n = len(IDLIB.text)
    with pytest.raises(CitationError, match="no longer says"):
        cite(archive.library, "idlib", CharSpan(n - 1, n + 1), ". ")


def test_a_removed_article_is_refused(archive: Archive) -> None:
    archive.library.remove("idlib")
    with pytest.raises(CitationError, match="'idlib' cannot be read again: it was removed"):
        cite_part(archive.library, "33")


def test_an_article_that_never_was_is_refused(archive: Archive) -> None:
    with pytest.raises(CitationError, match="'nowhere' cannot be read again: it was removed"):
        cite(archive.library, "nowhere", CharSpan(0, 1), "a")


def test_a_replaced_article_that_moved_the_words_is_refused(archive: Archive) -> None:
    add(archive, make_article(article_id="idlib", text="Update: " + IDLIB.text))
    with pytest.raises(CitationError, match="no longer says '33'"):
        cite_part(archive.library, "33")


def test_a_replaced_article_that_kept_the_words_in_place_is_cited_as_it_is_now(archive: Archive) -> None:
    new = make_article(article_id="idlib", text=IDLIB.text.replace("Ankara", "Istanbul"))
    add(archive, new)
    assert cite_part(archive.library, "33").sha256 == new.sha256 != IDLIB.sha256


@pytest.mark.parametrize(("old", "new"), [("33", "34"), ("Ankara", "Istanbul")])
def test_a_text_altered_behind_its_hash_is_refused_whether_or_not_the_quote_still_stands(
    archive: Archive, old: str, new: str
) -> None:
    cite_part(archive.library, "33")
    alter(archive, "text", old, new)
    with pytest.raises(CitationError, match=r"'idlib' is not as it was stored .* quoth check"):
        cite_part(archive.library, "33")


def test_a_hash_altered_beside_its_text_is_refused(archive: Archive) -> None:
    alter(archive, "sha256", IDLIB.sha256, SUEZ.sha256)
    with pytest.raises(CitationError, match="'idlib' is not as it was stored"):
        cite_part(archive.library, "33")


@settings(max_examples=60, deadline=None)
@given(hard_texts(), st.data())
def test_the_sentence_holds_the_span_and_has_no_blank_ends(text: str, data: st.DataObject) -> None:
    places = [i for i, char in enumerate(text) if not char.isspace()]
    if not places:
        return
    start = data.draw(st.sampled_from(places))
    end = data.draw(st.sampled_from([i + 1 for i in places if i >= start]))
    sentence = sentence_around(text, CharSpan(start, end))
    assert sentence.start <= start < end <= sentence.end <= len(text)
    assert sentence.of(text) == sentence.of(text).strip()
