"""What predicts a question in a run: the whole pipeline, the reader given the gold passages, or retrieval alone."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from eval.questions import Question
from eval.retrieval_metrics import holds_answer, is_gold
from eval.run_folder import PassageRef, PredictedCandidate, PredictedQuestion, RankedPassage
from index.copies import distinct
from index.errors import CitationError, NotFoundError
from index.library import Library
from index.records import Filters, StoredPassage
from index.retriever import RetrievedPassage, Retriever
from qa.citation import cite
from qa.confidence import ScoredCandidate
from qa.pipeline import Pipeline, Timings

_PASSAGES_AN_ARTICLE = 3
"""How many more passages than articles are retrieved at first where articles are ranked."""


class OracleRetriever:
    """Gives the gold passages of the question that is asked: what the reader can do alone."""

    def __init__(self, library: Library, questions: Iterable[Question]) -> None:
        """Questions are told apart by their text; equal texts share their golds."""
        self._library = library
        self._golds: dict[str, list[Question]] = {}
        for question in questions:
            self._golds.setdefault(question.question.strip(), []).append(question)

    def retrieve(self, question: str, k: int, filters: Filters) -> list[RetrievedPassage]:
        """At most `k` passages of the gold articles that hold a gold text; filters have no say here."""
        del filters
        found = [p for asked in self._golds[question] for p in gold_passages(self._library, asked)]
        unique = {passage.key: passage for passage in found}
        return [RetrievedPassage(passage=passage, retrieval_score=1.0) for passage in unique.values()][:k]


class AnswerPredictor:
    """Answers with the pipeline, and re-reads what it would cite."""

    def __init__(self, pipeline: Pipeline, library: Library, *, k: int) -> None:
        """`k` passages are read for a question."""
        self._pipeline = pipeline
        self._library = library
        self._k = k

    def predict(self, question: Question) -> tuple[PredictedQuestion, Timings]:
        """The candidates with their confidences, and the passages that were read."""
        prediction = self._pipeline.predict(question.question, k=self._k)
        golds = gold_passages(self._library, question)
        best = prediction.candidates[0] if prediction.candidates else None
        predicted = PredictedQuestion(
            question=question,
            candidates=tuple(_candidate(scored) for scored in prediction.candidates),
            no_answer_probability=round(prediction.no_answer_probability, 6),
            passages=tuple(_passage(found, question) for found in prediction.passages),
            gold_grades=(1,) * len(golds),
            gold_passages=tuple(_place(passage) for passage in golds),
            citation_valid=None if best is None else self._can_be_cited(best),
        )
        return predicted, prediction.timings

    def _can_be_cited(self, scored: ScoredCandidate) -> bool:
        found = scored.candidate
        try:
            citation = cite(self._library, found.article_id, found.span, found.text)
            article = self._library.get(citation.article_id)
        except (CitationError, NotFoundError):
            return False
        # Read here as well: the harness must not take the product's word for what it measures.
        return citation.span.of(article.text) == citation.quote == found.text


class RetrievalPredictor:
    """Ranks articles, for datasets that judge articles and hold no answers."""

    def __init__(self, retriever: Retriever, *, k: int) -> None:
        """`k` articles are ranked for a question."""
        self._retriever = retriever
        self._k = k

    def predict(self, question: Question) -> tuple[PredictedQuestion, Timings]:
        """The articles in the order of their best passages; a passage stands for its article."""
        began = time.perf_counter()
        ranked = self._ranked(question.question.strip())
        taken_ms = (time.perf_counter() - began) * 1000
        grades = dict(zip(question.article_ids, question.grades or (1,) * len(question.article_ids), strict=True))
        predicted = PredictedQuestion(
            question=question,
            candidates=(),
            no_answer_probability=1.0,
            passages=tuple(_judged(found, grades) for found in ranked),
            gold_grades=tuple(sorted(grades.values(), reverse=True)),
            gold_passages=(),
            citation_valid=None,
        )
        return predicted, Timings(retrieve_ms=taken_ms, read_ms=0.0)

    def _ranked(self, question: str) -> list[RetrievedPassage]:
        """The first passage of each of `k` articles; more passages are retrieved until there are as many articles."""
        depth = self._k * _PASSAGES_AN_ARTICLE
        while True:
            passages = self._retriever.retrieve(question, depth, Filters())
            articles = _first_of_each_article(passages)[: self._k]
            if len(articles) == self._k or len(passages) < depth:
                return articles
            depth *= 2


def gold_passages(library: Library, question: Question) -> list[StoredPassage]:
    """The passages of the gold articles that hold a gold text; of near-identical ones the first, as in a ranking."""
    stored = (p for article_id in question.article_ids for p in library.article_passages(article_id))
    golds = {passage.key: passage for passage in stored if is_gold(passage, question)}
    kept = distinct([(key, 1.0) for key in golds], library.families(list(golds)))
    return [golds[key] for key, _ in kept]


def _first_of_each_article(passages: Sequence[RetrievedPassage]) -> list[RetrievedPassage]:
    """In order of rank; an article with a copy of a passage comes right after the passage's own."""
    first: dict[str, RetrievedPassage] = {}
    for found in passages:
        for passage in (found.passage, *found.also_in):
            first.setdefault(passage.article_id, replace(found, passage=passage))
    return list(first.values())


def _candidate(scored: ScoredCandidate) -> PredictedCandidate:
    found = scored.candidate
    return PredictedCandidate(
        text=found.text,
        confidence=round(scored.confidence, 6),
        article_id=found.article_id,
        start=found.span.start,
        end=found.span.end,
        margin=round(found.margin, 4),
        log_probability=round(found.log_probability, 4),
        retrieval_score=round(found.retrieval_score, 6),
    )


def _passage(found: RetrievedPassage, question: Question) -> RankedPassage:
    return RankedPassage(
        place=_place(found.passage),
        retrieval_score=round(found.retrieval_score, 6),
        grade=int(any(is_gold(passage, question) for passage in (found.passage, *found.also_in))),
        holds_answer=holds_answer(found.passage.text, question.answers),
    )


def _judged(found: RetrievedPassage, grades: dict[str, int]) -> RankedPassage:
    return RankedPassage(
        place=_place(found.passage),
        retrieval_score=round(found.retrieval_score, 6),
        grade=grades.get(found.passage.article_id, 0),
        holds_answer=False,
    )


def _place(passage: StoredPassage) -> PassageRef:
    return PassageRef(passage.article_id, passage.span.start, passage.span.end)
