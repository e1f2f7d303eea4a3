"""Fit the numbers of `qa.confidence` on questions that the reader was not trained on.

    python -m training.confidence TRAIN.json.gz READER_DIR

1. What ranks candidates (three weights) is fitted on SQuAD: the archive is the validation part with every third
   paragraph left out, so that a third of the questions have no answer in it although their article's other paragraphs
   are there.
2. What turns the ranking into probabilities (a shift and a scale, which change no ranking) is fitted on news: the
   `tune` half of the seeds.
3. The threshold has the highest F1, averaged over both, where abstaining is right for what the archive lacks.

The loss is the negative log-probability of the right candidates, or of "none is right" where none is: the very formula
of `qa.confidence`. Prints the fitted numbers and writes them to READER_DIR/confidence.json.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize

from api.settings import Settings
from api.wiring import Archive, open_archive
from eval.answer_metrics import RIGHT_F1, best_over_golds, f1
from eval.datasets import read_dataset
from index.articles import Article, find_files, read_file
from index.records import Filters
from qa.candidates import Candidate, candidates
from qa.confidence import Confidence
from qa.pipeline import PASSAGES_READ
from qa.reader import PassageText, Reader
from training.data import is_validation

LEFT_OUT = 3
SEED = 7
PULL = 1e-4
"""Of the weights towards 0: they stay finite whatever the sample."""
WEIGHTS = ("bias", "log_probability", "margin", "retrieval_score")
Example = tuple[NDArray[np.float64], NDArray[np.bool_]]
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


def ask_squad(train_file: Path, reader: Reader, n_questions: int) -> list[Asked]:
    """Ask a random sample of the validation part's questions of an archive that lacks a third of its paragraphs."""
    dataset = read_dataset(train_file)
    articles = {a.article_id: a for a in dataset.articles or [] if is_validation(a.title)}
    questions = [q for q in dataset.questions if q.article_ids and q.article_ids[0] in articles]
    chosen = np.random.default_rng(SEED).choice(len(questions), size=min(n_questions, len(questions)), replace=False)
    kept = {article_id: a for article_id, a in articles.items() if not is_left_out(a.text)}
    golds = [questions[i].answers if questions[i].article_ids[0] in kept else () for i in chosen]
    return ask_all(list(kept.values()), [questions[i].question for i in chosen], golds, reader)


def ask_news(seeds_dir: Path, reader: Reader) -> list[Asked]:
    """Ask the `tune` half of the seeds' questions of all of their articles."""
    read = [article for file in find_files([seeds_dir / "articles"])[0] for article in read_file(file)]
    questions = [q for q in read_dataset(seeds_dir / "questions.jsonl").questions if q.split == "tune"]
    articles = [article for article in read if isinstance(article, Article)]
    return ask_all(articles, [q.question for q in questions], [q.answers for q in questions], reader)


def ask_all(
    articles: Sequence[Article], questions: Sequence[str], golds: Sequence[tuple[str, ...]], reader: Reader
) -> list[Asked]:
    """All candidates for each question."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(library=Path(folder))
        archive = open_archive(settings, create=True)
        list(archive.intake().take_in(articles))
        archive.derived.refresh()
        return [
            Asked(golds=gold, found=found(archive, reader, question))
            for question, gold in zip(questions, golds, strict=True)
        ]


def found(archive: Archive, reader: Reader, question: str) -> list[Candidate]:
    """What the product would find, before it is scored and merged."""
    passages = archive.retriever.retrieve(question, PASSAGES_READ, Filters())
    texts = [PassageText(title=p.passage.title, text=p.passage.text) for p in passages]
    return candidates(passages, reader.read(question, texts))


def fit(asked: Sequence[Asked]) -> Confidence:
    """The numbers of least loss; ranking and merging depend on them, so they are fitted three times over."""
    fitted = START
    for _ in range(3):
        examples = [example(one, fitted) for one in asked]
        start = [getattr(fitted, name) for name in WEIGHTS]
        best = minimize(lambda w, e=examples: loss(w, e) + PULL * float(w @ w), start, method="L-BFGS-B").x
        fitted = confidence(best)
    return fitted


def calibrate(ranking: Confidence, asked: Sequence[Asked]) -> Confidence:
    """The same ranking with the bias and the scale of least loss."""
    examples = [example(one, ranking) for one in asked]
    weights = np.array([getattr(ranking, name) for name in WEIGHTS])

    def moved(shift_and_scale: NDArray[np.float64]) -> NDArray[np.float64]:
        shift, scale = shift_and_scale
        return np.append(shift, scale * weights[1:])

    best = minimize(
        lambda x: loss(moved(x), examples), [weights[0], 1.0], method="L-BFGS-B", bounds=[(None, None), (0.01, None)]
    )
    return confidence(moved(best.x))


def confidence(weights: NDArray[np.float64]) -> Confidence:
    """Weights in the order of `WEIGHTS`, without a threshold."""
    return Confidence(**dict(zip(WEIGHTS, map(float, weights), strict=True)), min_confidence=0.0)


def example(one: Asked, ranking: Confidence) -> Example:
    """Features `(n_rivals, 4)` of the candidates that `ranking` keeps, and which of them are right."""
    rivals = [scored.candidate for scored in ranking.score(one.found)[0]]
    features = [[1.0, c.log_probability, c.margin, c.retrieval_score] for c in rivals]
    right = [bool(one.golds) and best_over_golds(f1, c.text, one.golds) >= RIGHT_F1 for c in rivals]
    return np.array(features, dtype=np.float64).reshape(-1, len(WEIGHTS)), np.array(right, dtype=np.bool_)


def loss(weights: NDArray[np.float64], examples: Sequence[Example]) -> float:
    """Mean negative log-probability of what is right."""
    total = 0.0
    for features, right in examples:
        logits = np.append(features @ weights, 0.0)
        wanted = np.append(right, not right.any())
        total += float(np.logaddexp.reduce(logits) - np.logaddexp.reduce(logits[wanted]))
    return total / len(examples)


def with_threshold(fitted: Confidence, corpora: Sequence[Sequence[Asked]]) -> Confidence:
    """The same with the threshold of highest F1, averaged over the corpora."""
    means = np.mean([f1_by_threshold(fitted, asked) for asked in corpora], axis=0)
    return replace(fitted, min_confidence=THRESHOLDS[int(np.argmax(means))])


def f1_by_threshold(fitted: Confidence, asked: Sequence[Asked]) -> list[float]:
    """Mean F1 at each of `THRESHOLDS`; abstaining is right exactly where there is no gold."""
    best = []
    for one in asked:
        scored, _ = fitted.score(one.found)
        text, sure = (scored[0].candidate.text, scored[0].confidence) if scored else ("", 0.0)
        best.append((sure, best_over_golds(f1, text, one.golds), best_over_golds(f1, "", one.golds)))
    return [float(np.mean([given if sure >= t else withheld for sure, given, withheld in best])) for t in THRESHOLDS]


def main(
    train_file: Path,
    reader_dir: Path,
    seeds_dir: Path = Path("seeds"),
    questions: Annotated[int, typer.Option(help="How many SQuAD questions to ask.")] = 1600,
) -> None:
    """Fit, print and write."""
    reader = Reader(reader_dir, threads=Settings().threads)
    news, squad = ask_news(seeds_dir, reader), ask_squad(train_file, reader, questions)
    ranking = fit(squad)
    fitted = with_threshold(calibrate(ranking, news), [squad, news])
    numbers = {name: round(value, 4) for name, value in asdict(fitted).items()}
    print(json.dumps({"n_squad": len(squad), "n_news": len(news), "ranking_bias": round(ranking.bias, 4), **numbers}))
    (reader_dir / "confidence.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
