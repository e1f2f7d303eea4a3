"""Candidates to probabilities: a few plain numbers, fitted on held-out questions by `training.confidence`.

Each candidate i has log-odds z_i = bias + sum of weight x feature; "no candidate is right" has 0. The confidence of i
is exp(z_i) / (1 + sum of exp(z_j)) over the candidates of all passages read: the reader's scores of different passages
meet here, in one normalisation, together with how well each passage was retrieved.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.errors import ModelError
from qa.candidates import Candidate, merge
from qa.reader import WEIGHTS

N_RIVALS = 10
"""Candidates, after merging, that share the probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCandidate:
    """A candidate and its confidence: the probability, in [0, 1], that it is right."""

    candidate: Candidate
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The fitted numbers, and the threshold below which Quoth does not answer."""

    bias: float
    log_probability: float
    margin: float
    retrieval_score: float
    min_confidence: float

    def log_odds(self, candidate: Candidate) -> float:
        """z_i of the module's formula; higher is better."""
        return (
            self.bias
            + self.log_probability * candidate.log_probability
            + self.margin * candidate.margin
            + self.retrieval_score * candidate.retrieval_score
        )

    def score(self, found: Sequence[Candidate]) -> tuple[list[ScoredCandidate], float]:
        """The candidates worth keeping, best first and merged, and the probability that none of them is right."""
        ranked = sorted(found, key=lambda c: (-self.log_odds(c), c.article_id, c.span))
        kept = merge(ranked)[:N_RIVALS]
        logits = [self.log_odds(candidate) for candidate in kept]
        highest = max([0.0, *logits])
        masses = [math.exp(logit - highest) for logit in logits]
        total = math.exp(-highest) + sum(masses)
        scored = [
            ScoredCandidate(candidate=candidate, confidence=mass / total)
            for candidate, mass in zip(kept, masses, strict=True)
        ]
        return scored, math.exp(-highest) / total


def load_confidence(folder: Path = WEIGHTS) -> Confidence:
    """The numbers in `confidence.json`.

    Raises:
        ModelError: the file is missing or damaged.
    """
    file = folder / "confidence.json"
    try:
        numbers = {name: float(value) for name, value in dict(json.loads(file.read_text())).items()}
        if not all(math.isfinite(number) for number in numbers.values()):
            raise ValueError("a number is not finite")
        return Confidence(**numbers)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); reinstall quoth") from error
