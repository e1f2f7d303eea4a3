"""A run that can be killed anywhere: a plain predictor over a small Library, and a program that dies at its n-th step.

python -m tests.eval.wordy run LIBRARY OUT      runs, slowly enough to be killed from outside
python -m tests.eval.wordy crash LIBRARY START WHERE
                                                for n = 1, 2, ...: copies START to WHERE/n and runs there, in a
                                                process that kills itself at its n-th change to a file of the folder
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.questions import Question
from eval.retrieval_metrics import holds_answer
from eval.run_folder import PassageRef, PredictedCandidate, PredictedQuestion, RankedPassage
from eval.runs import run
from index.library import Library
from index.records import StoredPassage
from qa.pipeline import Timings

N_QUESTIONS = 120
QUESTIONS = [
    Question(question_id=f"q{i}", question=f"Où\u2028was ship {i}?", answers=(f"pořt{i}",), article_ids=(f"ship-{i}",))
    for i in range(N_QUESTIONS)
]
OTHER: dict[str, Any] = {"settings": {"min_confidence": 0.25, "passages": 1}, "dataset": {"name": "ships"}}
INPUTS: dict[str, Any] = {"settings": {"min_confidence": 0.5, "passages": 2}, "dataset": {"name": "ships"}}
_CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"})


def ship_text(number: int) -> str:
    return f"The ship {number} sailed at dawn.\nAt noon ship {number} lay in pořt{number}\u2028, they said."


class WordPredictor:
    """Reads the passages of the article that has the question's number, and gives the last word of each."""

    def __init__(self, library: Library, *, k: int, seconds: float = 0.0) -> None:
        self._library = library
        self._k = k
        self._seconds = seconds

    def predict(self, question: Question) -> tuple[PredictedQuestion, Timings]:
        time.sleep(self._seconds)
        began = time.perf_counter()
        stored = self._library.article_passages(question.article_ids[0])
        predicted = PredictedQuestion(
            question=question,
            candidates=tuple(_last_word(passage) for passage in stored[: self._k]),
            no_answer_probability=1 / 3,
            passages=tuple(
                RankedPassage(
                    place=_place(passage),
                    retrieval_score=1 / (2 + rank),
                    grade=1,
                    holds_answer=holds_answer(passage.text, question.answers),
                )
                for rank, passage in enumerate(stored[: self._k])
            ),
            gold_grades=(1,) * len(stored),
            gold_passages=tuple(_place(passage) for passage in stored),
            citation_valid=True,
        )
        return predicted, Timings(retrieve_ms=(time.perf_counter() - began) * 1000, read_ms=0.0)


def run_words(
    library: Library,
    out: Path,
    inputs: dict[str, Any],
    *,
    questions: Sequence[Question] = QUESTIONS,
    seconds: float = 0,
) -> list[int]:
    """Run, and return the numbers of questions done that were reported."""
    progress: list[int] = []
    predictor = WordPredictor(library, k=int(inputs["settings"]["passages"]), seconds=seconds)
    run(questions, predictor, library, out, facts={"inputs": inputs}, on_progress=progress.append)
    return progress


def _place(passage: StoredPassage) -> PassageRef:
    return PassageRef(passage.article_id, passage.span.start, passage.span.end)


def _last_word(passage: StoredPassage) -> PredictedCandidate:
    word = passage.text.split()[-1]
    start = passage.span.start + passage.text.rindex(word)
    return PredictedCandidate(
        text=word,
        confidence=1 / 3,
        article_id=passage.article_id,
        start=start,
        end=start + len(word),
        margin=0.1,
        log_probability=-0.1,
        retrieval_score=0.7,
    )


def _crash(library: Path, start: Path, where: Path) -> None:
    """Until a process comes through alive."""
    killed, n = True, 0
    while killed:
        n += 1
        out = where / str(n)
        shutil.copytree(start, out) if start.exists() else where.mkdir(exist_ok=True)
        child = os.fork()
        if child == 0:
            _die_at(n, out)
            run_words(Library(library), out, INPUTS, questions=QUESTIONS[:4])
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    sys.exit(status)


def _die_at(n: int, out: Path) -> None:
    """Kill this process when it is about to change the folder, or to open a file of it for writing, the n-th time."""
    left = n

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in _CHANGES) and str(arguments[0]).startswith(str(out)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run_words(Library(Path(sys.argv[2])), Path(sys.argv[3]), INPUTS, seconds=0.015)
    else:
        _crash(*(Path(argument) for argument in sys.argv[2:]))
