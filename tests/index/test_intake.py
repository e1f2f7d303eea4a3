"""Intake: what it says it did is what the Library holds, and nothing unchanged is embedded again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index.articles import Article, make_article
from index.check import faults
from index.embedder import Embedder
from index.intake import OVERLAP_TOKENS, PASSAGE_TOKENS, Intake, Status, TakenIn, space_of
from index.library import Library
from index.passages import Cl100kCounter, Limit, Splitter
from tests.conftest import IDLIB, SUEZ
from tests.index.parts import all_vectors


class CountingEmbedder(Embedder):
    """The real embedder, which remembers the passages that it was given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bodies: list[str] = []

    def embed_passages(self, titles: Sequence[str], bodies: Sequence[str]) -> NDArray[np.float32]:
        self.bodies += bodies
        return super().embed_passages(titles, bodies)


@pytest.fixture(scope="module")
def loaded(exported: Path) -> CountingEmbedder:
    return CountingEmbedder(exported)


@pytest.fixture
def counting(loaded: CountingEmbedder) -> CountingEmbedder:
    loaded.bodies.clear()
    return loaded


@pytest.fixture
def library(tmp_path: Path, counting: CountingEmbedder) -> Library:
    return Library(tmp_path, create=space_of(counting))


@pytest.fixture
def intake(library: Library, counting: CountingEmbedder) -> Intake:
    return Intake(library, counting)


def statuses(taken_in: Iterator[TakenIn]) -> list[tuple[str, Status]]:
    return [(taken.article_id, taken.status) for taken in taken_in]


def test_a_new_article_is_stored_with_its_passages_and_vectors(
    library: Library, counting: CountingEmbedder, intake: Intake
) -> None:
    text = "".join(f"Sentence {n} says that {n * 37} people came to Ankara. " for n in range(30))
    article = replace(SUEZ, text=text)
    taken = list(intake.take_in([article, IDLIB]))
    limits = [Limit(counter=Cl100kCounter(), max_tokens=PASSAGE_TOKENS), Limit(counter=counting, max_tokens=222)]
    spans = Splitter(limits, overlap_tokens=OVERLAP_TOKENS).split(text)
    assert taken == [
        TakenIn(article_id="suez", status=Status.ADDED, n_passages=len(spans)),
        TakenIn(article_id="idlib", status=Status.ADDED, n_passages=1),
    ]
    assert len(spans) > 1
    assert [passage.span for passage in library.article_passages("suez")] == spans
    assert library.get("suez") == article
    wanted = counting.embed_passages(
        [SUEZ.title] * len(spans) + [IDLIB.title], [*(span.of(text) for span in spans), IDLIB.text]
    )
    assert np.allclose(all_vectors(library)[1], wanted, atol=1e-5)
    assert library.generation == 1


def test_what_is_unchanged_is_neither_embedded_nor_written(
    library: Library, counting: CountingEmbedder, intake: Intake
) -> None:
    list(intake.take_in([SUEZ, IDLIB]))
    before = len(counting.bodies)
    assert list(intake.take_in([IDLIB, SUEZ])) == [
        TakenIn(article_id=name, status=Status.UNCHANGED, n_passages=0) for name in ("idlib", "suez")
    ]
    assert (len(counting.bodies), library.generation) == (before, 1)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SUEZ, text="It is free again."),
        replace(SUEZ, title="Other"),
        replace(SUEZ, published=date(2021, 3, 25)),
        replace(SUEZ, source="Other"),
        replace(SUEZ, url="https://x"),
    ],
    ids=["text", "title", "published", "source", "url"],
)
def test_a_change_of_any_field_replaces_that_article_only(
    library: Library, counting: CountingEmbedder, intake: Intake, changed: Article
) -> None:
    list(intake.take_in([SUEZ, IDLIB]))
    counting.bodies.clear()
    assert statuses(intake.take_in([changed, IDLIB])) == [("idlib", Status.UNCHANGED), ("suez", Status.REPLACED)]
    assert counting.bodies == [changed.text]
    assert (library.get("suez"), library.counts()) == (changed, (2, 2))


def test_two_versions_in_one_go_keep_the_later(library: Library, intake: Intake) -> None:
    later = replace(SUEZ, text="It is free again.")
    assert statuses(intake.take_in([SUEZ, IDLIB, later])) == [
        ("suez", Status.ADDED), ("idlib", Status.ADDED), ("suez", Status.REPLACED),
    ]  # fmt: skip
    assert (library.get("suez"), library.counts()) == (later, (2, 2))


def test_the_same_article_twice_in_one_go_is_embedded_once(
    library: Library, counting: CountingEmbedder, intake: Intake
) -> None:
    assert statuses(intake.take_in([SUEZ, SUEZ])) == [("suez", Status.ADDED), ("suez", Status.UNCHANGED)]
    assert counting.bodies == [SUEZ.text]
    assert library.counts() == (1, 1)


def test_what_is_announced_is_stored_and_little_is_read_ahead(library: Library, counting: CountingEmbedder) -> None:
    intake = Intake(library, counting, passage_tokens=8, overlap_tokens=0)
    read: list[str] = []

    def articles() -> Iterator[Article]:
        for n in range(200):
            read.append(f"a{n}")
            yield make_article(article_id=f"a{n}", text=f"We came home late. That was on day {n}.")

    taken_in = intake.take_in(articles())
    for n, taken in enumerate(taken_in):
        assert library.get(taken.article_id).text.endswith(f"on day {n}.")
        assert len(read) <= n + 128 + 64 + 3, "a batch of 256 passages, what waits, and what is at hand"
        if n == 0:
            assert len(read) < 200
    assert library.counts()[0] == len(read) == 200


def test_a_version_that_is_stored_already_still_replaces_another_that_came_before_it(
    library: Library, intake: Intake
) -> None:
    list(intake.take_in([SUEZ]))
    assert statuses(intake.take_in([replace(SUEZ, text="It is free."), SUEZ])) == [("suez", Status.REPLACED)] * 2
    assert library.get("suez") == SUEZ


def test_stopping_midway_keeps_what_was_announced_and_a_second_run_goes_on(
    library: Library, counting: CountingEmbedder
) -> None:
    intake = Intake(library, counting, passage_tokens=8, overlap_tokens=0)
    articles = [make_article(article_id=f"a{n}", text="We came home late. " * 150 + str(n)) for n in range(4)]
    for taken in intake.take_in(articles):
        if taken.article_id == "a1":
            break
    assert [summary.article_id for summary in library.articles()] == ["a0", "a1"]
    counting.bodies.clear()
    assert [status for _, status in statuses(intake.take_in(articles))] == [
        Status.ADDED, Status.ADDED, Status.UNCHANGED, Status.UNCHANGED,
    ][::-1]  # fmt: skip
    assert len(counting.bodies) == sum(len(library.article_passages(name)) for name in ("a2", "a3"))


def test_an_error_in_what_is_read_is_raised_to_who_asked(library: Library, intake: Intake) -> None:
    def articles() -> Iterator[Article]:
        yield SUEZ
        raise OSError("the disk was taken out")

    with pytest.raises(OSError, match="taken out"):
        list(intake.take_in(articles()))
    assert library.find("suez") is None


def test_difficult_texts_are_taken_in_whole(library: Library, intake: Intake) -> None:
    texts = [
        "x" * 5000,
        "東京で会談した。" * 200,
        "e" + "\u0301" * 3000,
        "👩‍👩‍👧‍👦" * 200,
        "\n\n \n.",
        "[SEP] " * 400,
        "ﷺ" * 900,
    ]
    taken = list(intake.take_in(make_article(article_id=f"a{n}", text=text) for n, text in enumerate(texts)))
    assert [one.status for one in taken] == [Status.ADDED] * len(texts)
    assert [fault for fault in faults(library) if "article" in fault or "passage" in fault] == []


def test_nothing_given_is_nothing_done(library: Library, intake: Intake) -> None:
    assert list(intake.take_in([])) == []
    assert library.generation == 0


def test_passages_without_room_are_refused(library: Library, counting: CountingEmbedder) -> None:
    with pytest.raises(ValueError, match="8 tokens or more"):
        Intake(library, counting, passage_tokens=7)
    with pytest.raises(ValueError, match="overlap of 40"):
        Intake(library, counting, passage_tokens=20)


def test_the_space_is_the_embedders(counting: CountingEmbedder) -> None:
    space = space_of(counting)
    assert (space.embedder_sha256, space.dimension) == (counting.info.weights_sha256, 384)
