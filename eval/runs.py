"""A run: every question of a dataset predicted, into a folder that is either finished or goes on where it stopped.

While it runs, everything is in `.partial` inside the run folder, a line a question. When the last question is done the
files change places with those of an earlier run, `run.json` last: a folder without it holds no finished run.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout

from eval.questions import Question
from eval.run_folder import (
    DERIVED,
    PASSAGES,
    PREDICTIONS,
    RUN,
    TIMINGS,
    PassageRef,
    PredictedQuestion,
    dumps,
    parse_prediction,
    prediction_line,
    read_predictions,
    read_run,
    write_json,
)
from index.errors import DatasetError, QuestionError
from index.library import Library
from qa.pipeline import Timings

PARTIAL, INPUTS = ".partial", "inputs.json"


class Predictor(Protocol):
    """Anything that predicts a question: the whole pipeline, or retrieval alone."""

    def predict(self, question: Question) -> tuple[PredictedQuestion, Timings]:
        """What is saved of it, and how long it took."""
        ...


def sample(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """`limit` random questions in dataset order, or all of them."""
    if limit is None or limit >= len(questions):
        return list(questions)
    chosen = np.random.default_rng(seed).choice(len(questions), size=limit, replace=False)
    return [questions[i] for i in sorted(chosen)]


def check_questions(questions: Sequence[Question], check: Callable[[str], object]) -> None:
    """Refuse questions that the product would not take, before any is asked.

    Args:
        questions: those to ask.
        check: raises QuestionError for what cannot be asked.

    Raises:
        DatasetError: one cannot be asked; it is named.
    """
    for question in questions:
        try:
            check(question.question)
        except QuestionError as error:
            raise DatasetError(f"question {question.question_id!r}: {error}") from error


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


def run(
    questions: Sequence[Question],
    predictor: Predictor,
    library: Library,
    out_dir: Path,
    *,
    facts: Mapping[str, Any],
    on_progress: Callable[[int], None],
) -> None:
    """Predict every question; a stop at any moment leaves an earlier run as it was and this one ready to go on.

    Args:
        questions: asked in this order.
        predictor: predicts one; must be deterministic for the bytes to be.
        library: what the passages' words are read from.
        out_dir: the run folder.
        facts: what the run is made with, for `run.json`; `facts["inputs"]` decides whether a stopped run may go on.
        on_progress: called with the number of questions done, first with those of the stopped run.

    Raises:
        DatasetError: a stopped run in the folder was made from other inputs, or another process is at work there.
    """
    partial = out_dir / PARTIAL
    out_dir.mkdir(parents=True, exist_ok=True)
    with _alone(out_dir):
        if (partial / RUN).exists():  # stopped between the files of a switch: what is left there is finished
            _switch(partial, out_dir)
            if is_finished(out_dir, facts, questions):
                on_progress(len(questions))
                return
        done = _resume(partial, questions, facts["inputs"])
        on_progress(len(done))
        _ask(questions, predictor, partial, done, on_progress)
        _write_passages(partial / PASSAGES, done, library)
        write_json(partial / RUN, facts)
        _switch(partial, out_dir)


@contextmanager
def _alone(out_dir: Path) -> Iterator[None]:
    """Two processes that write the same lines would mix them."""
    try:
        held = FileLock(out_dir / ".lock").acquire(timeout=0)
    except Timeout as error:
        raise DatasetError(f"{out_dir}: another process is running into this folder; name another one") from error
    with held:
        yield


def _ask(
    questions: Sequence[Question],
    predictor: Predictor,
    partial: Path,
    done: list[PredictedQuestion],
    on_progress: Callable[[int], None],
) -> None:
    """Predict the questions that are not done yet, each saved before the next is asked."""
    with (partial / PREDICTIONS).open("a", encoding="utf-8") as lines, (partial / TIMINGS).open("a") as timings:
        for question in questions[len(done) :]:
            predicted, timing = predictor.predict(question)
            lines.write(prediction_line(predicted) + "\n")
            lines.flush()
            timings.write(dumps({"question_id": question.question_id, **asdict(timing)}) + "\n")
            timings.flush()
            done.append(predicted)
            on_progress(len(done))


def is_finished(out_dir: Path, facts: Mapping[str, Any], questions: Sequence[Question]) -> bool:
    """Whether the folder holds a finished run of these questions, made from these inputs."""
    if not (out_dir / RUN).exists():
        return False
    same_inputs = read_run(out_dir).document["inputs"] == json.loads(json.dumps(facts["inputs"]))
    return same_inputs and [p.question for p in read_predictions(out_dir)] == list(questions)


def _resume(partial: Path, questions: Sequence[Question], inputs: Mapping[str, Any]) -> list[PredictedQuestion]:
    """What a stopped run had done, with its files cut to just that; an empty start where there is none."""
    known = partial / INPUTS
    if not known.exists():
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name in (PREDICTIONS, TIMINGS):
            (partial / name).touch()
        write_json(known, inputs)
        return []
    begun = json.loads(known.read_text(encoding="utf-8"))
    if begun != json.loads(json.dumps(inputs)):
        raise DatasetError(
            f"{partial.parent}: a stopped run is here that was made with other {_difference(begun, inputs)}; name"
            f" another folder, or remove {partial} to give it up"
        )
    return _cut(partial, questions)


def _difference(begun: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return ", ".join(sorted(name for name in {*begun, *inputs} if begun.get(name) != inputs.get(name)))


def _cut(partial: Path, questions: Sequence[Question]) -> list[PredictedQuestion]:
    """The predictions of the leading questions for which both files hold a whole line; what is behind is cut off."""
    files = [partial / PREDICTIONS, partial / TIMINGS]
    try:
        lines = [file.read_bytes().split(b"\n")[:-1] for file in files]
        n_done = min(len(found) for found in lines)
        done = [parse_prediction(line.decode()) for line in lines[0][:n_done]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DatasetError(f"{partial}: the stopped run is damaged ({error!r}); remove it to start again") from error
    for file, found in zip(files, lines, strict=True):
        os.truncate(file, sum(len(line) + 1 for line in found[:n_done]))
    if [p.question for p in done] != list(questions[:n_done]):
        raise DatasetError(f"{partial}: the stopped run asked other questions; remove it to start again")
    return done


def _write_passages(file: Path, done: Sequence[PredictedQuestion], library: Library) -> None:
    places = {place for p in done for place in (*p.gold_passages, *(passage.place for passage in p.passages))}
    by_article: dict[str, set[PassageRef]] = {}
    for place in places:
        by_article.setdefault(place.article_id, set()).add(place)
    with file.open("w", encoding="utf-8") as lines:
        for article_id in sorted(by_article):
            for stored in library.article_passages(article_id):
                place = PassageRef(article_id, stored.span.start, stored.span.end)
                if place in by_article[article_id]:
                    places.remove(place)
                    lines.write(dumps({"place": asdict(place), "title": stored.title, "text": stored.text}) + "\n")
    if places:
        raise DatasetError(f"article {min(places).article_id!r} was changed while it was asked; run it again")


def _switch(partial: Path, out_dir: Path) -> None:
    """Put a finished run in the place of an earlier one; begun again after a stop, it goes on."""
    for name in (RUN, *DERIVED):
        (out_dir / name).unlink(missing_ok=True)
    for name in (PREDICTIONS, PASSAGES, TIMINGS):
        if (partial / name).exists():
            (partial / name).replace(out_dir / name)
    # From here on nothing is left to go on with; `run.json` last, for with it the folder holds a finished run.
    (partial / INPUTS).unlink(missing_ok=True)
    (partial / RUN).replace(out_dir / RUN)
    shutil.rmtree(partial)
