import json
import math
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import Archive
from eval.datasets import read_dataset
from eval.runs import sample
from qa.windows import MAX_QUESTION_TOKENS
from tests.api.parts import (
    CANAL,
    MEETING,
    QUESTIONS,
    QUOTH,
    SOLDIERS,
    Quoth,
    QuothHere,
    asked,
    lines_of,
    values,
    write_lines,
    write_squad,
)
from tests.conftest import IDLIB, SUEZ

FILES = {
    "predictions.jsonl", "passages.jsonl", "timings.jsonl", "run.json", "scores.json", "latency.json",
    "squad_predictions.json", "report.html",
}  # fmt: skip
SAME_BYTES = ("predictions.jsonl", "passages.jsonl", "run.json", "scores.json", "squad_predictions.json")
RETRIEVAL = {"success@1", "success@5", "success@10", "recall@5", "recall@10", "recall@100", "mrr@10", "ndcg@10"}
SHIP_PARAGRAPH = (SUEZ.text, [("Which canal did the Ever Given run aground in?", "Suez Canal")])
RAID_PARAGRAPH = (IDLIB.text, [("How many Turkish soldiers were killed in Idlib?", "33")])


def visible(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def squad_answers(run_folder: Path) -> dict[str, str]:
    answers: dict[str, str] = json.loads((run_folder / "squad_predictions.json").read_text(encoding="utf-8"))
    return answers


def bytes_of(run_folder: Path) -> dict[str, bytes]:
    return {name: (run_folder / name).read_bytes() for name in SAME_BYTES}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("dataset") / "questions.jsonl", QUESTIONS)


@pytest.fixture(scope="module")
def first(
    quoth_here: QuothHere, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run of the Library at the threshold 0.1, and what the command said; to be looked at, not changed."""
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, quoth_here("eval", "run", dataset, "--out", out, "--min-confidence", "0.1")


@pytest.fixture
def copied(first: tuple[Path, object], tmp_path: Path) -> Path:
    """The run, to be changed."""
    return Path(shutil.copytree(first[0], tmp_path / "copied"))


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """Of two queries, one finds its document first, the other, longer than any question may be, second."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": article.article_id, "title": article.title, "text": article.text} for article in (IDLIB, SUEZ)]
    write_lines(folder / "corpus.jsonl", documents)
    write_lines(
        folder / "queries.jsonl", [{"_id": "1", "text": "ship in the canal"}, {"_id": "2", "text": "air raid " * 120}]
    )
    judged = "query-id\tcorpus-id\tscore\n1\tsuez\t2\n1\tidlib\t0\n2\tsuez\t1\n"
    (folder / "qrels" / "test.tsv").write_text(judged, encoding="utf-8")
    return folder


def test_a_run_of_the_library_is_scored_and_told(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, told = first
    assert visible(out) == FILES
    answers = squad_answers(out)
    assert "33" in answers["soldiers"]
    assert "Suez Canal" in answers["canal"]
    found = values(out)
    assert found["success@1"] == 1.0
    assert found["citation_valid"] == 1.0
    assert found["answered"] == sum(bool(answer) for answer in answers.values()) / 4
    scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    assert scores["min_confidence"] == 0.1
    assert {name: group["n"] for name, group in scores["by_split"].items()} == {"report": 2, "tune": 2}

    assert "All 4 questions, in %" in told.stdout
    assert "[/red]" in told.stdout  # the name of a group is no markup
    assert "Where F1 is lost" in told.stdout
    assert "confidence >= 0.100" in told.stdout
    assert "4/4" in told.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "questions.jsonl" in page
    assert "[/red]" in page


def test_a_second_run_gives_the_same_bytes_and_json_alone_on_stdout(
    filled: Settings, dataset: Path, first: tuple[Path, object], tmp_path: Path
) -> None:
    out = tmp_path / "second"
    told = Quoth(filled)("eval", "run", dataset, "--out", out, "--min-confidence", "0.1", "--json")

    assert bytes_of(out) == bytes_of(first[0])
    assert told.stdout == (out / "scores.json").read_text(encoding="utf-8")
    assert json.loads(told.stdout)["everything"]["n"] == 4


def test_the_library_may_be_named_after_the_command(
    filled: Settings, dataset: Path, first: tuple[Path, object], tmp_path: Path
) -> None:
    elsewhere = QuothHere(filled.model_copy(update={"library": tmp_path / "none"}))
    named = ("--library", filled.library, "--out", tmp_path / "named", "--min-confidence", "0.1")
    elsewhere("eval", "run", dataset, *named)
    assert bytes_of(tmp_path / "named") == bytes_of(first[0])
    refused = elsewhere("eval", "run", dataset, "--out", tmp_path / "unnamed", code=1)
    assert "no Library here yet" in refused.stderr


def test_a_squad_file_is_its_own_archive_which_is_built_once(
    quoth_here: QuothHere, filled: Settings, tmp_path: Path
) -> None:
    squad = write_squad(tmp_path / "dev.json", [RAID_PARAGRAPH, SHIP_PARAGRAPH], version="1.1")
    built = quoth_here("eval", "run", squad, "--out", tmp_path / "one", "--min-confidence", "0")
    (archive,) = (filled.cache / "eval").iterdir()
    made = (archive / "library.sqlite3").stat().st_mtime_ns
    again = quoth_here("eval", "run", squad, "--out", tmp_path / "two", "--min-confidence", "0")

    assert "Building the archive" in built.stderr
    assert "Building the archive" not in again.stderr
    assert [archive] == list((filled.cache / "eval").iterdir())
    assert (archive / "library.sqlite3").stat().st_mtime_ns == made
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    answers = squad_answers(tmp_path / "one")
    assert set(answers) == {"q0", "q1"}
    assert "33" in answers["q0"]
    assert "Suez Canal" in answers["q1"]
    assert values(tmp_path / "one")["squad1_f1"] == values(tmp_path / "one")["f1"] > 0.6
    titles = {passage["title"] for passage in lines_of(tmp_path / "one" / "passages.jsonl")}
    assert titles == {"Some news"}


def test_questions_without_an_answer_in_a_v2_file(quoth_here: QuothHere, tmp_path: Path) -> None:
    nothing = (SUEZ.text, [("What is the capital of Peru?", ""), ("Who wrote the opera?", "")])
    squad = write_squad(tmp_path / "v2.json", [RAID_PARAGRAPH, nothing], version="v2.0")
    quoth_here("eval", "run", squad, "--out", tmp_path / "run", "--min-confidence", "1")

    refused = values(tmp_path / "run")
    assert (refused["em"], refused["f1"]) == (0.666667, 0.666667)
    assert (refused["rightly_refused"], refused["has_answer_f1"], refused["wrongly_refused"]) == (1.0, 0.0, 1.0)
    assert "squad1_em" not in refused
    assert "citation_valid" not in refused  # nothing was given
    assert squad_answers(tmp_path / "run") == {"q0": "", "q1": "", "q2": ""}


def test_natural_questions_are_scored_without_knowing_the_article(quoth_here: QuothHere, tmp_path: Path) -> None:
    natural = [
        {"question": SOLDIERS["question"], "answer": ["33", "at least 33"]},
        {"question": CANAL["question"], "answer": ["the Suez Canal"]},
    ]
    file = write_lines(tmp_path / "nq.jsonl.gz", natural)
    quoth_here("eval", "run", file, "--out", tmp_path / "run", "--min-confidence", "0")

    found = values(tmp_path / "run")
    assert found["answer_recall@1"] == 1.0
    assert found["f1"] > 0.6
    assert not {"success@1", "recall@5", "mrr@10", "citation_correct"} & set(found)
    assert set(squad_answers(tmp_path / "run")) == {"line-1", "line-2"}
    said = quoth_here("eval", "run", file, "--out", tmp_path / "oracle", "--oracle", code=2).stderr
    assert "--oracle" in said
    assert not (tmp_path / "oracle").exists()


def test_a_beir_folder_is_scored_for_retrieval_alone(quoth_here: QuothHere, beir: Path, tmp_path: Path) -> None:
    told = quoth_here("eval", "run", beir, "--out", tmp_path / "run")

    found = values(tmp_path / "run")
    assert set(found) == RETRIEVAL
    assert (found["success@1"], found["success@5"], found["recall@100"]) == (0.5, 1.0, 1.0)
    assert found["mrr@10"] == 0.75
    assert found["ndcg@10"] == pytest.approx((1 + 1 / math.log2(3)) / 2, abs=1e-6)
    assert "confidence" not in told.stdout
    assert "Where F1 is lost" not in told.stdout
    assert "Warning" not in told.stderr
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "ndcg@10" in page
    assert ">nan" not in page.lower()
    assert "Wrong answers" not in page


def test_the_oracle_reads_the_gold_passages_alone(quoth_here: QuothHere, dataset: Path, tmp_path: Path) -> None:
    quoth_here("eval", "run", dataset, "--out", tmp_path / "run", "--oracle", "--min-confidence", "0")

    read = {
        line["question_id"]: [p["place"]["article_id"] for p in line["passages"]]
        for line in lines_of(tmp_path / "run" / "predictions.jsonl")
    }
    assert read == {"soldiers": ["idlib"], "meeting": ["idlib"], "canal": ["suez"], "peru": []}
    assert squad_answers(tmp_path / "run")["peru"] == ""
    assert values(tmp_path / "run")["success@1"] == 1.0


def test_a_sample_is_drawn_by_its_seed_from_the_same_archive(
    quoth_here: QuothHere, dataset: Path, first: tuple[Path, object], tmp_path: Path
) -> None:
    quoth_here("eval", "run", dataset, "--out", tmp_path / "run", "--limit", "2", "--seed", "5")

    drawn = lines_of(tmp_path / "run" / "predictions.jsonl")
    expected = {question.question_id for question in sample(read_dataset(dataset).questions, 2, 5)}
    assert len(drawn) == 2
    assert drawn == [line for line in lines_of(first[0] / "predictions.jsonl") if line["question_id"] in expected]
    inputs = [json.loads((out / "run.json").read_text())["inputs"] for out in (first[0], tmp_path / "run")]
    assert inputs[0]["archive"] == inputs[1]["archive"]
    assert (inputs[1]["settings"]["limit"], inputs[1]["settings"]["seed"]) == (2, 5)


def test_one_split_is_asked_and_an_unknown_one_named(quoth_here: QuothHere, dataset: Path, tmp_path: Path) -> None:
    quoth_here("eval", "run", dataset, "--out", tmp_path / "run", "--split", "report", "--passages", "1")

    lines = lines_of(tmp_path / "run" / "predictions.jsonl")
    assert [line["question_id"] for line in lines] == ["meeting", "peru"]
    assert {len(line["passages"]) for line in lines} == {1}
    said = quoth_here("eval", "run", dataset, "--out", tmp_path / "other", "--split", "reports", code=1).stderr
    assert "no question has the split 'reports'; there are: report, tune" in said
    assert not (tmp_path / "other").exists()


def test_a_question_that_is_too_long_to_be_read_stops_a_run_before_any_is_asked(
    quoth_here: QuothHere, tmp_path: Path
) -> None:
    long = asked("long", "why " * (MAX_QUESTION_TOKENS + 1), ["33"], ["idlib"])
    file = write_lines(tmp_path / "long.jsonl", [SOLDIERS, long])
    for command, options in (("run", ()), ("sweep", ("--passages", "1"))):
        said = quoth_here("eval", command, file, "--out", tmp_path / "run", *options, code=1).stderr
        assert f"question 'long': the question has {MAX_QUESTION_TOKENS + 1} tokens" in " ".join(said.split())
        assert not (tmp_path / "run").exists()


def test_bad_records_stop_a_run_unless_they_are_left_out_by_name(quoth_here: QuothHere, tmp_path: Path) -> None:
    bad = asked("bad", "[b]Who?[/b]", ["someone"], [])
    file = write_lines(tmp_path / "mixed.jsonl", [SOLDIERS, bad, {"question_id": "[/x]"}])

    said = quoth_here("eval", "run", file, "--out", tmp_path / "run", code=1).stderr
    assert "2 bad records" in said
    assert "mixed.jsonl, line 2: " in said
    assert not (tmp_path / "run").exists()

    told = quoth_here("eval", "run", file, "--out", tmp_path / "run", "--skip-bad", "--json")
    assert told.stderr.count("left out: mixed.jsonl, line ") == 2
    assert json.loads(told.stdout)["everything"]["n"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--limit", "0"), "--limit"),
        (("--seed", "-1"), "--seed"),
        (("--passages", "101"), "--passages"),
        (("--min-confidence", "nan"), "--min-confidence"),
    ],
)
def test_wrong_usage_names_the_option(
    quoth_here: QuothHere, dataset: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert says in quoth_here("eval", "run", dataset, "--out", tmp_path / "run", *arguments, code=2).stderr
    assert not (tmp_path / "run").exists()


def test_a_run_needs_a_dataset_and_a_folder(quoth_here: QuothHere, dataset: Path, tmp_path: Path) -> None:
    assert "--out" in quoth_here("eval", "run", dataset, code=2).stderr
    assert "DATASET" in quoth_here("eval", "run", "--out", tmp_path / "run", code=2).stderr
    said = quoth_here("eval", "run", tmp_path / "none.json", "--out", tmp_path / "run", code=1).stderr
    assert "none.json: cannot be read" in said
    said = quoth_here("eval", "run", dataset, "--out", "/proc/nowhere/run", code=1).stderr
    assert "/proc/nowhere" in said
    assert "Traceback" not in said
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert "taken" in quoth_here("eval", "run", dataset, "--out", taken, code=2).stderr
    assert taken.read_text() == "mine"


def test_a_library_without_the_gold_articles_is_the_wrong_one(quoth_here: QuothHere, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "q.jsonl", [SOLDIERS, asked("x", "Who landed on Mars?", ["Ann"], ["mars"])])

    said = quoth_here("eval", "run", file, "--out", tmp_path / "run", code=1).stderr
    assert "1 gold articles are not in the Library" in said
    assert "'mars'" in said
    assert "--library" in said
    assert not (tmp_path / "run").exists()


def test_a_killed_run_leaves_the_earlier_one_and_goes_on(
    filled: Settings, quoth_here: QuothHere, dataset: Path, copied: Path, tmp_path: Path
) -> None:
    many = write_lines(
        tmp_path / "many.jsonl",
        [{**record, "question_id": f"q{i}"} for i, record in enumerate([SOLDIERS, MEETING, CANAL] * 15)],
    )
    earlier = bytes_of(copied)
    command = [QUOTH, "eval", "run", str(many), "--out", str(copied)]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, env=Quoth(filled).environment, stdout=log, stderr=log) as process,
    ):
        begun = copied / ".partial" / "predictions.jsonl"
        while process.poll() is None and not (begun.exists() and begun.read_bytes().count(b"\n") > 3):
            time.sleep(0.005)
        process.kill()
        assert process.wait() < 0, (tmp_path / "log").read_text()
    assert bytes_of(copied) == earlier

    said = quoth_here("eval", "run", dataset, "--out", copied, code=1).stderr
    assert "a stopped run is here" in said
    assert bytes_of(copied) == earlier

    n_done = begun.read_bytes().count(b"\n")
    kept = begun.read_bytes()
    quoth_here("eval", "run", many, "--out", copied)
    quoth_here("eval", "run", many, "--out", tmp_path / "whole")
    assert 3 < n_done < 45
    assert bytes_of(copied) == bytes_of(tmp_path / "whole")
    assert (copied / "predictions.jsonl").read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert visible(copied) == FILES
    assert not (copied / ".partial").exists()


def test_scoring_again_follows_the_threshold_and_runs_no_model(quoth_here: QuothHere, copied: Path) -> None:
    untouched = {name: (copied / name).read_bytes() for name in ("predictions.jsonl", "passages.jsonl", "run.json")}
    as_run = bytes_of(copied)

    told = quoth_here("eval", "score", copied, "--min-confidence", "1", "--json")
    assert json.loads(told.stdout)["min_confidence"] == 1.0
    assert set(squad_answers(copied).values()) == {""}
    assert (values(copied)["em"], values(copied)["answered"]) == (0.25, 0.0)
    assert told.stderr == ""

    assert "confidence >= 0.000" in quoth_here("eval", "score", copied, "--min-confidence", "0").stdout
    assert all(squad_answers(copied).values())
    assert (values(copied)["answered"], values(copied)["rightly_refused"]) == (1.0, 0.0)

    quoth_here("eval", "score", copied)  # the run's own threshold
    assert bytes_of(copied) == as_run
    assert untouched == {name: (copied / name).read_bytes() for name in untouched}


def test_the_report_is_written_again_under_another_threshold_too(quoth_here: QuothHere, copied: Path) -> None:
    page = copied / "report.html"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    assert quoth_here("eval", "report", copied).stdout.strip() == str(page)
    assert page.read_text(encoding="utf-8").replace("copied", "first") == before

    quoth_here("eval", "report", copied, "--min-confidence", "0.9")
    assert "0.900" in page.read_text(encoding="utf-8")
    assert json.loads((copied / "scores.json").read_text())["min_confidence"] == 0.1


def test_an_answer_that_cannot_be_read_again_fails_the_score(quoth_here: QuothHere, copied: Path) -> None:
    lines = lines_of(copied / "predictions.jsonl")
    wrong = next(line for line in lines if line["question_id"] == "soldiers")
    wrong["citation_valid"] = False
    write_lines(copied / "predictions.jsonl", lines)
    n_given = sum(bool(answer) for answer in squad_answers(copied).values())

    failed = quoth_here("eval", "score", copied, "--json", code=1)
    assert f"1 of {n_given} given answers are not in their articles where they say" in failed.stderr
    assert json.loads(failed.stdout)["everything"]["values"]["citation_valid"]["value"] < 1
    assert values(copied)["citation_valid"] == pytest.approx(1 - 1 / n_given, abs=1e-6)
    quoth_here("eval", "report", copied)
    assert "This run does not count" in (copied / "report.html").read_text(encoding="utf-8")
    quoth_here("eval", "score", copied, "--min-confidence", "1")  # it was not given


def test_a_run_of_an_article_that_is_not_as_it_was_stored_fails_and_is_reported(
    quoth: Quoth, archive: Archive, dataset: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(archive.library.folder / "library.sqlite3")) as database, database:
        database.execute("UPDATE articles SET text = text || '!' WHERE article_id = 'idlib'")
    failed = quoth("eval", "run", dataset, "--out", tmp_path / "run", "--min-confidence", "0", code=1)

    assert "given answers are not in their articles where they say: this run has failed" in failed.stderr
    assert visible(tmp_path / "run") == FILES
    valid = {line["question_id"]: line["citation_valid"] for line in lines_of(tmp_path / "run" / "predictions.jsonl")}
    assert (valid["soldiers"], valid["canal"]) == (False, True)
    assert "This run does not count" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_folder_without_a_run_or_with_a_damaged_one_is_named(quoth_here: QuothHere, copied: Path) -> None:
    assert f"{copied.parent}: no finished run here" in quoth_here("eval", "score", copied.parent, code=1).stderr
    assert "nowhere: no finished run here" in quoth_here("eval", "report", "nowhere", code=1).stderr

    whole = (copied / "predictions.jsonl").read_text(encoding="utf-8")
    scores = (copied / "scores.json").read_bytes()
    (copied / "predictions.jsonl").write_text(whole[:-9], encoding="utf-8")
    assert "predictions.jsonl, line 4: damaged" in quoth_here("eval", "score", copied, code=1).stderr
    (copied / "predictions.jsonl").write_text(whole.replace('"candidates"', '"spans"', 1), encoding="utf-8")
    assert "predictions.jsonl, line 1: damaged" in quoth_here("eval", "report", copied, code=1).stderr
    assert (copied / "scores.json").read_bytes() == scores
    (copied / "predictions.jsonl").write_text(whole, encoding="utf-8")
    (copied / "timings.jsonl").unlink()
    assert "timings.jsonl" in quoth_here("eval", "score", copied, code=1).stderr
    (copied / "run.json").write_text("{}")
    assert "run.json" in quoth_here("eval", "score", copied, code=1).stderr
