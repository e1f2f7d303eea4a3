"""Candidates to probabilities: a few plain numbers, fitted on held-out questions by `training.confidence`.

Each candidate i has log-odds z_i = bias + sum of weight x feature; "no candidate is right" has 0. The confidence of i
is exp(z_i) / (1 + sum of exp(z_j)) over the candidates of all passages read: the reader's scores of different passages
meet here, in one normalisation, together with how well each passage was retrieved.

How much a margin says depends on the text: its mean over the passages read is -5 on reviews, -9 on an encyclopedia.
So what it gives the other passages that were read, and how well those were retrieved, shift the
log-odds and change the slope of the margin (docs/adr/0019). The length of the candidate, whether other passages say the
same, the form of the question and the similarity of question and passage were tried too, and helped nothing that they
were not fitted on (docs/adr/0008).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.errors import ModelError, QuestionError
from qa.candidates import Candidate, merge
from qa.reader import WEIGHTS

N_RIVALS = 10
"""Candidates, after merging, that share the probability."""
MARGIN_UNIT = 10.0
"""Of a margin where two are multiplied: about its size, so that all weights are of one order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCandidate:
    """A candidate and its confidence: the probability, in [0, 1], that it is right."""

    candidate: Candidate
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each feature, in the order of `features`, adds to a candidate's log-odds."""

    bias: float
    log_probability: float
    margin: float
    retrieval_score: float
    others_margin: float
    others_retrieval_score: float
    margin_by_others_margin: float
    margin_by_others_retrieval_score: float

    def log_odds(self, candidate: Candidate) -> float:
        """z_i of the module's formula; higher is better."""
        slope = (
            self.margin
            + self.margin_by_others_margin * candidate.others_margin / MARGIN_UNIT
            + self.margin_by_others_retrieval_score * candidate.others_retrieval_score
        )
        return (
            self.bias
            + self.log_probability * candidate.log_probability
            + slope * candidate.margin
            + self.retrieval_score * candidate.retrieval_score
            + self.others_margin * candidate.others_margin
            + self.others_retrieval_score * candidate.others_retrieval_score
        )


def features(candidate: Candidate) -> tuple[float, ...]:
    """What `Weights` multiplies, in its order."""
    return (
        1.0,
        candidate.log_probability,
        candidate.margin,
        candidate.retrieval_score,
        candidate.others_margin,
        candidate.others_retrieval_score,
        candidate.margin * candidate.others_margin / MARGIN_UNIT,
        candidate.margin * candidate.others_retrieval_score,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """On held-out questions, answers of at least `min_confidence` were right as often as `precision` says."""

    precision: float
    min_confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The fitted weights, the threshold below which Quoth does not answer, and those that keep a precision.

    `thresholds` rise in both their numbers.
    """

    weights: Weights
    min_confidence: float
    thresholds: tuple[Threshold, ...]

    def score(self, found: Sequence[Candidate]) -> tuple[list[ScoredCandidate], float]:
        """The candidates worth keeping, best first and merged, and the probability that none of them is right."""
        kept = self.rivals(found)
        logits = [self.weights.log_odds(candidate) for candidate in kept]
        highest = max([0.0, *logits])
        masses = [math.exp(logit - highest) for logit in logits]
        total = math.exp(-highest) + sum(masses)
        scored = [
            ScoredCandidate(candidate=candidate, confidence=mass / total)
            for candidate, mass in zip(kept, masses, strict=True)
        ]
        return scored, math.exp(-highest) / total

    def rivals(self, found: Sequence[Candidate]) -> list[Candidate]:
        """The candidates that share the probability: the best after merging, best first."""
        ranked = sorted(found, key=lambda c: (-self.weights.log_odds(c), c.article_id, c.span))
        return merge(ranked)[:N_RIVALS]

    def threshold_for(self, precision: float) -> float:
        """The lowest threshold that kept at least this precision on held-out questions.

        Those of `thresholds` were tried: whoever asks for less precision than the first one kept gets that one.

        Raises:
            QuestionError: none did; the message says what the highest precision is.
        """
        for threshold in self.thresholds:
            if threshold.precision >= precision:
                return threshold.min_confidence
        highest = f"{self.thresholds[-1].precision:g} is the highest" if self.thresholds else "none is known"
        raise QuestionError(f"no threshold kept a precision of {precision:g} on held-out questions: {highest}")


def load_confidence(folder: Path = WEIGHTS) -> Confidence:
    """The numbers in `confidence.json`.

    Raises:
        ModelError: the file is missing or damaged.
    """
    file = folder / "confidence.json"
    try:
        record = dict(json.loads(file.read_text(encoding="utf-8")))
        confidence = Confidence(
            weights=Weights(**{name: _finite(value) for name, value in dict(record.pop("weights")).items()}),
            min_confidence=_finite(record.pop("min_confidence")),
            thresholds=tuple(
                Threshold(precision=_finite(precision), min_confidence=_finite(threshold))
                for precision, threshold in list(record.pop("thresholds"))
            ),
        )
        if record:
            raise ValueError(f"unknown fields: {', '.join(record)}")
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); reinstall quoth") from error
    return confidence


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
