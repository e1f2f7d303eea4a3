"""The same quote in copies: found to the character and read again, or not named."""

from pathlib import Path

import pytest

from index.errors import CitationError
from index.library import Library
from index.passages import CharSpan
from index.retriever import RetrievedPassage
from qa.citation import Citation, cite, cite_copies
from tests.index.parts import damage, new_article, new_library

FIRE = (
    "The fire in the cathedral was put out after 15 hours, the commander of the firemen said on Tuesday morning. "
    "No one died in the fire, and the two towers on the western side have been saved, he told reporters on the square. "
    "What caused it is not known yet. The police have begun to hear the workers who were mending the roof, and the "
    "company that employs them says that all had gone home when the alarm was heard. People who live on the island "
    "were led away for the night, and many of them sang on the banks of the river until the morning came."
)
LINES = f"The mayor spoke first.\n{FIRE}"


def asked(library: Library, quote: str, *, nth: int = 0, article_id: str = "shown") -> list[Citation]:
    """What is cited of the copies of the passages of an article for the nth time that it says the quote."""
    text = library.get(article_id).text
    start = -1
    for _ in range(nth + 1):
        start = text.index(quote, start + 1)
    passages = library.article_passages(article_id)
    copies = library.copies([passage.key for passage in passages])
    retrieved = [
        RetrievedPassage(passage=passage, retrieval_score=1.0, also_in=copies.get(passage.key, ()))
        for passage in passages
    ]
    citation = cite(library, article_id, CharSpan(start, start + len(quote)), quote)
    return cite_copies(library, citation, retrieved)


def test_a_copy_is_cited_where_it_says_the_same_sentence(tmp_path: Path) -> None:
    library = new_library(
        tmp_path,
        new_article("shown", LINES),
        new_article("copy", f"PARIS – {FIRE}", title="Saved", source="Wire", published="2019-04-16", url="https://x/"),
    )
    start = len("PARIS – ") + FIRE.index("15 hours")
    (found,) = asked(library, "15 hours")
    assert found == cite(library, "copy", CharSpan(start, start + 8), "15 hours")
    assert (found.title, found.sentence_text[:8]) == ("Saved", "PARIS – ")
    (back,) = asked(library, "15 hours", article_id="copy")
    assert (back.article_id, back.span.of(LINES)) == ("shown", "15 hours")


@pytest.mark.parametrize(("nth", "words"), [(0, "fire in"), (1, None), (2, "fire,")])
def test_in_another_sentence_the_quote_is_the_same_time_of_equally_many(
    tmp_path: Path, nth: int, words: str | None
) -> None:
    other = FIRE.replace("commander", "chief").replace("have been", "are")
    library = new_library(tmp_path, new_article("shown", LINES), new_article("copy", other))
    found = asked(library, "fire", nth=nth)
    assert [copy.span.start for copy in found] == ([other.index(words)] if words else [])  # 1 is within "firemen"
    assert {copy.quote for copy in found} <= {"fire"}


def test_a_part_of_a_word_is_no_quote(tmp_path: Path) -> None:
    other = FIRE.replace("firemen", "fire brigade")
    library = new_library(tmp_path, new_article("shown", LINES), new_article("copy", other))
    assert len(library.copies([passage.key for passage in library.article_passages("shown")])) == 1
    assert asked(library, "fire") == []  # said twice in one and three times in the other: which is which?
    assert [found.quote for found in asked(library, "No one")] == ["No one"]


def test_what_the_copy_says_in_other_words_is_not_cited(tmp_path: Path) -> None:
    other = FIRE.replace("western side", "western end")
    library = new_library(tmp_path, new_article("shown", LINES), new_article("copy", other))
    assert asked(library, "western side") == []
    assert [found.quote for found in asked(library, "15 hours")] == ["15 hours"]


def test_copies_of_passages_without_the_quote_are_not_cited(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("shown", LINES), new_article("copy", FIRE))
    assert asked(library, "The mayor") == []


def test_an_article_is_cited_once_and_copies_in_the_order_they_came(tmp_path: Path) -> None:
    library = new_library(
        tmp_path,
        new_article("shown", LINES),
        new_article("undated", FIRE),
        new_article("second", FIRE, published="2019-04-17"),
        new_article("first", FIRE, published="2019-04-16"),
    )
    (line, fire) = library.article_passages("shown")
    copies = library.copies([fire.key])[fire.key]
    twice = [RetrievedPassage(passage=fire, retrieval_score=score, also_in=copies) for score in (1.0, 0.5)]
    citation = cite(library, "shown", CharSpan(line.span.end, line.span.end + 8), "The fire")
    found = cite_copies(library, citation, twice)
    assert [copy.article_id for copy in found] == ["first", "second", "undated"]
    assert [copy.span for copy in found] == [CharSpan(0, 8)] * 3


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_copy_that_is_not_as_it_was_is_refused(tmp_path: Path, change: str) -> None:
    library = new_library(tmp_path, new_article("shown", LINES), new_article("copy", FIRE))
    fire = library.article_passages("shown")[1]
    retrieved = RetrievedPassage(passage=fire, retrieval_score=1.0, also_in=library.copies([fire.key])[fire.key])
    start = LINES.index("15")
    citation = cite(library, "shown", CharSpan(start, start + 2), "15")
    if change == "removed":
        library.remove("copy")
    else:
        damage(tmp_path, "UPDATE articles SET text = replace(text, '15', '16') WHERE article_id = 'copy'")
    with pytest.raises(CitationError, match="'copy'"):
        cite_copies(library, citation, [retrieved])
