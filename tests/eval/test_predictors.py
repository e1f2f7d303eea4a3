from collections.abc import Callable
from dataclasses import replace

import pytest

from api.wiring import Archive
from eval.outcomes import outcomes
from eval.predictors import AnswerPredictor, OracleRetriever, RetrievalPredictor, gold_passages
from eval.questions import Question
from eval.run_folder import PassageRef
from index.articles import make_article
from index.records import Filters
from index.retriever import RetrievedPassage, Retriever
from qa.confidence import load_confidence
from qa.pipeline import Pipeline
from qa.reader import Reader
from tests.conftest import IDLIB, SUEZ, add
from tests.index.parts import damage

SOLDIERS = Question(
    question_id="soldiers",
    question="How many Turkish soldiers were killed in Idlib?",
    answers=("33", "at least 33"),
    article_ids=("idlib",),
)
SHIP = Question(
    question_id="ship",
    question=" Which canal did the Ever Given run aground in?\u2028",
    answers=("Suez Canal", "the Suez Canal"),
    article_ids=("suez",),
)
PERU = Question(question_id="peru", question="What is the capital of Peru?", answers=(), article_ids=())
FILLER = "The weather stayed mild all day, and the harbour was quiet. "
LONG = FILLER * 60 + "The ship Ever Given ran aground in the Suez Canal. " + FILLER * 60


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader(threads=1)


@pytest.fixture
def predict(archive: Archive, reader: Reader) -> Callable[..., AnswerPredictor]:
    """A predictor with the given retriever, or the archive's own."""

    def made(retriever: Retriever | None = None, *, k: int = 10) -> AnswerPredictor:
        pipeline = Pipeline(archive.library, retriever or archive.retriever, reader, load_confidence())
        return AnswerPredictor(pipeline, archive.library, k=k)

    return made


class Meddler:
    """The archive's retriever; once it has retrieved, something happens to the Library."""

    def __init__(self, archive: Archive, happens: Callable[[], object]) -> None:
        self._archive = archive
        self._happens = happens

    def retrieve(self, question: str, k: int, filters: Filters) -> list[RetrievedPassage]:
        found = self._archive.retriever.retrieve(question, k, filters)
        self._happens()
        return found


def test_a_question_is_predicted_as_the_pipeline_does(
    archive: Archive, predict: Callable[..., AnswerPredictor], pipeline: Pipeline
) -> None:
    for question in (SOLDIERS, SHIP, PERU):
        predicted, timings = predict().predict(question)
        expected = pipeline.predict(question.question)
        assert predicted.question == question
        assert [(c.text, c.article_id, c.start, c.end) for c in predicted.candidates] == [
            (s.candidate.text, s.candidate.article_id, s.candidate.span.start, s.candidate.span.end)
            for s in expected.candidates
        ]
        confidences = [c.confidence for c in predicted.candidates]
        assert confidences == pytest.approx([s.confidence for s in expected.candidates], abs=1e-6)
        assert predicted.no_answer_probability == pytest.approx(expected.no_answer_probability, abs=1e-6)
        assert [p.place.article_id for p in predicted.passages] == [r.passage.article_id for r in expected.passages]
        scores = [p.retrieval_score for p in predicted.passages]
        assert scores == pytest.approx([r.retrieval_score for r in expected.passages], abs=1e-6)
        assert predicted.citation_valid is True
        assert timings.retrieve_ms > 0
        assert timings.read_ms > 0
    assert len(archive.library.articles()) == 2


def test_gold_passages_grades_and_held_answers_by_value(predict: Callable[..., AnswerPredictor]) -> None:
    predicted, _ = predict().predict(SOLDIERS)
    whole = PassageRef("idlib", 0, len(IDLIB.text))
    assert (predicted.gold_passages, predicted.gold_grades) == ((whole,), (1,))
    judged = {p.place: (p.grade, p.holds_answer) for p in predicted.passages}
    assert judged == {whole: (1, True), PassageRef("suez", 0, len(SUEZ.text)): (0, False)}

    elsewhere = Question(question_id="e", question=SOLDIERS.question, answers=("33", "400"), article_ids=("idlib",))
    judged_elsewhere = {p.place.article_id: (p.grade, p.holds_answer) for p in predict().predict(elsewhere)[0].passages}
    assert judged_elsewhere == {"idlib": (1, True), "suez": (0, True)}  # a gold text of whatever article

    unknown = Question(question_id="u", question=SOLDIERS.question, answers=("33",), article_ids=())
    without, _ = predict().predict(unknown)
    assert (without.gold_passages, without.gold_grades) == ((), ())
    assert {p.place.article_id: (p.grade, p.holds_answer) for p in without.passages} == {
        "idlib": (0, True),
        "suez": (0, False),
    }
    nothing, _ = predict().predict(PERU)
    assert (nothing.gold_passages, nothing.gold_grades) == ((), ())
    assert {(p.grade, p.holds_answer) for p in nothing.passages} == {(0, False)}


def test_of_a_long_article_only_passages_that_hold_a_gold_text_are_gold(archive: Archive) -> None:
    add(archive, make_article(article_id="suez", text=LONG))
    place = LONG.index("Suez Canal")
    expected = [
        passage.key
        for passage in archive.library.article_passages("suez")
        if passage.span.start <= place and place + len("Suez Canal") <= passage.span.end
    ]
    assert [passage.key for passage in gold_passages(archive.library, SHIP)] == expected
    assert 1 <= len(expected) < len(archive.library.article_passages("suez"))
    lost = Question(question_id="a", question="Where?", answers=("33",), article_ids=("nowhere",))
    assert gold_passages(archive.library, lost) == []


def test_a_gold_passage_is_found_where_its_copy_is(archive: Archive, predict: Callable[..., AnswerPredictor]) -> None:
    """The archive shows one of two near-identical passages; whichever it is, no gold is missed or counted twice."""
    add(archive, make_article(article_id="reprint", title="A reprint", text=SUEZ.text))
    for golds in (("suez",), ("reprint",), ("suez", "reprint"), ("reprint", "suez")):
        question = replace(SHIP, article_ids=golds)
        assert [passage.article_id for passage in gold_passages(archive.library, question)] == [golds[0]]
        predicted, _ = predict().predict(question)
        assert predicted.gold_grades == (1,)
        assert [p.grade for p in predicted.passages] == [1, 0]
        columns = outcomes([predicted], 0.0).columns
        assert columns["recall@5"].tolist() == columns["citation_correct"].tolist() == [1.0]

        judged = replace(JUDGED, article_ids=golds, grades=())
        ranked, _ = RetrievalPredictor(archive.retriever, k=3).predict(judged)
        found = {p.place.article_id: p.grade for p in ranked.passages}
        assert found == {"suez": int("suez" in golds), "reprint": int("reprint" in golds), "idlib": 0}


def test_no_more_than_k_passages_are_read(predict: Callable[..., AnswerPredictor]) -> None:
    assert len(predict(k=10).predict(SOLDIERS)[0].passages) == 2
    (best,) = predict(k=1).predict(SOLDIERS)[0].passages
    assert best.place.article_id == "idlib"


def reworded(archive: Archive) -> None:
    """The article says something else at the same place, and its hash agrees."""
    text = IDLIB.text.replace("33", "44")
    assert len(text) == len(IDLIB.text)
    add(archive, make_article(article_id="idlib", title=IDLIB.title, text=text))


def shifted(archive: Archive) -> None:
    """The article still holds the words, one character further on."""
    add(archive, make_article(article_id="idlib", title=IDLIB.title, text=f"\n{IDLIB.text}"))


def tampered(archive: Archive) -> None:
    """The text was changed behind the Library's back, elsewhere than at the answer: the hash tells."""
    damage(archive.library.folder, "UPDATE articles SET text = text || '!' WHERE article_id = 'idlib'")


def removed(archive: Archive) -> None:
    archive.library.remove("idlib")


@pytest.mark.parametrize("happens", [reworded, shifted, tampered, removed])
def test_a_citation_is_not_valid_if_the_article_changes_between_reading_and_citing(
    archive: Archive, predict: Callable[..., AnswerPredictor], happens: Callable[[Archive], object]
) -> None:
    predicted, _ = predict(Meddler(archive, lambda: happens(archive))).predict(SOLDIERS)
    assert predicted.candidates[0].text in SOLDIERS.answers
    assert predicted.citation_valid is False


def test_a_citation_stays_valid_if_another_article_changes(
    archive: Archive, predict: Callable[..., AnswerPredictor]
) -> None:
    predicted, _ = predict(Meddler(archive, lambda: archive.library.remove("suez"))).predict(SOLDIERS)
    assert predicted.candidates[0].text in SOLDIERS.answers
    assert predicted.citation_valid is True


def test_the_oracle_gives_gold_passages_only(archive: Archive, predict: Callable[..., AnswerPredictor]) -> None:
    add(archive, make_article(article_id="suez", text=LONG))
    oracle = predict(OracleRetriever(archive.library, [SOLDIERS, SHIP, PERU]))
    soldiers, ship, peru = (oracle.predict(question)[0] for question in (SOLDIERS, SHIP, PERU))
    for predicted in (soldiers, ship):
        assert tuple(p.place for p in predicted.passages) == predicted.gold_passages
        assert {(p.grade, p.holds_answer, p.retrieval_score) for p in predicted.passages} == {(1, True, 1.0)}
    assert {c.article_id for c in soldiers.candidates} == {"idlib"}
    assert "Suez" in ship.best_text
    assert (peru.candidates, peru.passages, peru.citation_valid) == ((), (), None)
    assert peru.no_answer_probability == 1.0


def test_equal_questions_share_their_golds_with_the_oracle_once_each_and_up_to_k(archive: Archive) -> None:
    same = Question(
        question_id="b", question=f" {SOLDIERS.question}", answers=("18,300", "33"), article_ids=("suez", "idlib")
    )
    oracle = OracleRetriever(archive.library, [SOLDIERS, same])
    found = oracle.retrieve(SOLDIERS.question, 10, Filters(source="nobody"))
    assert [(r.passage.article_id, r.retrieval_score) for r in found] == [("idlib", 1.0), ("suez", 1.0)]
    assert oracle.retrieve(SOLDIERS.question, 1, Filters()) == found[:1]


JUDGED = Question(
    question_id="r",
    question=" soldiers and a ship in the Suez Canal ",
    answers=(),
    article_ids=("suez", "nowhere", "idlib"),
    grades=(2, 3, 1),
)


def test_articles_are_ranked_once_each_by_their_best_passage(archive: Archive) -> None:
    add(archive, *(make_article(article_id=f"long-{i}", text=f"Port {i}. {LONG}") for i in range(3)))
    best: dict[str, RetrievedPassage] = {}
    for found in archive.retriever.retrieve(JUDGED.question.strip(), 15):
        for passage in (found.passage, *found.also_in):
            known = best.get(passage.article_id)
            if known is None or found.retrieval_score > known.retrieval_score:
                best[passage.article_id] = replace(found, passage=passage)
    expected = sorted(best.values(), key=lambda found: -found.retrieval_score)

    predicted, timings = RetrievalPredictor(archive.retriever, k=5).predict(JUDGED)
    assert [p.place.article_id for p in predicted.passages] == [f.passage.article_id for f in expected]
    assert [p.place.start for p in predicted.passages] == [f.passage.span.start for f in expected]
    scores = [p.retrieval_score for p in predicted.passages]
    assert scores == pytest.approx([f.retrieval_score for f in expected], abs=1e-6)
    assert scores == sorted(scores, reverse=True)
    assert {"suez", "long-0"} <= {p.place.article_id for p in predicted.passages}
    assert (timings.retrieve_ms > 0, timings.read_ms) == (True, 0.0)


def test_ranked_articles_have_the_grades_of_the_dataset(archive: Archive) -> None:
    predicted, _ = RetrievalPredictor(archive.retriever, k=5).predict(JUDGED)
    assert {p.place.article_id: (p.grade, p.holds_answer) for p in predicted.passages} == {
        "suez": (2, False),
        "idlib": (1, False),
    }
    assert predicted.gold_grades == (3, 2, 1)  # what the archive lacks is relevant all the same
    assert (predicted.candidates, predicted.citation_valid, predicted.gold_passages) == ((), None, ())
    assert (predicted.no_answer_probability, predicted.question) == (1.0, JUDGED)

    ungraded = Question(question_id="u", question="Suez", answers=(), article_ids=("suez",))
    predicted, _ = RetrievalPredictor(archive.retriever, k=5).predict(ungraded)
    assert {p.place.article_id: p.grade for p in predicted.passages} == {"suez": 1, "idlib": 0}
    assert predicted.gold_grades == (1,)


def test_no_more_than_k_articles_are_ranked(archive: Archive) -> None:
    (first,) = RetrievalPredictor(archive.retriever, k=1).predict(JUDGED)[0].passages
    both = RetrievalPredictor(archive.retriever, k=2).predict(JUDGED)[0].passages
    assert both[0].place == first.place
    assert len(both) == 2
