"""The JSON documents, the same for HTTP and for `--json`."""

import re
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api.problem_schemas import ProblemDocument
from index.records import Filters, StoredPassage
from index.retriever import RetrievedPassage
from qa.citation import Citation
from qa.pipeline import MAX_QUESTION_CHARS, N_ALTERNATIVES, PASSAGES_READ, Answer, Reply

MAX_PASSAGES = 100
MAX_ALTERNATIVES = 10
MAX_BATCH = 32
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _whole(text: str) -> str:
    """The text, if all of its characters can be written in UTF-8."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("holds half of a surrogate pair: it was damaged before it came here")
    return text


def _day(value: object) -> object:
    """The value, if it is a date as ISO 8601 writes it: a number is not taken for seconds since 1970."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("give a date like 2020-02-28")
    if isinstance(value, bool | int | float):
        raise ValueError('give a date like "2020-02-28"')  # noqa: TRY004 (pydantic catches this kind)
    return value


def _number(value: object) -> object:
    """The value, if it is not of a kind that only looks like a number."""
    if isinstance(value, bool | str):
        raise ValueError("give a number")  # noqa: TRY004 (pydantic catches this kind)
    return value


Text = Annotated[str, AfterValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]
Count = Annotated[int, BeforeValidator(_number)]
Probability = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]


class Document(BaseModel):
    """A document that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid")


class SearchRequest(Document):
    """A question, and which articles to look in."""

    question: Text = Field(
        min_length=1, max_length=MAX_QUESTION_CHARS, examples=["How many Turkish soldiers were killed in Idlib?"]
    )
    k: Count = Field(default=PASSAGES_READ, ge=1, le=MAX_PASSAGES, description="How many passages to retrieve.")
    before: Day | None = Field(default=None, description="Only articles published before this date.")
    after: Day | None = Field(default=None, description="Only articles published on or after this date.")
    source: Text | None = Field(default=None, description="Only articles of this source.")

    @property
    def filters(self) -> Filters:
        """Which articles to look in."""
        return Filters(before=self.before, after=self.after, source=self.source)


class AskRequest(SearchRequest):
    """A question, which articles to look in, and how sure an answer must be."""

    min_confidence: Probability | None = Field(
        default=None, description="Answer only at or above this confidence; by default the fitted threshold."
    )
    precision: Probability | None = Field(
        default=None,
        description="Answer only at or above the confidence whose answers were right this often on held-out questions.",
    )
    alternatives: Count = Field(
        default=N_ALTERNATIVES, ge=0, le=MAX_ALTERNATIVES, description="How many rival answers to give at most."
    )


class BatchRequest(Document):
    """Several questions, each with its own filters and threshold."""

    questions: list[AskRequest] = Field(min_length=1, max_length=MAX_BATCH)


class SentenceDocument(Document):
    """The sentence around a quote: characters `[start, end)` of the article."""

    start: int
    end: int
    text: str


class CitationDocument(Document):
    """Where a quote stands: characters `[start, end)` of the article whose text has this SHA-256."""

    article_id: str = Field(examples=["idlib-airstrike-2020-02-28"])
    title: str
    source: str
    url: str
    published: date | None
    start: int
    end: int
    quote: str = Field(examples=["33"])
    sentence: SentenceDocument
    sha256: str

    @classmethod
    def of(cls, citation: Citation) -> Self:
        """The document of a citation."""
        return cls(
            article_id=citation.article_id,
            title=citation.title,
            source=citation.source,
            url=citation.url,
            published=citation.published,
            start=citation.span.start,
            end=citation.span.end,
            quote=citation.quote,
            sentence=SentenceDocument(
                start=citation.sentence.start, end=citation.sentence.end, text=citation.sentence_text
            ),
            sha256=citation.sha256,
        )


class AnswerDocument(Document):
    """An answer in the article's own words; `confidence` is the probability that it is right."""

    text: str
    confidence: Probability
    citation: CitationDocument
    also_in: list[CitationDocument] = Field(
        default_factory=list, description="The same quote in other articles that print the same passage."
    )

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The document of an answer."""
        return cls(
            text=answer.text,
            confidence=round(answer.confidence, 4),
            citation=CitationDocument.of(answer.citation),
            also_in=[CitationDocument.of(citation) for citation in answer.also_in],
        )


class CopyDocument(Document):
    """A near-identical passage of another article: characters `[start, end)` of it."""

    article_id: str
    title: str
    source: str
    published: date | None
    start: int
    end: int

    @classmethod
    def of(cls, copy: StoredPassage) -> Self:
        """The document of a copy, without its text."""
        return cls(
            article_id=copy.article_id,
            title=copy.title,
            source=copy.source,
            published=copy.published,
            start=copy.span.start,
            end=copy.span.end,
        )


class PassageDocument(Document):
    """A passage that was retrieved; `retrieval_score` in [0, 1], higher is better."""

    article_id: str
    start: int
    end: int
    retrieval_score: float
    also_in: list[CopyDocument] = Field(
        default_factory=list,
        description="Near-identical passages of other articles, the earliest first; they take no place of their own.",
    )

    @classmethod
    def of(cls, found: RetrievedPassage) -> Self:
        """The document of a passage, without its text."""
        span = found.passage.span
        return cls(
            article_id=found.passage.article_id,
            start=span.start,
            end=span.end,
            retrieval_score=round(found.retrieval_score, 4),
            also_in=[CopyDocument.of(copy) for copy in found.also_in],
        )


class FoundPassageDocument(PassageDocument):
    """A passage with its text and the title of its article."""

    title: str
    text: str

    @classmethod
    def of(cls, found: RetrievedPassage) -> Self:
        """The document of a passage."""
        plain = PassageDocument.of(found)
        return cls(**plain.model_dump(), title=found.passage.title, text=found.passage.text)


class AskDocument(Document):
    """What a question gets; `answer` is null where the archive holds none."""

    question: str
    answer: AnswerDocument | None
    no_answer_probability: Probability = Field(description="The probability that none of the candidates is right.")
    min_confidence: Probability = Field(description="The confidence that an answer had to have.")
    alternatives: list[AnswerDocument]
    passages: list[PassageDocument]
    timings_ms: dict[str, float] = Field(examples=[{"retrieve": 4.1, "read": 52.0, "total": 57.3}])

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """The document of a reply."""
        timings = {"retrieve": reply.timings.retrieve_ms, "read": reply.timings.read_ms, "total": reply.total_ms}
        return cls(
            question=reply.question,
            answer=AnswerDocument.of(reply.answer) if reply.answer else None,
            no_answer_probability=round(reply.no_answer_probability, 4),
            min_confidence=reply.min_confidence,
            alternatives=[AnswerDocument.of(rival) for rival in reply.alternatives],
            passages=[PassageDocument.of(found) for found in reply.passages],
            timings_ms={name: round(value, 1) for name, value in timings.items()},
        )


class BatchDocument(Document):
    """What each question of a batch gets, in their order: an answer's document, or a problem."""

    results: list[AskDocument | ProblemDocument]


class SearchDocument(Document):
    """Passages for a question, best first."""

    question: str
    passages: list[FoundPassageDocument]
