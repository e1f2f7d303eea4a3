"""The Library: what is put in comes out, each write is one generation, and a write is whole or absent."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from index.articles import make_article
from index.errors import NotFoundError
from index.library import Library
from index.passages import CharSpan
from index.records import Moment, NewArticle
from tests.index.parts import (
    DIMENSION,
    SPACE,
    all_vectors,
    difficult_texts,
    keys_of,
    new_article,
    new_library,
    unit_vectors,
)


def all_keys(library: Library) -> list[int]:
    return [int(key) for key in library.changes_since(Moment()).added]


def test_an_article_comes_out_as_it_was_put_in(tmp_path: Path) -> None:
    new = new_article(
        "a", "Zoë 東京 👩‍👩‍👧\n\nšŏ.", title="T", source="S", url="https://x/?a=1&b='", published="2020-02-28"
    )
    library = new_library(tmp_path, new)
    assert library.get("a") == library.find("a") == new.article
    assert library.get_stored("a").is_intact
    assert library.counts() == (1, 3)
    passages = library.article_passages("a")
    assert [passage.span for passage in passages] == new.spans
    assert [(passage.article_id, passage.title) for passage in passages] == [("a", "T")] * 3
    assert library.passages([passages[1].key, 999]) == {passages[1].key: passages[1]}
    assert np.array_equal(all_vectors(library)[1], new.vectors)


@settings(max_examples=40)
@given(text=difficult_texts())
def test_passages_are_slices_of_any_text(tmp_path: Path, text: str) -> None:
    article = make_article(article_id="a", text=f"{text}.")
    n = len(article.text)
    spans = [CharSpan(0, n), CharSpan(n // 2, n), CharSpan(n - 1, n)]
    library = new_library(tmp_path)
    library.put([NewArticle(article=article, spans=spans, vectors=unit_vectors(3, 0))])
    assert library.get("a").text == article.text
    assert [passage.text for passage in library.article_passages("a")] == [span.of(article.text) for span in spans]


def test_replacing_gives_new_keys_and_keeps_the_others(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a"), new_article("b"))
    old, kept = keys_of(library, "a"), keys_of(library, "b")
    library.put([new_article("a", "Three.", title="New")])
    assert library.get("a").title == "New"
    assert [passage.text for passage in library.article_passages("a")] == ["Three."]
    assert keys_of(library, "a").isdisjoint(old | kept)
    assert (keys_of(library, "b"), library.counts()) == (kept, (2, 3))


def test_removing_forgets_the_article_and_never_uses_its_keys_again(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a"))
    old = keys_of(library, "a")
    library.remove("a")
    assert (library.find("a"), library.counts(), library.articles()) == (None, (0, 0), [])
    assert library.passages(sorted(old)) == {}
    library.put([new_article("a")])
    assert keys_of(library, "a").isdisjoint(old)


def test_an_unknown_id_is_named_and_changes_nothing(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a"))
    for call in (library.get, library.remove):
        with pytest.raises(NotFoundError, match="'b'"):
            call("b")
    assert (library.generation, library.counts()) == (1, (1, 2))
    assert library.article_passages("b") == []


def test_each_write_is_one_moment_and_changes_since_tells_them_apart(tmp_path: Path) -> None:
    library = new_library(tmp_path)
    moments = [library.moment]
    library.put([new_article("a", seed=1), new_article("b", seed=2)])
    moments.append(library.moment)
    first = keys_of(library, "a")
    library.put([new_article("a", "One.", seed=3)])
    moments.append(library.moment)
    library.remove("b")
    moments.append(library.moment)
    library.put([new_article("c", seed=4)])
    moments.append(library.moment)
    assert [moment.generation for moment in moments] == [0, 1, 2, 3, 4] == [*range(library.generation + 1)]
    assert len({moment.stamp for moment in moments}) == 5
    assert all(library.holds(moment) for moment in moments)
    since_one = library.changes_since(moments[1])
    assert since_one.moment == moments[4]
    assert set(since_one.added.tolist()) == keys_of(library, "a", "c")
    assert first < set(since_one.removed.tolist())
    since_three = library.changes_since(moments[3])
    assert (since_three.removed.tolist(), set(since_three.added.tolist())) == ([], keys_of(library, "c"))
    now = library.changes_since(moments[4])
    assert (now.moment, now.removed.tolist(), now.added.tolist()) == (moments[4], [], [])


def test_vectors_are_those_of_the_keys_that_still_exist(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a", seed=1), new_article("b", seed=2))
    keys, vectors = library.vectors(np.array([4, 1, 99], dtype=np.int64))
    assert keys.tolist() == [1, 4]
    assert np.array_equal(vectors, [unit_vectors(2, 1)[0], unit_vectors(2, 2)[1]])
    keys, vectors = library.vectors(np.array([], dtype=np.int64))
    assert (keys.tolist(), vectors.shape) == ([], (0, DIMENSION))


def test_more_vectors_than_one_statement_takes_are_read(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a", "Line.\n" * 12_001, seed=1))
    keys, vectors = all_vectors(library)
    assert keys.tolist() == list(range(1, 12_002))
    assert np.array_equal(vectors, unit_vectors(12_001, 1))


def test_a_moment_of_another_library_or_of_what_came_after_a_backup_is_not_held(tmp_path: Path) -> None:
    library = new_library(tmp_path / "one", new_article("a"))
    other = new_library(tmp_path / "other", new_article("a"))
    assert not library.holds(other.moment)
    assert not library.holds(Moment(generation=2, stamp=library.moment.stamp))
    assert new_library(tmp_path / "new").moment == Moment()


def test_the_same_id_twice_in_one_batch_keeps_the_later(tmp_path: Path) -> None:
    library = new_library(tmp_path, new_article("a", "Old."), new_article("a", "New."))
    assert (library.get("a").text, library.counts()) == ("New.", (1, 1))
    assert all_keys(library) == sorted(keys_of(library, "a"))


@pytest.mark.parametrize("fault", ["not finite", "too few", "too long"])
def test_a_batch_is_taken_whole_or_not_at_all(tmp_path: Path, fault: str) -> None:
    library = new_library(tmp_path, new_article("kept"))
    vectors = {
        "not finite": np.full((2, DIMENSION), np.nan, dtype=np.float32),
        "too few": unit_vectors(1, 0),
        "too long": unit_vectors(2, 0, DIMENSION + 1),
    }
    bad = replace(new_article("bad"), vectors=vectors[fault])
    with pytest.raises(ValueError, match="bad: vectors must be finite, 2 x 8"):
        library.put([new_article("good"), new_article("kept", "Other."), bad])
    assert (library.generation, [summary.article_id for summary in library.articles()]) == (1, ["kept"])
    assert library.get("kept").text == new_article("kept").article.text
    assert library.changes_since(Moment()).removed.tolist() == []
    library.put([new_article("good")])
    assert library.generation == 2


def test_it_is_there_when_opened_again(tmp_path: Path) -> None:
    new_library(tmp_path, new_article("a"))
    again = Library(tmp_path)
    assert (again.space, again.dimension, again.generation) == (SPACE, DIMENSION, 1)
    assert again.get("a") == new_article("a").article
    assert again.integrity() == []
