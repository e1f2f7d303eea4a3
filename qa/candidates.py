"""Spans of all passages read become candidates: whole words, tidy ends, no two that say the same."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from index.passages import CharSpan
from index.retriever import RetrievedPassage
from qa.reader import ReadSpan
from qa.tidy import tidy_span

N_OTHERS = 9
TYPICAL_MARGIN, TYPICAL_RETRIEVAL_SCORE = -8.0, 0.5
"""Of another passage, about the medians: what counts where fewer than ten passages are read."""
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MEANT = re.compile(r"-[$]?(?=\d)|(?<=\d)[/:'](?=\d)|\.(?=\d)")
"""Not punctuation: without them 3.6 and 36, -$5 and $5, 9/11 and 911 would be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A possible answer: `span` holds characters of the article, `text` is exactly those characters.

    `margin` and `log_probability` are the reader's scores, see `ReadSpan`; `retrieval_score` in [0, 1] is that of the
    passage in which the reader found it. Higher is better in all three.

    `others_margin` and `others_retrieval_score` are the means of the best margin and of the retrieval score over nine
    other passages, the best retrieved: they tell what the scores of this kind of text are like.
    """

    article_id: str
    span: CharSpan
    text: str
    margin: float
    log_probability: float
    retrieval_score: float
    others_margin: float
    others_retrieval_score: float


def candidates(passages: Sequence[RetrievedPassage], readings: Sequence[Sequence[ReadSpan]]) -> list[Candidate]:
    """Candidates of all passages, tidied, in no particular order and not yet merged."""
    found, bests = [], _bests(passages, readings)[: N_OTHERS + 1]
    for place, (retrieved, spans) in enumerate(zip(passages, readings, strict=True)):
        passage, (others_margin, others_score) = retrieved.passage, _means_of_others(place, bests)
        for read in spans:
            tidy = tidy_span(passage.text, read.span)
            if tidy is None:
                continue
            shift = passage.span.start
            found.append(
                Candidate(
                    article_id=passage.article_id,
                    span=CharSpan(tidy.start + shift, tidy.end + shift),
                    text=tidy.of(passage.text),
                    margin=read.margin,
                    log_probability=read.log_probability,
                    retrieval_score=retrieved.retrieval_score,
                    others_margin=others_margin,
                    others_retrieval_score=others_score,
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    """Of a passage in which something was found: the best margin, and how well it was retrieved."""

    place: int
    margin: float
    retrieval_score: float


def _bests(passages: Sequence[RetrievedPassage], readings: Sequence[Sequence[ReadSpan]]) -> list[_Best]:
    return [
        _Best(place=place, margin=max(span.margin for span in spans), retrieval_score=retrieved.retrieval_score)
        for place, (retrieved, spans) in enumerate(zip(passages, readings, strict=True))
        if spans
    ]


def _means_of_others(place: int, bests: Sequence[_Best]) -> tuple[float, float]:
    """The mean margin and retrieval score over the first nine other passages; those that lack count as typical.

    Nine whatever the number of passages read, so that the means are of one kind: the twentieth passage is always poor.
    """
    others = [best for best in bests if best.place != place][:N_OTHERS]
    n_lacking = N_OTHERS - len(others)
    margin = sum(best.margin for best in others) + n_lacking * TYPICAL_MARGIN
    score = sum(best.retrieval_score for best in others) + n_lacking * TYPICAL_RETRIEVAL_SCORE
    return margin / N_OTHERS, score / N_OTHERS


def merge(ranked: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, best first, without those that repeat a better one.

    A candidate repeats a better one if it shares characters with it, or says the same up to case, punctuation and
    "a", "an", "the".
    """
    kept: list[Candidate] = []
    said: set[str] = set()
    for candidate in ranked:
        key = _said(candidate.text)
        if key in said or any(_overlap(candidate, other) for other in kept):
            continue
        said.add(key)
        kept.append(candidate)
    return kept


def _said(text: str) -> str:
    folded = text.casefold()
    meant = {place for found in _MEANT.finditer(folded) for place in range(*found.span())}
    plain = "".join(char for place, char in enumerate(folded) if char not in string.punctuation or place in meant)
    return " ".join(_ARTICLES.sub(" ", plain).split()) or folded


def _overlap(one: Candidate, other: Candidate) -> bool:
    return one.article_id == other.article_id and one.span.start < other.span.end and other.span.start < one.span.end
