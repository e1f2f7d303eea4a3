"""What the page says of an answer, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from api.view_links import marked_link, span_link
from index.articles import Article
from index.passages import CharSpan
from index.records import StoredPassage
from index.retriever import RetrievedPassage
from qa.citation import Citation
from qa.pipeline import Answer, Reply

CONFIDENCE_WORDS = (
    (0.9, "Very likely right"),
    (0.7, "Likely right"),
    (0.5, "More likely right than not"),
    (0.0, "Uncertain"),
)
"""From which confidence on an answer is called what: confidences are calibrated, so the words follow them."""
_SHORT_CHARS, _LONG_CHARS = 24, 90
_BOX_CHARS = 48


class Titled(Protocol):
    """An article, or what stands in one."""

    @property
    def article_id(self) -> str:
        """The article's id."""
        ...

    @property
    def title(self) -> str:
        """The article's title, which may be empty."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """An answer that was not given, and why."""

    answer: Answer
    why: str


def confidence_words(confidence: float) -> str:
    """What an answer of that confidence is called."""
    return next(words for least, words in CONFIDENCE_WORDS if confidence >= least)


def percent(probability: float) -> str:
    """The probability as people read it; never "0 %" or "100 %" of what is neither sure nor impossible."""
    if 0 < probability < 0.01:
        return "< 1\xa0%"
    if 0.99 < probability < 1:
        return "> 99\xa0%"
    return f"{100 * probability:.0f}\xa0%"


def size_of(text: str) -> str:
    """How large an answer is set: the shorter, the larger."""
    if len(text) <= _SHORT_CHARS:
        return "short"
    return "medium" if len(text) <= _LONG_CHARS else "long"


def fits_the_box(question: str) -> bool:
    """Whether a wide screen shows all of the question in the box it was typed into."""
    return len(question) <= _BOX_CHARS


def long_date(day: date) -> str:
    """The date like 28 February 2020."""
    return f"{day.day} {day:%B} {day.year}"


def title_of(titled: Titled) -> str:
    """What it is called: its title, or its id where it has none."""
    return titled.title or titled.article_id


def rivals(reply: Reply) -> list[Rival]:
    """The other candidates, and why each was not given."""
    return [Rival(answer=rival, why=why_lost(rival, reply)) for rival in reply.alternatives]


def why_lost(rival: Answer, reply: Reply) -> str:
    """Its confidence against what it had to be, and what the retriever and the reader made of it."""
    given = reply.answer
    if given is None:
        return f"An answer had to be {percent(reply.min_confidence)} sure."
    why = [
        f"{percent(rival.confidence)} sure, where the answer is {percent(given.confidence)}.",
        _because(rival.citation, given.citation, reply.passages),
    ]
    if rival.confidence < reply.min_confidence:
        why.append(f"Alone it would not be given either: that takes {percent(reply.min_confidence)}.")
    return " ".join(why)


def citation_lines(citation: Citation) -> str:
    """A citation to paste: quote, sentence, title, source, date and place; the page adds the link."""
    said = [f"“{citation.quote}”"]
    if citation.sentence_text != citation.quote:
        said.append(f"In: “{' '.join(citation.sentence_text.split())}”")
    place = f"Characters {citation.span.start} to {citation.span.end} of the text with SHA-256 {citation.sha256}"
    return "\n".join([*said, fact_line(citation), place])


def fact_line(found: Citation | Article) -> str:
    """Title, source and date in one line."""
    facts = [title_of(found), found.source, long_date(found.published) if found.published else ""]
    return ", ".join(fact for fact in facts if fact)


def sources_of(passages: Sequence[RetrievedPassage]) -> list[str]:
    """The sources of the passages, each once, to choose one of."""
    return sorted({found.passage.source for found in passages if found.passage.source})


def cited_link(citation: Citation) -> str:
    """The permalink of a quote."""
    return span_link(citation.article_id, citation.span)


def cited_marked_link(citation: Citation) -> str:
    """The same, marked by the server."""
    return marked_link(citation.article_id, citation.span)


def passage_link(passage: StoredPassage) -> str:
    """The permalink of a passage."""
    return span_link(passage.article_id, passage.span)


def quotes(found: RetrievedPassage, citation: Citation) -> bool:
    """Whether the passage holds the quote."""
    return _holds(found, citation.article_id, citation.span)


def _because(lost: Citation, given: Citation, passages: Sequence[RetrievedPassage]) -> str:
    mine, theirs = _best_passage(lost, passages), _best_passage(given, passages)
    if mine is None or theirs is None:
        return f"It stands in {'the same' if lost.article_id == given.article_id else 'another'} article."
    if mine is theirs:
        return "It stands in the same passage; the reader preferred the other words."
    where = "of the same article" if lost.article_id == given.article_id else "of another article"
    scores = f"(retrieval score {mine.retrieval_score:.2f}, against {theirs.retrieval_score:.2f})"
    if mine.retrieval_score < theirs.retrieval_score:
        return f"Its passage, {where}, fits the question less well {scores}."
    return f"Its passage, {where}, fits the question no worse {scores}, but the reader preferred the other words."


def _best_passage(citation: Citation, passages: Sequence[RetrievedPassage]) -> RetrievedPassage | None:
    """The first passage read that holds the quote."""
    return next((found for found in passages if _holds(found, citation.article_id, citation.span)), None)


def _holds(found: RetrievedPassage, article_id: str, span: CharSpan) -> bool:
    passage = found.passage
    return passage.article_id == article_id and passage.span.start <= span.start and span.end <= passage.span.end
