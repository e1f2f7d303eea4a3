"""Fit the numbers of `qa.confidence` on questions that the reader was not trained on.

    python -m training.confidence TRAIN.json.gz READER_DIR

The archive is the validation part with every third paragraph left out, so that a third of the questions have no
answer in it although their article's other paragraphs are there. The loss is the negative log-probability of the right
candidates, or of "none is right" where none is: the very formula of `qa.confidence`. Prints the fitted numbers and
writes them to READER_DIR/confidence.json.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize

from api.settings import Settings
from api.wiring import Archive, open_archive
from eval.answer_metrics import best_over_golds, f1
from eval.datasets import Question, read_dataset
from index.records import Filters
from qa.candidates import Candidate, candidates
from qa.confidence import Confidence
from qa.pipeline import PASSAGES_READ
from qa.reader import PassageText, Reader
from training.data import is_validation

RIGHT_F1 = 0.6
"""A candidate counts as right from this F1 on: golds of SQuAD train are single, and "33" or "33 soldiers" is chance."""
LEFT_OUT = 3
START = Confidence(bias=0.0, log_probability=1.0, margin=0.0, retrieval_score=5.0, min_confidence=0.0)
THRESHOLDS = [round(0.01 * step, 2) for step in range(100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question's golds (none where the archive lacks the answer) and every candidate found."""

    golds: tuple[str, ...]
    found: list[Candidate]


def is_left_out(text: str) -> bool:
    """Whether a paragraph is kept out of the archive."""
    return hashlib.sha256(text.encode()).digest()[1] % LEFT_OUT == 0


def ask_all(train_file: Path, reader: Reader, n_questions: int) -> list[Asked]:
    """Retrieve and read for a random sample of the validation part's questions."""
    dataset = read_dataset(train_file)
    articles = {a.article_id: a for a in dataset.articles or [] if is_validation(a.title)}
    questions = [q for q in dataset.questions if q.article_ids and q.article_ids[0] in articles]
    chosen = np.random.default_rng(7).choice(len(questions), size=min(n_questions, len(questions)), replace=False)
    with tempfile.TemporaryDirectory() as folder:
        archive = open_archive(Settings(library=Path(folder)), create=True)
        kept = [article for article in articles.values() if not is_left_out(article.text)]
        list(archive.intake().take_in(kept))
        archive.derived.refresh()
        return [
            ask(archive, reader, questions[i], is_there=not is_left_out(articles[questions[i].article_ids[0]].text))
            for i in chosen
        ]


def ask(archive: Archive, reader: Reader, question: Question, *, is_there: bool) -> Asked:
    """All candidates for one question."""
    passages = archive.retriever.retrieve(question.question, PASSAGES_READ, Filters())
    texts = [PassageText(title=found.passage.title, text=found.passage.text) for found in passages]
    found = candidates(passages, reader.read(question.question, texts))
    return Asked(golds=question.answers if is_there else (), found=found)


def fit(asked: Sequence[Asked]) -> Confidence:
    """The numbers of least loss; ranking and merging depend on them, so they are fitted three times over."""
    fitted = START
    for _ in range(3):
        examples = [example(one, fitted) for one in asked]
        start = np.array([fitted.bias, fitted.log_probability, fitted.margin, fitted.retrieval_score])
        found = minimize(loss, start, args=(examples,), method="L-BFGS-B")
        fitted = Confidence(**dict(zip(list(asdict(fitted))[:4], map(float, found.x), strict=True)), min_confidence=0.0)
    return fitted


def example(one: Asked, ranking: Confidence) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Features `(n_rivals, 4)` of the candidates that `ranking` keeps, and which of them are right."""
    rivals = [scored.candidate for scored in ranking.score(one.found)[0]]
    features = [[1.0, c.log_probability, c.margin, c.retrieval_score] for c in rivals]
    right = [bool(one.golds) and best_over_golds(f1, c.text, one.golds) >= RIGHT_F1 for c in rivals]
    return np.array(features, dtype=np.float64).reshape(-1, 4), np.array(right, dtype=np.bool_)


def loss(weights: NDArray[np.float64], examples: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> float:
    """Mean negative log-probability of what is right, with a slight pull to small weights."""
    total = 0.0
    for features, right in examples:
        logits = np.append(features @ weights, 0.0)
        wanted = np.append(right, not right.any())
        total += float(np.logaddexp.reduce(logits) - np.logaddexp.reduce(logits[wanted]))
    return total / len(examples) + 1e-4 * float(weights @ weights)


def with_threshold(fitted: Confidence, asked: Sequence[Asked]) -> Confidence:
    """The same with the threshold of highest F1, where abstaining is right for what the archive lacks."""
    best = []
    for one in asked:
        scored, _ = fitted.score(one.found)
        text, confidence = (scored[0].candidate.text, scored[0].confidence) if scored else ("", 0.0)
        best.append((confidence, best_over_golds(f1, text, one.golds), best_over_golds(f1, "", one.golds)))
    means = [np.mean([given if c >= t else withheld for c, given, withheld in best]) for t in THRESHOLDS]
    return Confidence(**{**asdict(fitted), "min_confidence": THRESHOLDS[int(np.argmax(means))]})


def main(
    train_file: Path,
    reader_dir: Path,
    questions: Annotated[int, typer.Option(help="How many questions to ask.")] = 2400,
) -> None:
    """Fit on half of the questions, print the loss on the other half, then fit on all and write."""
    asked = ask_all(train_file, Reader(reader_dir), questions)
    half = len(asked) // 2
    trial = fit(asked[:half])
    weights = np.array(list(asdict(trial).values())[:4])
    held_out = loss(weights, [example(one, trial) for one in asked[half:]])
    fitted = with_threshold(fit(asked), asked)
    numbers = {name: round(value, 4) for name, value in asdict(fitted).items()}
    print(json.dumps({"n": len(asked), "held_out_loss": round(held_out, 4), **numbers}))
    (reader_dir / "confidence.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
