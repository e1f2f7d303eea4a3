"""Retrieval: filters act inside the search, copies take one place, what the Library no longer holds is not returned."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import tantivy

from api.settings import Settings
from api.wiring import Archive, open_archive
from index.articles import make_article
from index.fusion import normalised, weight
from index.overlap import QuestionWords
from index.records import Filters
from index.retriever import DEPTH, N_WEIGHED, HybridRetriever, RetrievedPassage
from tests.conftest import IDLIB, SUEZ, add
from tests.index.parts import all_vectors


def ids(found: list[RetrievedPassage]) -> list[str]:
    return [result.passage.article_id for result in found]


@pytest.mark.parametrize(
    ("question", "article_id"),
    [
        ("How many soldiers were killed in Idlib?", "idlib"),
        ("Where did Erdogan call a meeting?", "idlib"),
        ("Which vessel blocked the waterway?", "suez"),
        ("How long is the Ever Given?", "suez"),
    ],
)
def test_the_passage_that_tells_is_first(archive: Archive, question: str, article_id: str) -> None:
    best = archive.retriever.retrieve(question, 1)[0]
    article = archive.library.get(article_id)
    assert best.passage.article_id == article_id
    assert best.passage.text == best.passage.span.of(article.text)
    assert best.passage.title == article.title


def by_hand(archive: Archive, question: str, dense_weight: float) -> dict[int, float]:
    """The retrieval score of every passage of the Library."""
    keys, vectors = all_vectors(archive.library)
    cosines = (vectors @ archive.embedder.embed_question(question)).tolist()
    words = QuestionWords(question, archive.derived.lexical.rarity)
    stored = archive.library.passages(keys.tolist())
    overlaps = [words.overlap(stored[key].heading, stored[key].text).score for key in keys.tolist()]
    weights = [weight(*pair, dense_weight) for pair in zip(cosines, overlaps, strict=True)]
    return normalised(dict(zip(keys.tolist(), weights, strict=True)))


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_scores_are_those_of_meaning_and_words(archive: Archive, weight: float) -> None:
    add(archive, *(make_article(article_id=f"n{n}", text=f"Note {n}: the canal, " * (n + 1)) for n in range(4)))
    question = "Which ship blocked the canal on Tuesday?"
    retriever = HybridRetriever(archive.library, archive.derived, archive.embedder, dense_weight=weight)
    found = retriever.retrieve(question, 10)
    wanted = by_hand(archive, question, weight)
    assert {result.passage.key: result.retrieval_score for result in found} == pytest.approx(wanted, abs=1e-5)
    scores = [result.retrieval_score for result in found]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[-1]) == (1.0, 0.0)


def test_the_shipped_weight_is_half_and_half(archive: Archive) -> None:
    found = archive.retriever.retrieve("canal", 10)
    assert {result.passage.key: result.retrieval_score for result in found} == pytest.approx(
        by_hand(archive, "canal", 0.5), abs=1e-5
    )


def test_the_passage_with_the_words_side_by_side_is_first(archive: Archive) -> None:
    apart = "The red flag of the ship flew over the harbour while a cross was painted on a wall in the old town."
    beside = "The flag of the harbour flew over the ship while the Red Cross was called to a wall in the old town."
    add(archive, make_article(article_id="apart", text=apart), make_article(article_id="beside", text=beside))
    assert ids(archive.retriever.retrieve("Red Cross", 2)) == ["beside", "apart"]


@pytest.mark.parametrize("year", [2018, 2019, 2021])
def test_of_passages_alike_the_one_of_the_time_asked_about_is_first(archive: Archive, year: int) -> None:
    said = {2018: "called it a good day", 2019: "was not in the hall", 2021: "spoke of a long night"}
    add(
        archive,
        *(
            make_article(
                article_id=str(one), title="Budget passed", published=f"{one}-11-30", text=f"The speaker {words}."
            )
            for one, words in said.items()
        ),
    )
    assert ids(archive.retriever.retrieve(f"What did the speaker do when the budget of {year} was passed?", 1)) == [
        str(year)
    ]


def test_near_identical_passages_take_one_place_and_are_named(archive: Archive) -> None:
    text = "The tanker Solitaire sank off Genoa on Monday after a fire in the engine room, the coast guard said."
    copies = [make_article(article_id=f"c{n}", source=f"S{n % 2}", text=text) for n in range(DEPTH + 20)]
    others = [make_article(article_id=f"o{n}", text=f"Bread costs {n} euros in Genoa.") for n in range(5)]
    add(archive, *copies, *others)
    question = "Where did the tanker Solitaire sink?"
    found = archive.retriever.retrieve(question, 8)
    assert len(found) == 8, "k asked is k given, though copies fill both rankings"
    assert [result.passage.text for result in found].count(text) == 1
    assert found[0].passage.text == text
    assert {passage.text for passage in found[0].also_in} == {text}
    assert found[0].passage.article_id not in {passage.article_id for passage in found[0].also_in}
    assert all(result.also_in == () for result in found[1:])
    (alone,) = [r for r in archive.retriever.retrieve(question, 3, Filters(source="S1")) if r.passage.text == text]
    assert {passage.source for passage in (alone.passage, *alone.also_in)} == {"S1"}


def test_a_longer_ranking_begins_like_a_shorter_one(archive: Archive) -> None:
    add(archive, *(make_article(article_id=f"n{n}", text=f"Note {n} on ship {n * 7}.") for n in range(2 * N_WEIGHED)))
    long = archive.retriever.retrieve("Which ship is in note 12?", N_WEIGHED)
    assert archive.retriever.retrieve("Which ship is in note 12?", 7) == long[:7]


def test_k_asked_is_k_given_within_a_filter_that_little_passes(settings: Settings) -> None:
    archive = open_archive(settings, create=True)
    decoys = [
        make_article(article_id=f"a{n}", source="A", text=f"The ship blocked the Suez canal, report {n}.")
        for n in range(DEPTH + 10)
    ]
    wanted = [
        make_article(article_id=f"b{n}", source="B", published=f"2020-01-0{n + 1}", text=f"Bread costs {n} euros.")
        for n in range(5)
    ]
    add(archive, *decoys, *wanted)
    question = "Which ship blocked the Suez canal?"
    assert set(ids(archive.retriever.retrieve(question, 5))) <= {article.article_id for article in decoys}
    assert sorted(ids(archive.retriever.retrieve(question, 5, Filters(source="B")))) == [f"b{n}" for n in range(5)]
    assert sorted(ids(archive.retriever.retrieve(question, 2, Filters(after=date(2020, 1, 4))))) == ["b3", "b4"]
    assert archive.retriever.retrieve(question, 5, Filters(source="C")) == []
    assert len(archive.retriever.retrieve(question, DEPTH + 8)) == DEPTH + 8
    assert len(archive.retriever.retrieve(question, 1000)) == len(decoys) + len(wanted)
    assert archive.retriever.retrieve(question, 0) == []


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(before=date(2021, 1, 1)), {"idlib"}),
        (Filters(after=date(2021, 1, 1)), {"suez"}),
        (Filters(source="The Test"), {"idlib", "suez"}),
        (Filters(source="Other"), set()),
    ],
)
def test_filters_hold_for_every_result(archive: Archive, filters: Filters, wanted: set[str]) -> None:
    assert set(ids(archive.retriever.retrieve("soldiers and ships", 10, filters))) == wanted


def test_a_removed_article_is_not_returned_even_by_an_index_that_is_behind(archive: Archive) -> None:
    key = archive.library.article_passages("suez")[0].key
    writer = tantivy.Index.open(str(archive.library.folder / "lexical")).writer(heap_size=32_000_000, num_threads=1)
    archive.library.remove("suez")
    assert ids(archive.retriever.retrieve("Suez Canal container ship", 5)) == ["idlib"]
    assert key in [found for found, _ in archive.derived.lexical.search("Suez", 5)], "the index was to be behind"
    writer.rollback()


def test_a_replaced_article_is_found_by_its_new_words_at_once(archive: Archive) -> None:
    list(archive.intake().take_in([replace(SUEZ, text="The tanker Solitaire sank off Genoa.")]))
    found = archive.retriever.retrieve("tanker Solitaire", 5)
    assert found[0].passage.text == "The tanker Solitaire sank off Genoa."
    assert sorted(ids(found)) == ["idlib", "suez"]


def test_an_empty_library_has_no_results(settings: Settings) -> None:
    assert open_archive(settings, create=True).retriever.retrieve("Who?", 5) == []


@pytest.mark.parametrize("question", ["", "?!", "東京 👩‍👩‍👧", "a " * 3000, 'title:( +- [x TO y] ^~*\\ " AND'])
def test_any_question_has_results_by_nearness_alone(archive: Archive, question: str) -> None:
    found = archive.retriever.retrieve(question, 10)
    assert sorted(ids(found)) == ["idlib", "suez"]
    assert np.isfinite([result.retrieval_score for result in found]).all()


def test_the_same_question_gives_the_same_results(archive: Archive) -> None:
    assert IDLIB.article_id in ids(archive.retriever.retrieve("Idlib", 5))
    assert archive.retriever.retrieve("Idlib", 5) == archive.retriever.retrieve("Idlib", 5)
