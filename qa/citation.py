"""Citations: where an answer stands, re-read from the Library at answer time, or refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from index.errors import CitationError, NotFoundError
from index.library import Library
from index.passages import CharSpan, sentences
from index.records import StoredPassage
from index.retriever import RetrievedPassage


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Everything needed to check an answer: `article.text[span.start:span.end] == quote`.

    `sentence` is the sentence (or sentences) around the quote, `sha256` the hash of the whole article text.
    """

    article_id: str
    title: str
    source: str
    url: str
    published: date | None
    span: CharSpan
    quote: str
    sentence: CharSpan
    sentence_text: str
    sha256: str


def cite(library: Library, article_id: str, span: CharSpan, quote: str) -> Citation:
    """The citation of a quote, after reading the article again.

    Raises:
        CitationError: the article is gone, is not as it was stored, or does not hold the quote there.
    """
    try:
        stored = library.get_stored(article_id)
    except NotFoundError as error:
        raise CitationError(
            f"article {article_id!r} cannot be read again: it was removed while the question was answered, or the"
            " Library is damaged (run quoth check)"
        ) from error
    article = stored.article
    if not stored.is_intact:
        raise CitationError(f"article {article_id!r} is not as it was stored (its hash differs); run quoth check")
    if span.of(article.text) != quote:
        raise CitationError(f"article {article_id!r} no longer says {quote!r} at [{span.start}, {span.end})")
    sentence = sentence_around(article.text, span)
    return Citation(
        article_id=article.article_id,
        title=article.title,
        source=article.source,
        url=article.url,
        published=article.published,
        span=span,
        quote=quote,
        sentence=sentence,
        sentence_text=sentence.of(article.text),
        sha256=stored.sha256,
    )


def cite_copies(library: Library, citation: Citation, passages: Sequence[RetrievedPassage]) -> list[Citation]:
    """The same quote in other articles that print the passage it stands in, one citation an article.

    Only where it is sure which words of the copy are the quote's.

    Raises:
        CitationError: an article with a copy is gone or is not as it was stored.
    """
    found: dict[str, Citation] = {}
    for retrieved in passages:
        if not _holds(retrieved.passage, citation):
            continue
        for copy in retrieved.also_in:
            place = _place_in(copy, citation, retrieved.passage)
            if place is not None and copy.article_id not in found:
                found[copy.article_id] = cite(library, copy.article_id, place, citation.quote)
    return list(found.values())


def sentence_around(text: str, span: CharSpan) -> CharSpan:
    """The sentences that share characters with the span, without surrounding blanks."""
    around = [sentence for sentence in sentences(text) if sentence.start < span.end and span.start < sentence.end]
    start, end = around[0].start, around[-1].end
    while text[start].isspace():
        start += 1
    while text[end - 1].isspace():
        end -= 1
    return CharSpan(start, end)


def _holds(passage: StoredPassage, citation: Citation) -> bool:
    begins, ends = passage.span.start <= citation.span.start, citation.span.end <= passage.span.end
    return passage.article_id == citation.article_id and begins and ends


def _place_in(copy: StoredPassage, citation: Citation, passage: StoredPassage) -> CharSpan | None:
    """Where the copy of the passage says what is quoted: in the same sentence, or the same time of equally many."""
    if copy.text.count(citation.sentence_text) == 1:
        start = copy.text.index(citation.sentence_text) + citation.span.start - citation.sentence.start
    else:
        said, said_there = _places(citation.quote, passage.text), _places(citation.quote, copy.text)
        if len(said) != len(said_there) or citation.span.start - passage.span.start not in said:
            return None
        start = said_there[said.index(citation.span.start - passage.span.start)]
    start += copy.span.start
    return CharSpan(start, start + len(citation.quote))


def _places(quote: str, text: str) -> list[int]:
    """Where the quote begins in the text, as whole words."""
    return [match.start() for match in re.finditer(rf"(?<!\w){re.escape(quote)}(?!\w)", text)]
