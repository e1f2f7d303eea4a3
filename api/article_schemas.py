"""The JSON documents of articles, the same for HTTP and for `--json`."""

from datetime import date
from typing import Self

from pydantic import Field

from api.problem_schemas import ProblemDocument
from api.schemas import Day, Document
from index.articles import Article, make_article
from index.intake import Status, TakenIn
from index.records import ArticleSummary


class ArticleFields(Document):
    """An article as it is put in; its id is in the address."""

    text: str = Field(min_length=1, examples=["At least 33 soldiers were killed in an air strike on Thursday."])
    title: str = ""
    source: str = ""
    url: str = ""
    published: Day | None = None

    def article(self, article_id: str) -> Article:
        """The article, normalised and checked.

        Raises:
            ArticleError: it cannot be taken in.
        """
        return make_article(
            article_id=article_id, text=self.text, title=self.title, source=self.source, url=self.url,
            published=self.published,
        )  # fmt: skip


class RecordFields(ArticleFields):
    """A line of many articles: the fields of an article, and its id."""

    id: str = Field(min_length=1, examples=["idlib-2020-02-28"])


class ArticleDocument(ArticleFields):
    """An article as it is stored: `text` is normalised, and what every offset counts in."""

    article_id: str
    sha256: str

    @classmethod
    def of(cls, article: Article) -> Self:
        """The document of an article."""
        return cls(
            article_id=article.article_id,
            text=article.text,
            title=article.title,
            source=article.source,
            url=article.url,
            published=article.published,
            sha256=article.sha256,
        )


class SummaryDocument(Document):
    """A line of the list of articles."""

    article_id: str
    title: str
    source: str
    url: str
    published: date | None
    n_chars: int
    n_passages: int

    @classmethod
    def of(cls, summary: ArticleSummary) -> Self:
        """The document of a summary."""
        return cls(
            article_id=summary.article_id,
            title=summary.title,
            source=summary.source,
            url=summary.url,
            published=summary.published,
            n_chars=summary.n_chars,
            n_passages=summary.n_passages,
        )


class ArticlesDocument(Document):
    """A page of the list of articles, newest first; `total` counts all that pass the filters."""

    total: int
    articles: list[SummaryDocument]
    next_cursor: str | None = Field(
        default=None, description="Give it as `cursor` for the next page; null on the last."
    )


class StoredDocument(Document):
    """What putting an article in did."""

    article_id: str
    status: Status
    n_passages: int

    @classmethod
    def of(cls, taken: TakenIn) -> Self:
        """The document of an article that was taken in."""
        return cls(article_id=taken.article_id, status=taken.status, n_passages=taken.n_passages)


class LineDocument(Document):
    """What became of one line of many articles: it is stored, or the problem that kept it out."""

    line: int = Field(ge=1, description="Its number, from 1.")
    stored: StoredDocument | None = None
    problem: ProblemDocument | None = None
