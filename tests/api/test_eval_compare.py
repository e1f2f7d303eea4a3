import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from api.eval_compare import compare_command
from eval.questions import Question
from eval.run_folder import (
    PassageRef,
    PredictedCandidate,
    PredictedQuestion,
    RankedPassage,
    dumps,
    prediction_line,
    write_json,
)
from index.errors import DatasetError

TEXT = "Exactly ten ships sailed, and one <b>sank</b>."
PLACE = PassageRef("news-1", 100, 100 + len(TEXT))
EVAL_COMPARE = typer.Typer(pretty_exceptions_enable=False)
EVAL_COMPARE.command()(compare_command)


def predicted(name: str, given: str, confidence: float) -> PredictedQuestion:
    start = PLACE.start + TEXT.index(given)
    candidate = PredictedCandidate(
        text=given,
        confidence=confidence,
        article_id=PLACE.article_id,
        start=start,
        end=start + len(given),
        margin=1.0,
        log_probability=-0.1,
        retrieval_score=0.5,
    )
    return PredictedQuestion(
        question=Question(question_id=name, question=f"{name}?", answers=("ten ships",), article_ids=("news-1",)),
        candidates=(candidate,),
        no_answer_probability=0.1,
        passages=(RankedPassage(place=PLACE, retrieval_score=0.5, grade=1, holds_answer=True),),
        gold_grades=(1,),
        gold_passages=(PLACE,),
        citation_valid=True,
    )


def run_folder(folder: Path, questions: Sequence[PredictedQuestion], *, passages: int = 10) -> Path:
    """A finished run, answering at 0.5."""
    folder.mkdir()
    lines = "".join(f"{prediction_line(question)}\n" for question in questions)
    (folder / "predictions.jsonl").write_text(lines, encoding="utf-8")
    place = {"article_id": PLACE.article_id, "start": PLACE.start, "end": PLACE.end}
    (folder / "passages.jsonl").write_text(dumps({"place": place, "title": "A storm", "text": TEXT}) + "\n")
    settings = {"min_confidence": 0.5, "passages": passages}
    dataset = {"name": "made.jsonl", "sha256": "12ab"}
    write_json(
        folder / "run.json",
        {"inputs": {"settings": settings, "dataset": dataset}, "settings": settings, "dataset": dataset},
    )
    return folder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "good", [predicted(f"q{i}", "ten ships", 0.9) for i in range(60)])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Twelve questions are answered wrongly, eight refused, the rest as in `good`."""
    questions = [predicted(f"q{i}", "one <b>sank</b>", 0.8) for i in range(12)]
    questions += [predicted(f"q{i}", "ten ships", 0.4) for i in range(12, 20)]
    questions += [predicted(f"q{i}", "ten ships", 0.9) for i in range(20, 60)]
    return run_folder(tmp_path / "bad", questions, passages=1)


def compare(*arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(EVAL_COMPARE, [*map(str, arguments)], env={"COLUMNS": "160"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_an_unchanged_run_passes_its_gate(good: Path) -> None:
    shown = compare(good, good, "--gate", "f1,em,success@5")

    assert "The gate holds" in shown
    assert "f1 holds: 100.0 in A, 100.0 in B, a difference of 0.0 (95 % interval 0.0 to 0.0)" in shown
    assert "the same settings, models, data and versions" in shown
    assert "Lost: 0 questions" in shown


def test_a_worse_run_fails_with_its_reason_and_what_was_set_differently(good: Path, bad: Path) -> None:
    shown = compare(good, bad, "--gate", "f1,success@5", "--tolerance", "0.5", code=1)

    assert "The gate fails" in shown
    assert "f1 is worse: 100.0 in A, 66.7 in B, a difference of -33.3 (95 % interval -4" in shown
    assert "more than the tolerance of 0.5 points" in shown
    assert "success@5 holds" in shown
    assert next(line.split() for line in shown.splitlines() if "settings.passages" in line)[1:] == ["10", "1"]
    assert "Lost: 20 questions" in shown
    assert "B  one <b>sank</b> (0.80)" in shown
    assert "and 15 more" in shown


def test_a_better_run_passes_and_without_a_gate_nothing_fails(good: Path, bad: Path) -> None:
    assert "Won: 20 questions" in compare(bad, good, "--gate", "f1")
    assert "The gate" not in compare(good, bad)


def test_a_loss_within_the_tolerance_passes(good: Path, bad: Path) -> None:
    assert "f1 holds" in compare(good, bad, "--gate", "f1", "--tolerance", "30")


def test_one_threshold_for_both(good: Path, bad: Path) -> None:
    document = json.loads(compare(good, bad, "--min-confidence", "0.3", "--json"))
    assert (document["a"]["min_confidence"], document["b"]["min_confidence"]) == (0.3, 0.3)
    assert document["metrics"]["em"]["b"] == 0.8
    assert len(document["lost"]) == 12


def test_json_has_the_numbers_and_the_exit_code(good: Path, bad: Path) -> None:
    document = json.loads(compare(good, bad, "--gate", "f1, em", "--json", code=1))

    em = document["metrics"]["em"]
    assert (em["a"], em["b"], em["difference"], em["n"], em["only_a"], em["only_b"]) == (
        1,
        0.666667,
        -0.333333,
        60,
        20,
        0,
    )
    assert em["p"] == pytest.approx(2 / 2**20, abs=1e-6)
    assert em["low"] < -0.333333 < em["high"] < 0
    assert document["metrics"]["wrongly_refused"]["verdict"] == "worse"
    assert document["metrics"]["success@5"]["verdict"] == "no clear difference"
    assert {"name": "settings.passages", "a": "10", "b": "1"} in document["facts"]
    assert document["lost"][0] == {
        "question_id": "q0",
        "question": "q0?",
        "answers": ["ten ships"],
        "a": "ten ships",
        "b": "one <b>sank</b>",
        "f1_a": 1.0,
        "f1_b": 0.0,
    }
    assert document["won"] == []
    assert document["gate"]["passed"] is False
    assert [(word["name"], word["worse"]) for word in document["gate"]["metrics"]] == [("f1", True), ("em", True)]
    assert json.loads(compare(good, good, "--json"))["gate"] is None


def test_other_questions_are_refused_unless_the_common_ones_are_asked_for(tmp_path: Path, good: Path) -> None:
    fewer = run_folder(tmp_path / "fewer", [predicted(f"q{i}", "ten ships", 0.9) for i in range(50)])
    with pytest.raises(DatasetError, match="10 are only in A, 0 only in B"):
        compare(good, fewer)
    shown = compare(good, fewer, "--common", "--gate", "f1")
    assert "10 more questions left out" in shown
    assert "of 50 questions" in shown


def test_an_unknown_metric_is_wrong_usage_and_one_without_a_value_an_error(good: Path) -> None:
    assert "no metric is called 'f2'" in compare(good, good, "--gate", "f1,f2", code=2)
    with pytest.raises(DatasetError, match="'rightly_refused' cannot be gated"):
        compare(good, good, "--gate", "rightly_refused")


def test_the_page_shows_every_question_lost_side_by_side_with_its_passages(
    tmp_path: Path, good: Path, bad: Path
) -> None:
    page_file = tmp_path / "compared.html"
    compare(good, bad, "--gate", "f1", "--out", page_file, code=1)
    page = page_file.read_text(encoding="utf-8")

    assert all(f'dir="auto">q{i}?</span>' in page for i in range(20))
    assert "q20?" not in page
    assert "Lost (20)" in page
    assert "Won (0)" in page
    first = page[page.index(">q0?<") : page.index(">q1?<")]
    a, b = first.split("<h4>B: ")
    assert 'A: <b class="given" dir="auto">ten ships</b>' in " ".join(a.split())
    assert '<mark class="given gold">ten ships</mark>' in a
    assert '<mark class=" gold">ten ships</mark> sailed, and ' in b
    assert '<mark class="given ">one &lt;b&gt;sank&lt;/b&gt;</mark>.' in b
    refused = page[page.index(">q12?<") : page.index(">q13?<")]
    assert "held back" in refused
    assert "f1 is worse: 100.0 in A, 66.7 in B" in page
    assert "<b>sank" not in page
    assert "http" not in page


def test_the_page_of_equal_runs_says_so(tmp_path: Path, good: Path) -> None:
    page_file = tmp_path / "compared.html"
    compare(good, good, "--out", page_file)
    page = page_file.read_text(encoding="utf-8")
    assert page.count("<li>None.</li>") == 2
    assert "the same settings, models, data and versions" in page


def test_a_folder_without_a_run_is_named(tmp_path: Path, good: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: no finished run here"):
        compare(good, tmp_path / "nowhere")
