"""The files of a run folder: what was predicted, read back as it was written.

`predictions.jsonl` holds a line a question, everything needed to score again under another threshold; `passages.jsonl`
each passage that was read, or is a gold one, once; `timings.jsonl` what differs from run to run; `run.json` what the
run was made with. The same inputs give the same bytes in the first two.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.questions import Question
from index.errors import DatasetError

PREDICTIONS, PASSAGES, TIMINGS, RUN = "predictions.jsonl", "passages.jsonl", "timings.jsonl", "run.json"
DERIVED = ("scores.json", "latency.json", "squad_predictions.json", "report.html")
"""What is computed from a run and stands beside it; a run that takes its place takes them away."""
STAGES = ("retrieve_ms", "read_ms", "total_ms")
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, order=True)
class PassageRef:
    """Where a passage is: characters `[start, end)` of an article."""

    article_id: str
    start: int
    end: int

    def holds(self, candidate: "PredictedCandidate") -> bool:
        """Whether the candidate stands in this passage."""
        return self.article_id == candidate.article_id and self.start <= candidate.start and candidate.end <= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageInText:
    """A passage with its words."""

    place: PassageRef
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedCandidate:
    """A span `[start, end)` of an article that was offered; `confidence` in [0, 1] is that it is right."""

    text: str
    confidence: float
    article_id: str
    start: int
    end: int
    margin: float
    log_probability: float
    retrieval_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPassage:
    """A retrieved passage; `grade` is 0 where neither it nor a copy is a gold one.

    `holds_answer` says whether a gold text stands in it.
    """

    place: PassageRef
    retrieval_score: float
    grade: int
    holds_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedQuestion:
    """One line of `predictions.jsonl`: the question with its gold, and what was predicted, best first.

    `gold_grades` are those of everything relevant in the archive, highest first, copies counted once; `gold_passages`
    say where it is (empty where only articles are judged). `citation_valid`: the best candidate's span was re-read and
    is what it said; None without candidates.
    """

    question: Question
    candidates: tuple[PredictedCandidate, ...]
    no_answer_probability: float
    passages: tuple[RankedPassage, ...]
    gold_grades: tuple[int, ...]
    gold_passages: tuple[PassageRef, ...]
    citation_valid: bool | None

    @property
    def confidence(self) -> float:
        """That of the best candidate, 0 without one."""
        return self.candidates[0].confidence if self.candidates else 0.0

    @property
    def best_text(self) -> str:
        """The best candidate's text, empty without one."""
        return self.candidates[0].text if self.candidates else ""

    def given(self, min_confidence: float) -> str:
        """The text that is answered under a threshold; empty for abstaining."""
        return self.best_text if self.confidence >= min_confidence else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What `run.json` says; `document` is the whole of it."""

    dataset: str
    min_confidence: float
    settings: Mapping[str, object]
    document: Mapping[str, Any]


def prediction_line(predicted: PredictedQuestion) -> str:
    """The line of `predictions.jsonl`, without its end."""
    record = asdict(predicted)
    question = record.pop("question")
    question["asked_on"] = question["asked_on"].isoformat() if question["asked_on"] else None
    return dumps({**question, **record})


def dumps(record: object) -> str:
    """One line of compact JSON."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def parse_prediction(line: str) -> PredictedQuestion:
    """The reverse of `prediction_line`.

    Raises:
        ValueError, TypeError, KeyError: it is no such line.
    """
    record = json.loads(line)
    asked_on = record["asked_on"]
    return PredictedQuestion(
        question=Question(
            question_id=record["question_id"],
            question=record["question"],
            answers=tuple(record["answers"]),
            article_ids=tuple(record["article_ids"]),
            grades=tuple(record["grades"]),
            asked_on=date.fromisoformat(asked_on) if asked_on else None,
            type=record["type"],
            hard=tuple(record["hard"]),
            split=record["split"],
            near=tuple(record["near"]),
        ),
        candidates=tuple(PredictedCandidate(**candidate) for candidate in record["candidates"]),
        no_answer_probability=record["no_answer_probability"],
        passages=tuple(RankedPassage(**{**p, "place": PassageRef(**p["place"])}) for p in record["passages"]),
        gold_grades=tuple(record["gold_grades"]),
        gold_passages=tuple(PassageRef(**place) for place in record["gold_passages"]),
        citation_valid=record["citation_valid"],
    )


def read_predictions(run_folder: Path) -> list[PredictedQuestion]:
    """All lines of `predictions.jsonl`.

    Raises:
        DatasetError: the folder holds no finished run, or a damaged one.
    """
    predicted = list(_lines(run_folder / PREDICTIONS, parse_prediction))
    if not predicted:
        raise DatasetError(f"{run_folder / PREDICTIONS}: holds no question; run it again")
    return predicted


def read_passages(run_folder: Path) -> dict[PassageRef, PassageInText]:
    """The words of every passage that was read or is a gold one.

    Raises:
        DatasetError: the folder holds no finished run, or a damaged one.
    """
    return {passage.place: passage for passage in _lines(run_folder / PASSAGES, _passage)}


def _passage(line: str) -> PassageInText:
    record = json.loads(line)
    return PassageInText(place=PassageRef(**record["place"]), title=record["title"], text=record["text"])


def read_timings(run_folder: Path) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each question by stage, `(n_questions,)`: retrieve_ms, read_ms and total_ms, their sum.

    A stage that took no time at all is left out: where only retrieval is scored, nothing is read.

    Raises:
        DatasetError: the folder holds no finished run, or a damaged one.
    """
    rows = list(_lines(run_folder / TIMINGS, _timing))
    retrieve, read = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    stages = dict(zip(STAGES, (retrieve, read, retrieve + read), strict=True))
    return {stage: values for stage, values in stages.items() if values.any()}


def _timing(line: str) -> tuple[float, float]:
    record = json.loads(line)
    return float(record["retrieve_ms"]), float(record["read_ms"])


def read_run(run_folder: Path) -> RunFacts:
    """What the run was made with.

    Raises:
        DatasetError: the folder holds no finished run.
    """
    file = run_folder / RUN
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        settings = dict(document["inputs"]["settings"])
        return RunFacts(
            dataset=str(document["inputs"]["dataset"]["name"]),
            min_confidence=float(settings["min_confidence"]),
            settings=settings,
            document=document,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{run_folder}: no finished run here (run.json: {error!r})") from error


def write_json(file: Path, document: object) -> None:
    """Write a JSON document for people: indented, switched to at once."""
    write_text(file, json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a file that is never seen half-written."""
    partial = file.with_name(f".{file.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _lines(file: Path, parse: Callable[[str], _Record]) -> Iterator[_Record]:
    if not (file.parent / RUN).exists():  # the files of a run that was stopped while it replaced another do not match
        raise DatasetError(f"{file.parent}: no finished run here ({RUN} is missing)")
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file.parent}: no finished run here ({file.name}: {error})") from error
    if lines.pop():
        raise DatasetError(f"{file}, line {len(lines) + 1}: damaged (it has no end); run it again")
    for number, line in enumerate(lines, start=1):
        try:
            yield parse(line)
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(f"{file}, line {number}: damaged ({error!r}); run it again") from error
