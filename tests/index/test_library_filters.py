"""The list of articles in its order, and which passages each filter lets through."""

from datetime import date
from pathlib import Path

import pytest

from index.records import Filters, ListPlace
from tests.index.parts import keys_of, new_article, new_library


def test_the_list_is_newest_first_then_by_id_with_undated_last(tmp_path: Path) -> None:
    dates = {"d": None, "b": "2020-01-01", "a": "2020-01-01", "c": "2021-01-01", "e": "0999-12-31"}
    library = new_library(tmp_path, *(new_article(name, published=day) for name, day in dates.items()))
    assert [summary.article_id for summary in library.articles()] == ["c", "a", "b", "e", "d"]
    after_c = ListPlace(published=date(2021, 1, 1), article_id="c")
    assert [summary.article_id for summary in library.articles(limit=2, after=after_c)] == ["a", "b"]
    gone = ListPlace(published=date(2020, 1, 1), article_id="aa")
    assert [summary.article_id for summary in library.articles(after=gone)] == ["b", "e", "d"]
    assert library.articles(after=ListPlace(published=None, article_id="d")) == []
    newest = library.articles(limit=1)[0]
    n_chars = len(new_article("c").article.text)
    assert (newest.published, newest.n_chars, newest.n_passages) == (date(2021, 1, 1), n_chars, 2)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(before=date(2020, 2, 28)), "a"),
        (Filters(before=date(2020, 2, 29)), "ab"),
        (Filters(after=date(2020, 2, 28)), "bc"),
        (Filters(after=date(2020, 2, 29)), "c"),
        (Filters(after=date(2020, 2, 28), before=date(2020, 3, 1)), "b"),
        (Filters(source="AP"), "ad"),
        (Filters(source="ap"), ""),
        (Filters(source="AP", after=date(2000, 1, 1)), "a"),
        (Filters(source="' OR 1=1 --"), ""),
    ],
)
def test_filters_let_through_these_articles(tmp_path: Path, filters: Filters, wanted: str) -> None:
    days = {"a": "2020-02-27", "b": "2020-02-28", "c": "2020-03-01", "d": None}
    sources = {"a": "AP", "b": "BBC", "c": "", "d": "AP"}
    library = new_library(tmp_path, *(new_article(n, source=sources[n], published=days[n]) for n in days))
    assert sorted(summary.article_id for summary in library.articles(filters=filters)) == sorted(wanted)
    assert library.count_articles(filters) == len(wanted)
    allowed = library.allowed(filters)
    assert set(allowed.tolist()) == keys_of(library, *wanted)
    assert set(library.allowed(Filters()).tolist()) == keys_of(library, *days)
