"""The answers of a run that are wrong, with the passages to judge them by: the given and the gold span are marked."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from eval.losses import READER_MISSED, RETRIEVAL_MISSED, WRONGLY_REFUSED, loss_parts, main_causes
from eval.outcomes import Outcomes
from eval.run_folder import PassageInText, PassageRef, PredictedCandidate, PredictedQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """A piece of a passage that is wholly inside or wholly outside of the given and of the gold spans."""

    text: str
    given: bool
    gold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPassage:
    """A passage in fragments; `rank` counts from 1 among those read, None if it was not."""

    passage: PassageInText
    rank: int | None
    is_gold: bool
    fragments: tuple[Fragment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongAnswer:
    """A question that was not answered as it should have been.

    `given` is what the user got, empty for abstaining; `best` the best candidate, given or not, empty without one.
    `f1` in [0, 1] is below 1; `cause` is the one of `eval.losses.CAUSES` that most of the loss is due to, and `why`
    says more of it. The passages are those of `shown_passages`.
    """

    question_id: str
    question: str
    given: str
    best: str
    golds: tuple[str, ...]
    confidence: float
    f1: float
    cause: str
    why: str
    passages: tuple[MarkedPassage, ...]


def wrong_answers(
    predicted: Sequence[PredictedQuestion],
    outcomes: Outcomes,
    passages: Mapping[PassageRef, PassageInText],
    min_confidence: float,
) -> list[WrongAnswer]:
    """Every question with an F1 below 1, the most confident first."""
    causes = main_causes(loss_parts(predicted, outcomes))
    wrong = [
        _wrong_answer(p, float(f1), cause, passages, min_confidence)
        for p, f1, cause in zip(predicted, outcomes["f1"], causes, strict=True)
        if f1 < 1
    ]
    return sorted(wrong, key=lambda w: (-w.confidence, w.question_id))


def shown_passages(p: PredictedQuestion, passages: Mapping[PassageRef, PassageInText]) -> tuple[MarkedPassage, ...]:
    """The passage that the best candidate was quoted from, if there is one, then a gold one, where that is another."""
    quoted = _quoted_passage(p)
    shown = [quoted] if quoted else []
    if quoted is None or not _is_gold(p, quoted):
        shown += _gold_places(p)[:1]
    return tuple(_marked_passage(p, passages[place]) for place in shown if place in passages)


def marked(text: str, given: Iterable[tuple[int, int]], gold: Iterable[tuple[int, int]]) -> tuple[Fragment, ...]:
    """The text cut where it enters or leaves the spans `[start, end)` of either kind; joined, the fragments are it."""
    given, gold = list(given), list(gold)
    cuts = sorted({0, len(text), *(cut for span in (*given, *gold) for cut in span)})
    runs = groupby(pairwise(cuts), key=lambda piece: (_inside(piece[0], given), _inside(piece[0], gold)))
    return tuple(
        Fragment(text="".join(text[start:end] for start, end in run), given=in_given, gold=in_gold)
        for (in_given, in_gold), run in runs
    )


def _inside(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def _wrong_answer(
    p: PredictedQuestion,
    f1: float,
    cause: str,
    passages: Mapping[PassageRef, PassageInText],
    min_confidence: float,
) -> WrongAnswer:
    return WrongAnswer(
        question_id=p.question.question_id,
        question=p.question.question,
        given=p.given(min_confidence),
        best=p.best_text,
        golds=p.question.answers,
        confidence=p.confidence,
        f1=f1,
        cause=cause,
        why=_why(p, cause, _quoted_passage(p)),
        passages=shown_passages(p, passages),
    )


def _quoted_passage(p: PredictedQuestion) -> PassageRef | None:
    """The first passage read that the best candidate stands in."""
    places = (passage.place for passage in p.passages)
    return next((place for place in places if p.candidates and _holds(place, p.candidates[0])), None)


def _holds(place: PassageRef, candidate: PredictedCandidate) -> bool:
    return place.article_id == candidate.article_id and place.start <= candidate.start and candidate.end <= place.end


def _gold_places(p: PredictedQuestion) -> list[PassageRef]:
    """The gold passages, those that were read first; where gold articles are unknown, those read with a gold text."""
    known = bool(p.question.article_ids)
    read = [passage.place for passage in p.passages if (passage.grade > 0 if known else passage.holds_answer)]
    return [*read, *(place for place in p.gold_passages if place not in read)]


def _is_gold(p: PredictedQuestion, place: PassageRef) -> bool:
    return place in _gold_places(p)


def _marked_passage(p: PredictedQuestion, passage: PassageInText) -> MarkedPassage:
    place, is_gold = passage.place, _is_gold(p, passage.place)
    best = [c for c in p.candidates[:1] if _holds(place, c)]
    given = [(c.start - place.start, c.end - place.start) for c in best]
    gold = [span for text in p.question.answers for span in _found(text, passage.text)] if is_gold else []
    ranks = [rank for rank, read in enumerate(p.passages, start=1) if read.place == place]
    return MarkedPassage(
        passage=passage, rank=ranks[0] if ranks else None, is_gold=is_gold, fragments=marked(passage.text, given, gold)
    )


def _found(gold: str, text: str) -> list[tuple[int, int]]:
    """Where the gold stands as whole words: that is what makes a passage a gold one."""
    return [match.span() for match in re.finditer(rf"(?<!\w){re.escape(gold)}(?!\w)", text)] if gold else []


def _why(p: PredictedQuestion, cause: str, quoted: PassageRef | None) -> str:
    if cause == RETRIEVAL_MISSED:
        return "no gold passage was read" if p.question.article_ids else "no passage read holds a gold text"
    if cause == WRONGLY_REFUSED:
        return "the best candidate was better than no answer"
    if cause != READER_MISSED:
        return "the archive holds no answer"
    if quoted is None:
        return "no candidate" if not p.candidates else "not in a passage read"
    return "another span of a gold passage" if _is_gold(p, quoted) else "a span of another passage"
