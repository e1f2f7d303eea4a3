import dataclasses
import sqlite3
from contextlib import closing
from datetime import date

import pytest

from api.settings import Settings
from api.wiring import Archive, open_archive, open_pipeline
from index.articles import Article, make_article
from index.database import FILE_NAME
from index.errors import CitationError, QuestionError
from index.library import Library
from index.passages import CharSpan
from index.records import Filters
from qa.candidates import Candidate
from qa.confidence import Confidence, ScoredCandidate, Threshold, load_confidence
from qa.pipeline import (
    MAX_QUESTION_CHARS,
    N_ALTERNATIVES,
    Answer,
    Pipeline,
    Prediction,
    Reply,
    Timings,
    checked_question,
    decide,
)
from qa.reader import Reader
from qa.windows import MAX_QUESTION_TOKENS
from tests.conftest import IDLIB, SUEZ

SOLDIERS = "How many Turkish soldiers were killed in Idlib?"
SHIP = "Which canal did the Ever Given run aground in?"


def take_in(archive: Archive, article: Article) -> None:
    """Only the Library is written: whatever is asked next has to see it."""
    list(archive.intake().take_in([article]))


def answers(reply: Reply) -> list[Answer]:
    return [*([reply.answer] if reply.answer else []), *reply.alternatives]


def check_cited(reply: Reply, library: Library) -> None:
    for answer in answers(reply):
        cited = answer.citation
        article = library.get(cited.article_id)
        assert answer.text == cited.quote == article.text[cited.span.start : cited.span.end]
        assert cited.sentence.start <= cited.span.start < cited.span.end <= cited.sentence.end
        assert cited.sentence_text == cited.sentence.of(article.text)
        assert (cited.sha256, cited.title, cited.published) == (article.sha256, article.title, article.published)


def prediction(*confidences: float) -> Prediction:
    found = [
        Candidate(
            article_id="one",
            span=CharSpan(0, 1),
            text=str(i),
            margin=0.0,
            log_probability=0.0,
            retrieval_score=0.0,
            others_margin=0.0,
            others_retrieval_score=0.0,
        )
        for i in range(len(confidences))
    ]
    scored = [ScoredCandidate(candidate=c, confidence=p) for c, p in zip(found, confidences, strict=True)]
    timings = Timings(retrieve_ms=0.0, read_ms=0.0)
    return Prediction(question="?", candidates=scored, no_answer_probability=0.0, passages=[], timings=timings)


@pytest.mark.parametrize(("threshold", "answered"), [(0.0, True), (0.6, True), (0.60001, False), (1.0, False)])
def test_decide_takes_the_best_candidate_from_the_threshold_on(threshold: float, answered: bool) -> None:  # noqa: FBT001
    made = prediction(0.6, 0.3)
    assert decide(made, threshold) is (made.candidates[0] if answered else None)


def test_decide_has_nothing_to_choose_from_nothing() -> None:
    assert decide(prediction(), 0.0) is None


def test_predict_applies_no_threshold(archive: Archive, pipeline: Pipeline) -> None:
    strict = dataclasses.replace(load_confidence(), min_confidence=1.0)
    lax = dataclasses.replace(strict, min_confidence=0.0)
    predicted = [
        Pipeline(archive.library, archive.retriever, Reader(threads=1), numbers).predict(SOLDIERS)
        for numbers in (strict, lax)
    ]
    assert predicted[0].candidates == predicted[1].candidates == pipeline.predict(SOLDIERS).candidates
    assert predicted[0].candidates[0].candidate.text in {"33", "at least 33", "33 Turkish soldiers"}
    total = sum(scored.confidence for scored in predicted[0].candidates) + predicted[0].no_answer_probability
    assert total == pytest.approx(1)


def test_every_answer_is_cited_exactly(archive: Archive, pipeline: Pipeline) -> None:
    for question in (SOLDIERS, SHIP, "Who called a meeting?", "What is the capital of Peru?"):
        reply = pipeline.ask(question, min_confidence=0.0)
        n_candidates = len(pipeline.predict(question).candidates)
        assert reply.answer is not None
        assert len(reply.alternatives) == min(n_candidates - 1, N_ALTERNATIVES) > 0
        confidences = [answer.confidence for answer in answers(reply)]
        assert confidences == sorted(confidences, reverse=True)
        assert sum(confidences) + reply.no_answer_probability <= 1 + 1e-9
        check_cited(reply, archive.library)


def test_an_answer_below_the_threshold_is_only_an_alternative(archive: Archive, pipeline: Pipeline) -> None:
    given, withheld = (pipeline.ask(SHIP, min_confidence=threshold) for threshold in (0.0, 1.01))
    assert given.answer is not None
    assert "Suez" in given.answer.text
    assert withheld.answer is None
    assert withheld.alternatives[0] == given.answer
    assert withheld.alternatives[1:] == given.alternatives[: N_ALTERNATIVES - 1]
    assert withheld.no_answer_probability == given.no_answer_probability
    check_cited(withheld, archive.library)


def test_ask_takes_the_fitted_threshold_where_none_is_given(archive: Archive) -> None:
    never = dataclasses.replace(load_confidence(), min_confidence=1.01)
    cautious = Pipeline(archive.library, archive.retriever, Reader(threads=1), never)
    assert cautious.min_confidence == 1.01
    assert cautious.ask(SHIP).answer is None
    assert cautious.ask(SHIP, min_confidence=0.0).answer is not None


def thresholds(*pairs: tuple[float, float], min_confidence: float = 0.25) -> Confidence:
    """The shipped numbers with other thresholds: (precision, confidence)."""
    made = tuple(Threshold(precision=precision, min_confidence=confidence) for precision, confidence in pairs)
    return dataclasses.replace(load_confidence(), min_confidence=min_confidence, thresholds=made)


def test_the_threshold_is_what_is_asked_for_or_the_fitted_one(archive: Archive) -> None:
    numbers = thresholds((0.8, 0.4), (0.9, 0.7))
    pipeline = Pipeline(archive.library, archive.retriever, Reader(threads=1), numbers)
    assert pipeline.threshold() == 0.25
    assert pipeline.threshold(min_confidence=0.0) == 0.0  # not the fitted one
    assert pipeline.threshold(min_confidence=0.6) == 0.6
    assert pipeline.threshold(precision=0.0) == pipeline.threshold(precision=0.8) == 0.4
    assert pipeline.threshold(precision=0.81) == 0.7
    for given in (0.0, 0.5):
        with pytest.raises(QuestionError, match="a precision or for a min_confidence, not for both"):
            pipeline.threshold(min_confidence=given, precision=given)
    with pytest.raises(QuestionError, match=r"a precision of 0\.91 .*: 0\.9 is the highest"):
        pipeline.threshold(precision=0.91)


def test_a_precision_decides_by_its_threshold_and_the_reply_says_which(archive: Archive, pipeline: Pipeline) -> None:
    sure = pipeline.predict(SHIP).candidates[0].confidence
    numbers = thresholds((0.8, sure), (0.9, sure + 1e-6), min_confidence=0.0)
    exact = Pipeline(archive.library, archive.retriever, Reader(threads=1), numbers)
    given, withheld, usual = (exact.ask(SHIP, precision=precision) for precision in (0.75, 0.85, None))
    assert given.answer is not None
    assert given.answer == usual.answer == withheld.alternatives[0]
    assert withheld.answer is None
    assert (given.min_confidence, withheld.min_confidence, usual.min_confidence) == (sure, sure + 1e-6, 0.0)
    assert exact.ask(SHIP, min_confidence=0.125).min_confidence == 0.125


def test_ask_refuses_a_precision_that_is_not_known(pipeline: Pipeline) -> None:
    with pytest.raises(QuestionError, match="is the highest"):
        pipeline.ask(SHIP, precision=1.0)
    with pytest.raises(QuestionError, match="not for both"):
        pipeline.ask(SHIP, precision=0.8, min_confidence=0.8)


def test_an_article_is_seen_as_soon_as_it_is_added(archive: Archive, pipeline: Pipeline) -> None:
    question = "When did the volcano Eyjafjallajökull erupt?"
    assert {found.passage.article_id for found in pipeline.ask(question).passages} == {"idlib", "suez"}
    take_in(archive, make_article(article_id="ash", text="The volcano Eyjafjallajökull erupted on 14 April 2010."))
    reply = pipeline.ask(question, min_confidence=0.0)
    assert reply.passages[0].passage.article_id == "ash"
    assert reply.answer is not None
    assert "2010" in reply.answer.text
    check_cited(reply, archive.library)


def test_a_replaced_article_is_quoted_as_it_is_now(archive: Archive, pipeline: Pipeline) -> None:
    before = pipeline.ask(SOLDIERS, min_confidence=0.0)
    assert before.answer is not None
    assert "33" in before.answer.text
    take_in(archive, make_article(article_id="idlib", text="Correction. " + IDLIB.text.replace("33", "34")))
    reply = pipeline.ask(SOLDIERS, min_confidence=0.0)
    assert reply.answer is not None
    assert "34" in reply.answer.text
    assert not any("33" in found.passage.text for found in reply.passages)
    check_cited(reply, archive.library)


def test_a_removed_article_is_quoted_no_more(archive: Archive, pipeline: Pipeline) -> None:
    archive.library.remove("idlib")
    reply = pipeline.ask(SOLDIERS, min_confidence=0.0)
    assert {found.passage.article_id for found in reply.passages} == {"suez"}
    assert {answer.citation.article_id for answer in answers(reply)} == {"suez"}


def test_filters_and_k_bound_what_is_read(pipeline: Pipeline) -> None:
    reply = pipeline.ask(SOLDIERS, filters=Filters(after=date(2021, 1, 1)), min_confidence=0.0)
    assert {found.passage.article_id for found in reply.passages} == {"suez"}
    assert {answer.citation.article_id for answer in answers(reply)} == {"suez"}
    assert [found.passage.article_id for found in pipeline.predict(SOLDIERS, k=1).passages] == ["idlib"]


def test_an_archive_without_articles_has_no_answer(settings: Settings) -> None:
    archive = open_archive(settings, create=True)
    reply = open_pipeline(archive, settings).ask(SOLDIERS, min_confidence=0.0)
    assert (reply.answer, reply.alternatives, reply.passages) == (None, [], [])
    assert reply.no_answer_probability == 1.0
    assert reply.min_confidence == 0.0


def test_an_altered_article_is_refused_not_quoted(archive: Archive, pipeline: Pipeline) -> None:
    with closing(sqlite3.connect(archive.library.folder / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE articles SET text = replace(text, '33', '99')")
    with pytest.raises(CitationError, match="'idlib' is not as it was stored"):
        pipeline.ask(SOLDIERS, min_confidence=0.0)
    assert pipeline.ask(SHIP, k=1, min_confidence=0.0).answer is not None


@pytest.mark.parametrize("question", ["", "  \n", "?!", "…", "\u200b"])
def test_an_empty_question_is_refused(question: str) -> None:
    with pytest.raises(QuestionError, match="empty"):
        checked_question(question)


def test_a_question_is_refused_from_the_first_character_too_many() -> None:
    longest = "why " * (MAX_QUESTION_CHARS // 4 - 1) + "why?"
    assert len(longest) == MAX_QUESTION_CHARS
    assert checked_question(f"  {longest}\n") == longest
    with pytest.raises(QuestionError, match=rf"{MAX_QUESTION_CHARS + 1} characters; at most {MAX_QUESTION_CHARS}"):
        checked_question(longest + "?")


def test_ask_and_predict_refuse_what_is_no_question(pipeline: Pipeline) -> None:
    for question in ("?", "why? " * MAX_QUESTION_CHARS, "why " * (MAX_QUESTION_TOKENS + 1)):
        with pytest.raises(QuestionError):
            pipeline.ask(question)
        with pytest.raises(QuestionError):
            pipeline.predict(question)


def test_any_question_in_words_can_be_asked(archive: Archive, pipeline: Pipeline) -> None:
    longest = "why " * (MAX_QUESTION_TOKENS - 1) + "why"
    hard = ['"AND (title:*) OR -x ^2 ~', "東京で何が起きたか", "ما هي قناة السويس؟", "a", "\ufffd 👍🏽 33", longest]
    for question in hard:
        check_cited(pipeline.ask(question, min_confidence=0.0), archive.library)


def test_a_question_with_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(QuestionError, match="surrogate"):
        checked_question("Who is \ud800?")


def test_timings_are_parts_of_the_whole(pipeline: Pipeline) -> None:
    reply = pipeline.ask(f"  {SHIP} ")
    assert reply.question == SHIP
    assert 0 < reply.timings.retrieve_ms + reply.timings.read_ms <= reply.total_ms
    assert SUEZ.article_id == reply.passages[0].passage.article_id
