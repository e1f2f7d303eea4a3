import json
import subprocess
import sys
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import open_archive, open_pipeline
from eval.datasets import read_dataset
from index.errors import ArticleError, DatasetError
from qa.confidence import load_confidence
from qa.pipeline import Pipeline
from qa.reader import WEIGHTS
from tests.api.parts import CANAL, MEETING, PERU, QUESTIONS, SOLDIERS, write_lines, write_squad
from tests.conftest import IDLIB, SUEZ, add
from tests.training.asked_parts import GOLD, asked, candidate, drawn, write_asked
from training.asked import ask_all, read_asked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def out(tmp_path: Path, cache_dir: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the questions are written; the embedder of the other tests is there."""
    assert exported.is_dir()
    monkeypatch.setenv("QUOTH_CACHE", str(cache_dir))
    monkeypatch.setenv("QUOTH_THREADS", "1")
    return tmp_path / "asked.jsonl"


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """The two articles, as files."""
    folder = tmp_path / "articles"
    folder.mkdir()
    fields = [
        {"id": a.article_id, "title": a.title, "text": a.text, "published": str(a.published)} for a in (IDLIB, SUEZ)
    ]
    write_lines(folder / "articles.jsonl", fields)
    return folder


def check_found(out: Path, pipeline: Pipeline) -> None:
    """Confidence of what was written is that of what the pipeline finds."""
    for one in read_asked(out):
        scored, _ = load_confidence().score(one.found)
        expected = pipeline.predict(one.question).candidates
        assert [s.candidate.text for s in scored] == [s.candidate.text for s in expected]
        assert [s.confidence for s in scored] == pytest.approx([s.confidence for s in expected], abs=1e-6)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    hard = candidate("東京\u2028“33”\r\n\x00", article_id="a/\u0085b", margin=-1.0 / 3, log_probability=-1e-300)
    questions = [*drawn(5, 1), asked([hard], "33\u2028", GOLD), asked([])]

    assert read_asked(write_asked(tmp_path / "asked.jsonl", questions)) == questions


def test_the_questions_of_a_squad_file_are_asked_of_its_paragraphs(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paragraphs = [
        (IDLIB.text, [("How many Turkish soldiers were killed?", "33"), ("What is the capital of Peru?", "")]),
        (SUEZ.text, [("How long is the Ever Given?", "400 metres")]),
    ]
    dataset = write_squad(tmp_path / "made.json", paragraphs, version="v2.0")
    ask_all(dataset, out, WEIGHTS)

    written = read_asked(out)
    assert [(one.question, one.golds) for one in written] == [
        ("How many Turkish soldiers were killed?", ("33",)),
        ("What is the capital of Peru?", ()),
        ("How long is the Ever Given?", ("400 metres",)),
    ]
    assert json.loads(capsys.readouterr().out) == {"file": "asked.jsonl", "questions": 3, "articles": 2}
    assert all(one.found for one in written)

    settings = Settings(library=tmp_path / "library")
    archive = open_archive(settings, create=True)
    add(archive, *(read_dataset(dataset).articles or []))
    check_found(out, open_pipeline(archive, settings))


def test_json_lines_are_asked_of_the_articles_named_and_one_half_alone(
    tmp_path: Path, out: Path, articles: Path, pipeline: Pipeline
) -> None:
    dataset = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    ask_all(dataset, out, WEIGHTS, articles=articles, half="report")

    assert [(one.question, one.golds) for one in read_asked(out)] == [
        (MEETING["question"], ("Ankara",)),
        (PERU["question"], ()),
    ]
    check_found(out, pipeline)


def test_a_sample_is_some_of_the_questions_and_the_same_each_time(tmp_path: Path, out: Path, articles: Path) -> None:
    dataset = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    drawn_twice = []
    for _ in range(2):
        ask_all(dataset, out, WEIGHTS, articles=articles, questions=2)
        drawn_twice.append([one.question for one in read_asked(out)])
    assert drawn_twice[0] == drawn_twice[1]
    assert len(set(drawn_twice[0])) == 2
    assert set(drawn_twice[0]) < {one["question"] for one in QUESTIONS}

    ask_all(dataset, out, WEIGHTS, articles=articles, half="tune", questions=2)  # as many as there are: all, in order
    assert [one.question for one in read_asked(out)] == [SOLDIERS["question"], CANAL["question"]]


def test_the_command_takes_the_same_options(tmp_path: Path, out: Path, articles: Path) -> None:
    dataset = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    options = ["--articles", articles, "--half", "tune", "--questions", "1"]
    command = [sys.executable, "-m", "training.asked", dataset, out, WEIGHTS, *options]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True)

    (one,) = read_asked(out)
    assert one.question in {SOLDIERS["question"], CANAL["question"]}
    assert json.loads(done.stdout) == {"file": "asked.jsonl", "questions": 1, "articles": 2}


def test_questions_without_an_archive_are_refused(tmp_path: Path, out: Path) -> None:
    dataset = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    with pytest.raises(DatasetError, match=r"questions\.jsonl: brings no articles of its own; .*--articles"):
        ask_all(dataset, out, WEIGHTS)
    assert not out.exists()


def test_a_half_without_questions_is_refused(tmp_path: Path, out: Path, articles: Path) -> None:
    dataset = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    with pytest.raises(DatasetError, match="no question has the `split` 'dev'"):
        ask_all(dataset, out, WEIGHTS, articles=articles, half="dev")
    assert not out.exists()


def test_an_article_that_cannot_be_read_is_not_passed_over(tmp_path: Path, out: Path, articles: Path) -> None:
    dataset = write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    with pytest.raises(ArticleError, match="nowhere: no such file"):
        ask_all(dataset, out, WEIGHTS, articles=tmp_path / "nowhere")
    (articles / "empty.md").write_text(" \n")
    with pytest.raises(ArticleError, match=r"empty\.md: .*'text' is empty"):
        ask_all(dataset, out, WEIGHTS, articles=articles)
    assert not out.exists()
