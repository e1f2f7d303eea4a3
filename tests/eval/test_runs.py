import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from api.wiring import Archive
from eval.predictors import AnswerPredictor
from eval.questions import Question
from eval.run_folder import PassageRef, read_passages, read_predictions, read_run, read_timings, write_json, write_text
from eval.runs import check_archive, check_questions, is_finished, run, sample
from eval.scores import score, scores_document
from index.errors import DatasetError
from index.library import Library
from qa.pipeline import Pipeline, checked_question
from tests.conftest import IDLIB, SUEZ
from tests.eval.wordy import INPUTS, N_QUESTIONS, OTHER, QUESTIONS, WordPredictor, run_words, ship_text
from tests.index.parts import new_article, new_library

SOLDIERS = Question(
    question_id="soldiers",
    question="How many Turkish soldiers were killed in Idlib?",
    answers=("33", "at least 33"),
    article_ids=("idlib",),
    type="how many",
    hard=("number", "paraphrase"),
    split="tune",
)
SHIP = Question(
    question_id="ship\u2028",
    question=" Which canal did the Ever Given run aground in?\u2028",
    answers=("Suez Canal", "the Suez Canal"),
    article_ids=("suez",),
)
PERU = Question(question_id="peru", question="What is the capital of Peru?", answers=(), article_ids=())
ASKED = [SOLDIERS, SHIP, PERU]
ROOT = Path(__file__).parents[2]
SAME = ("predictions.jsonl", "passages.jsonl", "run.json")
SEED = time.time_ns() % 10**6


@pytest.fixture
def ships(tmp_path: Path) -> Library:
    """An article of three passages for each question of `wordy`."""
    articles = [new_article(f"ship-{i}", ship_text(i), seed=i) for i in range(N_QUESTIONS)]
    return new_library(tmp_path / "ships", *articles)


def same_bytes(folder: Path) -> dict[str, bytes]:
    """The files that must be the same in every run of the same inputs."""
    return {name: (folder / name).read_bytes() for name in SAME}


def stopped(library: Library, out: Path, n: int, questions: Sequence[Question] = QUESTIONS) -> None:
    """A run that was interrupted after `n` questions."""

    def stop(done: int) -> None:
        if done == n:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(questions, WordPredictor(library, k=2), library, out, facts={"inputs": INPUTS}, on_progress=stop)


def test_two_runs_give_the_same_bytes_and_their_own_timings(
    pipeline: Pipeline, archive: Archive, tmp_path: Path
) -> None:
    facts = {"inputs": {"settings": {"min_confidence": 0.3}, "dataset": {"name": "made"}}}
    for name in ("deep/one", "two"):
        steps: list[int] = []
        predictor = AnswerPredictor(pipeline, archive.library, k=10)
        run(ASKED, predictor, archive.library, tmp_path / name, facts=facts, on_progress=steps.append)
        assert steps == [0, 1, 2, 3]
        write_json(tmp_path / name / "scores.json", scores_document(score(read_predictions(tmp_path / name), 0.3)))
    one, two = tmp_path / "deep" / "one", tmp_path / "two"
    assert same_bytes(one) == same_bytes(two)
    assert (one / "scores.json").read_bytes() == (two / "scores.json").read_bytes()
    timings = read_timings(one)
    assert {stage: len(values) for stage, values in timings.items()} == dict.fromkeys(timings, 3)
    assert (timings["retrieve_ms"] > 0).all()
    assert (timings["read_ms"] > 0).all()
    ids = [json.loads(line)["question_id"] for line in (one / "timings.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert ids == ["soldiers", "ship\u2028", "peru"]
    assert not (one / ".partial").exists()


def test_what_is_saved_can_be_checked_against_the_articles(
    pipeline: Pipeline, archive: Archive, tmp_path: Path
) -> None:
    facts = {"inputs": {"settings": {"min_confidence": 0.3}, "dataset": {"name": "made"}}}
    predictor = AnswerPredictor(pipeline, archive.library, k=10)
    run(ASKED, predictor, archive.library, tmp_path, facts=facts, on_progress=lambda _: None)
    read, passages = read_predictions(tmp_path), read_passages(tmp_path)
    articles = {"idlib": IDLIB, "suez": SUEZ}

    assert [p.question for p in read] == ASKED
    for p in read:
        assert p.no_answer_probability + sum(c.confidence for c in p.candidates) == pytest.approx(1, abs=1e-4)
        for c in p.candidates:
            assert articles[c.article_id].text[c.start : c.end] == c.text
    assert passages.keys() == {place for p in read for place in (*p.gold_passages, *(r.place for r in p.passages))}
    for place, passage in passages.items():
        article = articles[place.article_id]
        assert (passage.place, passage.title) == (place, article.title)
        assert passage.text == article.text[place.start : place.end]


def test_passages_are_saved_once_each_by_article_and_place(ships: Library, tmp_path: Path) -> None:
    twice = [QUESTIONS[11], QUESTIONS[2], QUESTIONS[11]]
    run_words(ships, tmp_path / "out", OTHER, questions=twice)  # reads one passage of three; all three are gold
    lines = (tmp_path / "out" / "passages.jsonl").read_text("utf-8").split("\n")[:-1]
    expected = []
    for number in (11, 2):  # by id
        start = 0
        for text in ship_text(number).splitlines(keepends=True):
            place = {"article_id": f"ship-{number}", "start": start, "end": start + len(text)}
            expected.append({"place": place, "title": "", "text": text})
            start += len(text)
    assert [json.loads(line) for line in lines] == expected
    assert len(expected) == 6


@pytest.mark.parametrize("n", [0, 1, N_QUESTIONS - 1, N_QUESTIONS])
def test_a_stopped_run_goes_on_where_it_was(ships: Library, tmp_path: Path, n: int) -> None:
    run_words(ships, tmp_path / "whole", INPUTS)
    stopped(ships, tmp_path / "out", n)
    with pytest.raises(DatasetError, match="no finished run here"):
        read_predictions(tmp_path / "out")
    assert run_words(ships, tmp_path / "out", INPUTS) == list(range(n, N_QUESTIONS + 1))
    assert same_bytes(tmp_path / "out") == same_bytes(tmp_path / "whole")
    assert len(read_timings(tmp_path / "out")["total_ms"]) == N_QUESTIONS


def without_last_line(data: bytes) -> bytes:
    return data[: data.rindex(b"\n", 0, -1) + 1]


def half_a_character(data: bytes) -> bytes:
    torn = data[: data.rindex("ř".encode()) + 1]
    with pytest.raises(UnicodeDecodeError):
        torn.decode()
    return torn


@pytest.mark.parametrize(
    ("name", "tear", "kept"),
    [
        ("predictions.jsonl", lambda data: data + b'{"question_id":"q3","que', 3),
        ("predictions.jsonl", lambda data: data[:-1], 2),  # whole but for its end
        ("predictions.jsonl", half_a_character, 2),
        ("predictions.jsonl", without_last_line, 2),  # timings are longer
        ("predictions.jsonl", lambda _: b"", 0),
        ("timings.jsonl", lambda data: data + b'{"question_id":', 3),
        ("timings.jsonl", lambda data: data[:-9], 2),
        ("timings.jsonl", without_last_line, 2),  # predictions are longer
        ("timings.jsonl", lambda _: b"", 0),
    ],
)
def test_torn_lines_are_asked_again(
    ships: Library, tmp_path: Path, name: str, tear: Callable[[bytes], bytes], kept: int
) -> None:
    questions = QUESTIONS[:5]
    run_words(ships, tmp_path / "whole", INPUTS, questions=questions)
    stopped(ships, tmp_path / "out", 3, questions)
    file = tmp_path / "out" / ".partial" / name
    file.write_bytes(tear(file.read_bytes()))
    assert run_words(ships, tmp_path / "out", INPUTS, questions=questions) == list(range(kept, 6))
    assert same_bytes(tmp_path / "out") == same_bytes(tmp_path / "whole")
    ids = [json.loads(line)["question_id"] for line in (tmp_path / "out" / "timings.jsonl").read_text().splitlines()]
    assert ids == ["q0", "q1", "q2", "q3", "q4"]


@pytest.mark.parametrize("line", [b"\0" * 40 + b"\n", b"\xff\n", b"{}\n", b"null\n"])
def test_a_damaged_line_of_a_stopped_run_is_refused_not_guessed(ships: Library, tmp_path: Path, line: bytes) -> None:
    stopped(ships, tmp_path, 3)
    file = tmp_path / ".partial" / "predictions.jsonl"
    file.write_bytes(file.read_bytes().split(b"\n")[0] + b"\n" + line)
    with pytest.raises(DatasetError, match=r"\.partial: the stopped run is damaged .*; remove it to start again"):
        run_words(ships, tmp_path, INPUTS)


def run_and_kill(library: Path, out: Path, rng: np.random.Generator) -> None:
    """Start the run in a process of its own and kill it a while after it has done something."""
    lines = out / ".partial" / "predictions.jsonl"
    before = lines.stat().st_size if lines.exists() else 0
    with subprocess.Popen(
        [sys.executable, "-m", "tests.eval.wordy", "run", str(library), str(out)], cwd=ROOT
    ) as process:
        while process.poll() is None and not (lines.exists() and lines.stat().st_size > before):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.06))
        process.kill()
    assert process.returncode == -signal.SIGKILL, f"seed {SEED}: the run was over before it could be killed"


def test_a_run_killed_at_random_moments_gives_the_same_bytes(ships: Library, tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    run_words(ships, tmp_path / "whole", INPUTS)
    for _ in range(4):
        run_and_kill(ships.folder, tmp_path / "out", rng)
    progress = run_words(ships, tmp_path / "out", INPUTS)
    assert 4 <= progress[0] < N_QUESTIONS, f"seed {SEED}"
    assert same_bytes(tmp_path / "out") == same_bytes(tmp_path / "whole"), f"seed {SEED}"
    ids = [json.loads(line)["question_id"] for line in (tmp_path / "out" / "timings.jsonl").read_text().splitlines()]
    assert ids == [question.question_id for question in QUESTIONS], f"seed {SEED}"


def found_in(folder: Path) -> dict[str, bytes] | None:
    """The files of the finished run that the folder holds; None where every reader says that there is none."""
    try:
        read_run(folder)
    except DatasetError:
        for read in (read_predictions, read_passages, read_timings):
            with pytest.raises(DatasetError, match="no finished run here"):
                read(folder)
        return None
    assert len(read_predictions(folder)) == len(read_timings(folder)["total_ms"]) > 0
    assert len(read_passages(folder)) > 0
    return same_bytes(folder)


@pytest.mark.parametrize("earlier", [False, True])
def test_killed_at_any_step_a_folder_holds_one_run_or_none_and_goes_on(
    ships: Library, tmp_path: Path, *, earlier: bool
) -> None:
    questions = QUESTIONS[:4]
    run_words(ships, tmp_path / "whole", INPUTS, questions=questions)
    whole, before, start = same_bytes(tmp_path / "whole"), None, tmp_path / "start"
    if earlier:
        run_words(ships, start, OTHER, questions=QUESTIONS[2:5])
        before = same_bytes(start)
    (tmp_path / "crashed").mkdir()
    folders = [str(folder) for folder in (ships.folder, start, tmp_path / "crashed")]
    subprocess.run([sys.executable, "-m", "tests.eval.wordy", "crash", *folders], cwd=ROOT, check=True)

    states = []
    for n in range(1, len(list((tmp_path / "crashed").iterdir())) + 1):
        folder = tmp_path / "crashed" / str(n)
        left = found_in(folder)
        assert left in (before, None, whole), n
        states.append("whole" if left == whole else "none" if left is None else "before")
        run_words(ships, folder, INPUTS, questions=questions)
        assert found_in(folder) == whole, n
        assert not (folder / ".partial").exists()
    # The earlier run until the switch, the new one from its end on: nothing goes back.
    assert states == sorted(states, key=["before", "none", "whole"].index)
    assert set(states) == ({"before", "none", "whole"} if earlier else {"none", "whole"})
    assert len(states) > 12


def test_a_run_that_was_stopped_in_its_switch_is_finished_without_asking(ships: Library, tmp_path: Path) -> None:
    questions = QUESTIONS[:4]
    run_words(ships, tmp_path / "whole", INPUTS, questions=questions)
    out = tmp_path / "out"
    run_words(ships, out, INPUTS, questions=questions)
    (out / ".partial").mkdir()
    for name in ("timings.jsonl", "run.json"):
        (out / name).replace(out / ".partial" / name)
    assert found_in(out) is None
    assert run_words(ships, out, INPUTS, questions=questions) == [4]
    assert found_in(out) == same_bytes(tmp_path / "whole")


def test_a_switch_that_was_stopped_is_ended_before_another_run_begins(ships: Library, tmp_path: Path) -> None:
    run_words(ships, tmp_path, INPUTS, questions=QUESTIONS[:4])
    finished = same_bytes(tmp_path)
    (tmp_path / ".partial").mkdir()
    (tmp_path / "run.json").replace(tmp_path / ".partial" / "run.json")
    seen: list[dict[str, bytes] | None] = []
    predictor = WordPredictor(ships, k=1)
    run(
        QUESTIONS[:2], predictor, ships, tmp_path, facts={"inputs": OTHER},
        on_progress=lambda _: seen.append(found_in(tmp_path)),
    )  # fmt: skip
    assert seen == [finished] * 3
    assert len(read_predictions(tmp_path)) == 2


def test_other_inputs_and_other_questions_are_refused_by_name(ships: Library, tmp_path: Path) -> None:
    stopped(ships, tmp_path, 3)
    left = (tmp_path / ".partial" / "predictions.jsonl").read_bytes()
    other = {**INPUTS, "settings": OTHER["settings"], "archive": {"sha256": "5"}}
    with pytest.raises(DatasetError, match=r"a stopped run is here that was made with other archive, settings; name"):
        run_words(ships, tmp_path, other)
    with pytest.raises(DatasetError, match="the stopped run asked other questions"):
        run_words(ships, tmp_path, INPUTS, questions=QUESTIONS[1:])
    with pytest.raises(DatasetError, match="the stopped run asked other questions"):
        run_words(ships, tmp_path, INPUTS, questions=QUESTIONS[:2])
    assert (tmp_path / ".partial" / "predictions.jsonl").read_bytes() == left
    assert run_words(ships, tmp_path, INPUTS)[0] == 3


def test_inputs_are_compared_as_json_knows_them(ships: Library, tmp_path: Path) -> None:
    questions = QUESTIONS[:4]
    inputs = {**INPUTS, "settings": {**INPUTS["settings"], "limit": None, "words": ("a", "b")}}
    with pytest.raises(KeyboardInterrupt):
        run(questions, WordPredictor(ships, k=2), ships, tmp_path, facts={"inputs": inputs}, on_progress=interrupt)
    assert run_words(ships, tmp_path, inputs, questions=questions) == [0, 1, 2, 3, 4]
    assert is_finished(tmp_path, {"inputs": inputs}, questions)


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


def test_an_earlier_run_stays_readable_while_a_new_one_goes_on_and_after_it_was_stopped(
    ships: Library, tmp_path: Path
) -> None:
    run_words(ships, tmp_path, OTHER, questions=QUESTIONS[:3])
    before, seen = found_in(tmp_path), []

    def look(done: int) -> None:
        seen.append(found_in(tmp_path))
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(QUESTIONS, WordPredictor(ships, k=2), ships, tmp_path, facts={"inputs": INPUTS}, on_progress=look)
    assert before is not None
    assert seen == [before] * 6
    assert found_in(tmp_path) == before
    derived = [tmp_path / name for name in ("scores.json", "latency.json", "squad_predictions.json", "report.html")]
    for file in derived:
        write_text(file, "of the earlier run")
    assert run_words(ships, tmp_path, INPUTS)[0] == 5
    assert read_run(tmp_path).settings == INPUTS["settings"]
    assert not any(file.exists() for file in derived)


def test_two_processes_do_not_run_into_one_folder(ships: Library, tmp_path: Path) -> None:
    refused: list[str] = []

    def second(_: int) -> None:
        with pytest.raises(DatasetError, match="another process is running into this folder") as caught:
            run_words(ships, tmp_path, INPUTS)
        refused.append(str(caught.value))

    run(QUESTIONS[:2], WordPredictor(ships, k=2), ships, tmp_path, facts={"inputs": INPUTS}, on_progress=second)
    assert len(refused) == 3
    assert [p.question for p in read_predictions(tmp_path)] == QUESTIONS[:2]


def test_an_article_that_goes_away_while_it_is_asked_fails_the_run(ships: Library, tmp_path: Path) -> None:
    def remove(done: int) -> None:
        if done == 3:
            ships.remove("ship-1")

    with pytest.raises(DatasetError, match="article 'ship-1' was changed while it was asked"):
        run(QUESTIONS[:4], WordPredictor(ships, k=2), ships, tmp_path, facts={"inputs": INPUTS}, on_progress=remove)
    assert found_in(tmp_path) is None


def test_whether_a_run_is_finished(ships: Library, tmp_path: Path) -> None:
    facts, questions = {"inputs": INPUTS}, QUESTIONS[:4]
    assert not is_finished(tmp_path / "out", facts, questions)
    stopped(ships, tmp_path / "out", 4, questions)
    assert not is_finished(tmp_path / "out", facts, questions)
    run_words(ships, tmp_path / "out", INPUTS, questions=questions)
    assert is_finished(tmp_path / "out", facts, questions)
    assert is_finished(tmp_path / "out", {**facts, "machine": "another"}, questions)
    assert not is_finished(tmp_path / "out", {"inputs": OTHER}, questions)
    assert not is_finished(tmp_path / "out", facts, questions[:3])
    assert not is_finished(tmp_path / "out", facts, QUESTIONS[:5])
    write_text(tmp_path / "out" / "predictions.jsonl", "{}\n")
    with pytest.raises(DatasetError, match=r"predictions\.jsonl, line 1: damaged"):
        is_finished(tmp_path / "out", facts, questions)


def test_a_sample_is_random_by_seed_and_in_order() -> None:
    questions = QUESTIONS[:50]
    one, same, other = sample(questions, 10, 7), sample(questions, 10, 7), sample(questions, 10, 8)
    assert one == same != other
    places = [questions.index(question) for question in one]
    assert places == sorted(set(places))
    assert len(places) == 10
    assert sample(questions, None, 7) == sample(questions, 50, 7) == sample(questions, 99, 7) == questions


def test_every_question_is_as_likely_to_be_in_a_sample() -> None:
    counts = dict.fromkeys(QUESTIONS[:10], 0)
    for seed in range(1000):
        for question in sample(QUESTIONS[:10], 3, seed):
            counts[question] += 1
    assert sum(counts.values()) == 3000
    assert 240 < min(counts.values()) <= max(counts.values()) < 360  # four standard deviations


def test_questions_that_cannot_be_asked_are_named_before_any_is() -> None:
    check_questions(ASKED, checked_question)
    for text, problem in (("?", "the question is empty"), ("x" * 1001, "has 1001 characters")):
        bad = Question(question_id="bad", question=text, answers=(), article_ids=())
        with pytest.raises(DatasetError, match=f"question 'bad': .*{problem}"):
            check_questions([*ASKED, bad], checked_question)


def test_an_archive_without_the_gold_articles_is_refused(archive: Archive) -> None:
    check_archive(ASKED, archive.library)
    lost = [Question(question_id="q", question="Where?", answers=("x",), article_ids=(a,)) for a in ("lost", "gone")]
    with pytest.raises(DatasetError, match=r"2 gold articles are not in the Library .*, 'gone' for one"):
        check_archive([*ASKED, *lost], archive.library)


def test_places_sort_by_article_and_start() -> None:
    places = [PassageRef("b", 0, 2), PassageRef("a", 10, 12), PassageRef("a", 9, 20)]
    assert sorted(places) == [places[2], places[1], places[0]]
