"""A run: every question of a dataset predicted, and the folder that keeps it.

`predictions.jsonl` holds everything needed to score again under another threshold; the same inputs give the same bytes.
`timings.jsonl` holds what differs from run to run. `squad_predictions.json` is what the official SQuAD script takes.
"""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets import Question
from eval.retrieval_metrics import is_gold
from index.embedder import EmbedderInfo
from index.errors import DatasetError, QuestionError
from index.library import Library
from index.records import Filters, StoredPassage
from index.retriever import RetrievedPassage
from qa.pipeline import Pipeline, Prediction, checked_question

_PACKAGES = ("quoth", "faiss-cpu", "numpy", "onnxruntime", "sentencex", "tantivy", "tiktoken", "tokenizers")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedQuestion:
    """One line of `predictions.jsonl`: the question with its gold, and what was predicted."""

    question: Question
    texts: tuple[str, ...]
    confidences: tuple[float, ...]
    article_ids: tuple[str, ...]
    passages_gold: tuple[bool, ...]

    def given(self, min_confidence: float) -> str:
        """The text that is answered under a threshold; empty for abstaining."""
        if not self.confidences or self.confidences[0] < min_confidence:
            return ""
        return self.texts[0]


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
        found = []
        for asked in self._golds[question]:
            for article_id in asked.article_ids:
                passages = self._library.article_passages(article_id)
                found += [p for p in passages if is_gold(p, asked)]
        unique = {passage.key: passage for passage in found}
        return [RetrievedPassage(passage=passage, retrieval_score=1.0) for passage in unique.values()][:k]


def sample(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """`limit` random questions in dataset order, or all of them."""
    if limit is None or limit >= len(questions):
        return list(questions)
    chosen = np.random.default_rng(seed).choice(len(questions), size=limit, replace=False)
    return [questions[i] for i in sorted(chosen)]


def run(
    questions: Sequence[Question], pipeline: Pipeline, out_dir: Path, *, k: int, on_progress: Callable[[], None]
) -> None:
    """Predict every question and write `predictions.jsonl` and `timings.jsonl`; nothing half-written stays."""
    for question in questions:
        try:
            checked_question(question.question)
        except QuestionError as error:
            raise DatasetError(f"question {question.question_id!r}: {error}") from error
    out_dir.mkdir(parents=True, exist_ok=True)
    partial, timings = out_dir / ".predictions.jsonl", out_dir / "timings.jsonl"
    partial_timings = out_dir / ".timings.jsonl"
    try:
        with (
            partial.open("w", encoding="utf-8") as predictions_file,
            partial_timings.open("w", encoding="utf-8") as timings_file,
        ):
            for question in questions:
                prediction = pipeline.predict(question.question, k=k)
                predictions_file.write(_dumps(_record(question, prediction)) + "\n")
                timings_file.write(_dumps({"question_id": question.question_id, **asdict(prediction.timings)}) + "\n")
                on_progress()
        partial_timings.replace(timings)
        partial.replace(out_dir / "predictions.jsonl")
    finally:
        partial.unlink(missing_ok=True)
        partial_timings.unlink(missing_ok=True)


def check_archive(questions: Sequence[Question], library: Library) -> None:
    """Refuse to score against an archive that lacks gold articles: the numbers would say nothing.

    Raises:
        DatasetError: a gold article is not in the Library.
    """
    held = {summary.article_id for summary in library.articles()}
    missing = {article_id for question in questions for article_id in question.article_ids} - held
    if missing:
        raise DatasetError(
            f"{len(missing)} gold articles are not in the Library {library.folder}, {min(missing)!r} for one;"
            " name the right one with --library"
        )


def run_threshold(out_dir: Path) -> float:
    """The threshold that a run was made with, from its `run.json`.

    Raises:
        DatasetError: the folder holds no finished run.
    """
    file = out_dir / "run.json"
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["settings"]["min_confidence"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{out_dir}: no finished run here (run.json: {error!r})") from error


def read_predictions(out_dir: Path) -> Iterator[PredictedQuestion]:
    """The lines of `predictions.jsonl`.

    Raises:
        DatasetError: the folder holds no finished run.
    """
    file = out_dir / "predictions.jsonl"
    if not file.is_file():
        raise DatasetError(f"{out_dir}: no finished run here (predictions.jsonl is missing)")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _predicted(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise DatasetError(f"{file}, line {number}: damaged ({error!r}); run it again") from error


def _predicted(record: dict[str, Any]) -> PredictedQuestion:
    return PredictedQuestion(
        question=Question(
            question_id=record["question_id"],
            question=record["question"],
            answers=tuple(record["answers"]),
            article_ids=tuple(record["article_ids"]),
            type=record["type"],
            hard=tuple(record["hard"]),
            split=record["split"],
        ),
        texts=tuple(candidate["text"] for candidate in record["candidates"]),
        confidences=tuple(candidate["confidence"] for candidate in record["candidates"]),
        article_ids=tuple(candidate["article_id"] for candidate in record["candidates"]),
        passages_gold=tuple(passage["is_gold"] for passage in record["passages"]),
    )


def write_run_facts(
    out_dir: Path, *, settings: dict[str, Any], embedder: EmbedderInfo, model_files: Sequence[Path], dataset: Path
) -> None:
    """`run.json`: versions, hashes of models and data, settings and machine."""
    facts = {
        "settings": settings,
        "embedder": asdict(embedder),
        "dataset": {"name": dataset.name, "sha256": file_sha256(dataset)},
        "models": {file.name: file_sha256(file) for file in model_files},
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "architecture": platform.machine()},
    }
    write_json(out_dir / "run.json", facts)


def write_json(file: Path, document: object) -> None:
    """Write a JSON document for people: indented, switched to at once."""
    partial = file.with_name(f".{file.name}")
    partial.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(file)


def _record(question: Question, prediction: Prediction) -> dict[str, Any]:
    return {
        "question_id": question.question_id,
        "question": question.question,
        "answers": question.answers,
        "article_ids": question.article_ids,
        "type": question.type,
        "hard": question.hard,
        "split": question.split,
        "no_answer_probability": round(prediction.no_answer_probability, 6),
        "candidates": [
            {
                "text": scored.candidate.text,
                "confidence": round(scored.confidence, 6),
                "article_id": scored.candidate.article_id,
                "start": scored.candidate.span.start,
                "end": scored.candidate.span.end,
                "margin": round(scored.candidate.margin, 4),
                "log_probability": round(scored.candidate.log_probability, 4),
                "retrieval_score": round(scored.candidate.retrieval_score, 6),
            }
            for scored in prediction.candidates
        ],
        "passages": [_passage_record(found, question) for found in prediction.passages],
    }


def _passage_record(found: RetrievedPassage, question: Question) -> dict[str, Any]:
    passage: StoredPassage = found.passage
    return {
        "article_id": passage.article_id,
        "start": passage.span.start,
        "end": passage.span.end,
        "retrieval_score": round(found.retrieval_score, 6),
        "is_gold": is_gold(passage, question),
    }


def _dumps(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
