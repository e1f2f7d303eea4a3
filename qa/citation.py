"""Citations: where an answer stands, re-read from the Library at answer time, or refused."""

from dataclasses import dataclass
from datetime import date

from index.errors import CitationError, NotFoundError
from index.library import Library
from index.passages import CharSpan, sentences


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


def sentence_around(text: str, span: CharSpan) -> CharSpan:
    """The sentences that share characters with the span, without surrounding blanks."""
    around = [sentence for sentence in sentences(text) if sentence.start < span.end and span.start < sentence.end]
    start, end = around[0].start, around[-1].end
    while text[start].isspace():
        start += 1
    while text[end - 1].isspace():
        end -= 1
    return CharSpan(start, end)
