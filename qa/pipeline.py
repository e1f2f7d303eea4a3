"""The way from a question to a cited answer, or to none."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from index.errors import CitationError, QuestionError
from index.library import Library
from index.records import Filters
from index.retriever import RetrievedPassage, Retriever
from qa.candidates import candidates
from qa.citation import Citation, cite, cite_copies
from qa.confidence import Confidence, ScoredCandidate
from qa.reader import Reader
from qa.windows import passage_text

MAX_QUESTION_CHARS = 1000
PASSAGES_READ = 10
N_ALTERNATIVES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds by stage."""

    retrieve_ms: float
    read_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """All that is needed to decide, and to score again under another threshold: nothing here depends on one.

    `candidates` are best first; their confidences and `no_answer_probability` sum to 1.
    """

    question: str
    candidates: Sequence[ScoredCandidate]
    no_answer_probability: float
    passages: Sequence[RetrievedPassage]
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A quoted and cited answer; `confidence` in [0, 1] is the probability that it is right.

    `also_in` cites the same quote in other articles that print the same passage.
    """

    text: str
    confidence: float
    citation: Citation
    also_in: Sequence[Citation] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a question gets: an answer or None, its rivals, and what was read. Every rival is cited as well.

    `min_confidence` is the threshold that decided.
    """

    question: str
    answer: Answer | None
    alternatives: Sequence[Answer]
    no_answer_probability: float
    min_confidence: float
    passages: Sequence[RetrievedPassage]
    timings: Timings
    total_ms: float


def decide(prediction: Prediction, min_confidence: float) -> ScoredCandidate | None:
    """The best candidate, or None if its confidence is below the threshold. Pure: no model, no Library."""
    if not prediction.candidates or not prediction.candidates[0].confidence >= min_confidence:
        return None
    return prediction.candidates[0]


def checked_question(question: str) -> str:
    """The question without surrounding blanks, fit to be searched for; `Pipeline.checked` is stricter.

    Raises:
        QuestionError: it is empty, damaged or has more than `MAX_QUESTION_CHARS` characters.
    """
    question = question.strip()
    if not any(char.isalnum() for char in question):
        raise QuestionError("the question is empty: ask in words")
    if len(question) > MAX_QUESTION_CHARS:
        raise QuestionError(f"the question has {len(question)} characters; at most {MAX_QUESTION_CHARS} are read")
    if any("\ud800" <= char <= "\udfff" for char in question):
        raise QuestionError("the question holds half of a surrogate pair: it was damaged before it came here")
    return question


class Pipeline:
    """Retriever, reader and confidence, over one Library."""

    def __init__(self, library: Library, retriever: Retriever, reader: Reader, confidence: Confidence) -> None:
        """The parts, ready to use."""
        self._library = library
        self._retriever = retriever
        self._reader = reader
        self._confidence = confidence

    @property
    def min_confidence(self) -> float:
        """The threshold that was fitted together with the confidence."""
        return self._confidence.min_confidence

    def warm_up(self) -> None:
        """Ask once for nothing: the first question of a process is slower, indexes are opened and buffers made."""
        self.predict("What happened?")

    def threshold(self, min_confidence: float | None = None, precision: float | None = None) -> float:
        """The confidence that an answer must have: as asked, or that kept the precision asked for, or the fitted one.

        Raises:
            QuestionError: both are asked for, or no threshold is known to keep the precision.
        """
        if precision is not None and min_confidence is not None:
            raise QuestionError("ask for a precision or for a min_confidence, not for both")
        if precision is not None:
            return self._confidence.threshold_for(precision)
        return self._confidence.min_confidence if min_confidence is None else min_confidence

    def checked(self, question: str) -> str:
        """The question as it is asked, without surrounding blanks.

        Raises:
            QuestionError: it is empty, or too long to be read to its end.
        """
        question = checked_question(question)
        self._reader.check(question)
        return question

    def predict(self, question: str, *, k: int = PASSAGES_READ, filters: Filters = Filters()) -> Prediction:  # noqa: B008 (frozen)
        """Retrieve and read `k` passages, and score what they offer. No threshold is applied.

        Raises:
            QuestionError: the question is empty or too long.
        """
        question = self.checked(question)
        began = time.perf_counter()
        passages = self._retriever.retrieve(question, k, filters)
        retrieved = time.perf_counter()
        texts = [passage_text(found.passage) for found in passages]
        scored, none_right = self._confidence.score(candidates(passages, self._reader.read(question, texts)))
        read = time.perf_counter()
        return Prediction(
            question=question,
            candidates=scored,
            no_answer_probability=none_right,
            passages=passages,
            timings=Timings(retrieve_ms=(retrieved - began) * 1000, read_ms=(read - retrieved) * 1000),
        )

    def ask(
        self,
        question: str,
        *,
        k: int = PASSAGES_READ,
        filters: Filters = Filters(),  # noqa: B008 (frozen)
        min_confidence: float | None = None,
        precision: float | None = None,
        alternatives: int = N_ALTERNATIVES,
    ) -> Reply:
        """The cited answer to a question, or none; every quote has just been re-read.

        `min_confidence` and `precision`: see `threshold`. At most `alternatives` rivals are cited beside it.

        Raises:
            QuestionError: the question is empty or too long, or the threshold cannot be had.
            CitationError: an article is not as it was stored.
        """
        began = time.perf_counter()
        threshold = self.threshold(min_confidence, precision)
        try:
            return self._reply(self.predict(question, k=k, filters=filters), threshold, alternatives, began)
        except CitationError:
            # An article may change between reading and citing: ask again. If it still does not agree, refuse.
            return self._reply(self.predict(question, k=k, filters=filters), threshold, alternatives, began)

    def _reply(self, prediction: Prediction, min_confidence: float, n_rivals: int, began: float) -> Reply:
        chosen = decide(prediction, min_confidence)
        rivals = [scored for scored in prediction.candidates if scored is not chosen][:n_rivals]
        answer = self._answer(chosen, prediction) if chosen else None
        alternatives = [self._answer(rival, prediction) for rival in rivals]
        return Reply(
            question=prediction.question,
            answer=answer,
            alternatives=alternatives,
            no_answer_probability=prediction.no_answer_probability,
            min_confidence=min_confidence,
            passages=prediction.passages,
            timings=prediction.timings,
            total_ms=(time.perf_counter() - began) * 1000,
        )

    def _answer(self, scored: ScoredCandidate, prediction: Prediction) -> Answer:
        found = scored.candidate
        citation = cite(self._library, found.article_id, found.span, found.text)
        also_in = cite_copies(self._library, citation, prediction.passages)
        return Answer(text=found.text, confidence=scored.confidence, citation=citation, also_in=also_in)
