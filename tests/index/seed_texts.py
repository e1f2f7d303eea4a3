"""Articles of the seeds, and the pairs among them that were printed twice."""

from functools import cache
from pathlib import Path

from index.articles import Article, read_file
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS
from index.passages import Cl100kCounter, Limit, Splitter
from index.records import NewArticle
from tests.index.parts import unit_vectors

ARTICLES = Path(__file__).parents[2] / "seeds" / "articles"
PRINTED_TWICE = (
    ("good-friday-agreement-1998-04-11", "stormont-accord-syndicated-1998-04-12"),
    ("euro-cash-launch-2002-01-01", "euro-day-syndicated-2002-01-02"),
    ("hong-kong-handover-1997-07-01", "china-regains-hong-kong-1997-07-01"),
    ("south-sudan-independence-2011-07-09", "juba-celebrates-freedom-2011-07-09"),
)


@cache
def seed(article_id: str) -> Article:
    """The article of that id."""
    (article,) = read_file(ARTICLES / f"{article_id}.md")
    assert isinstance(article, Article)
    return article


def new_seed(article_id: str) -> NewArticle:
    """The article of that id in passages as they are taken in, with vectors of no meaning."""
    article = seed(article_id)
    splitter = Splitter([Limit(counter=Cl100kCounter(), max_tokens=PASSAGE_TOKENS)], overlap_tokens=OVERLAP_TOKENS)
    spans = splitter.split(article.text)
    return NewArticle(article=article, spans=spans, vectors=unit_vectors(len(spans), 0))
