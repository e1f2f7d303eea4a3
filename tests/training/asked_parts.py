"""Questions as they were asked, made by hand: candidates with scores, and files of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from index.passages import CharSpan
from qa.candidates import Candidate
from training.asked import Asked

GOLD = "33"


def candidate(
    text: str,
    *,
    article_id: str = "a",
    margin: float = 0.0,
    log_probability: float = -1.0,
    retrieval_score: float = 0.5,
    others: tuple[float, float] = (-8.0, 0.5),
) -> Candidate:
    """A candidate at the beginning of its article."""
    return Candidate(
        article_id=article_id,
        span=CharSpan(0, len(text)),
        text=text,
        margin=margin,
        log_probability=log_probability,
        retrieval_score=retrieval_score,
        others_margin=others[0],
        others_retrieval_score=others[1],
    )


def asked(found: Sequence[Candidate], *golds: str) -> Asked:
    """A question that brought these candidates."""
    return Asked(question="How many?", golds=golds, found=list(found))


def drawn(n: int, seed: int) -> list[Asked]:
    """Random questions: the higher a candidate's scores, the more often it is right; a third have no answer."""
    rng = np.random.default_rng(seed)
    questions = []
    for _ in range(n):
        found, others = [], (float(rng.normal(-6, 4)), float(rng.random()))
        for place in range(rng.integers(0, 14)):
            margin = float(rng.normal(0, 4))
            right = rng.random() < 1 / (1 + np.exp(3 - margin))
            text = f"{GOLD} soldiers" if right else " ".join([f"wrong{place}", *["more"] * rng.integers(0, 5)])
            scores = {"log_probability": -float(rng.exponential(3)), "retrieval_score": float(rng.random())}
            found.append(candidate(text, article_id=f"article {place}", margin=margin, others=others, **scores))
        questions.append(asked(found, *([GOLD] if rng.random() < 2 / 3 else [])))
    return questions


def write_asked(file: Path, questions: Sequence[Asked]) -> Path:
    """A file as `training.asked` writes it."""
    file.write_text("".join(json.dumps(asdict(one)) + "\n" for one in questions), encoding="utf-8")
    return file
