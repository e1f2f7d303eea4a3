import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_dataset
from eval.squad import read_squad
from training.data import is_validation
from training.split import Part, article_without, is_chosen, is_left_out, split

ROOT = Path(__file__).parents[2]
TITLES = [f"Title_{i}" for i in range(400)]


def article(title: str, n_paragraphs: int = 1) -> dict[str, Any]:
    paragraphs = []
    for number in range(n_paragraphs):
        context = f"{title} is in Lima {number}."
        answers = [{"text": f"Lima {number}", "answer_start": context.index("Lima")}]
        asked = [{"id": f"{title} {number} {i}", "question": "Where?", "answers": answers} for i in range(2)]
        paragraphs.append({"context": context, "qas": asked, "note": number})
    return {"title": title, "paragraphs": paragraphs, "from": "here"}


def written(tmp_path: Path, articles: list[dict[str, Any]], name: str = "train.json") -> Path:
    text = json.dumps({"version": "1.1", "data": articles}, ensure_ascii=False)
    file = tmp_path / name
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def titles(file: Path) -> list[str]:
    return [one["title"] for one in json.loads(file.read_text(encoding="utf-8"))["data"]]


def questions(one: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {asked["id"]: asked for paragraph in one["paragraphs"] for asked in paragraph["qas"]}


def test_the_validation_articles_alone_are_written_with_all_that_is_said_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    articles = [article(title) for title in TITLES[:60]]
    out = tmp_path / "validation.json"
    split(written(tmp_path, articles, "train.json.gz"), out)

    kept = [one for one in articles if is_validation(one["title"].replace("_", " "))]
    assert 0 < len(kept) < 20
    assert json.loads(out.read_text(encoding="utf-8")) == {"version": "1.1", "data": kept}
    assert len(read_squad(out)) == len(kept)
    told = json.loads(capsys.readouterr().out)
    assert told == {"articles": len(kept), "questions": 2 * len(kept), "impossible": 0}


@pytest.mark.parametrize("whole", [False, True])
def test_the_parts_are_disjoint_halves_of_what_there_is(tmp_path: Path, *, whole: bool) -> None:
    train = written(tmp_path, [article(title) for title in TITLES])
    parts: tuple[Part | None, ...] = ("fit", "test", None)
    for part in parts:
        split(train, tmp_path / f"{part}.json", part=part, whole=whole)
    fit, test, everything = (titles(tmp_path / f"{part}.json") for part in parts)

    assert not set(fit) & set(test)
    assert sorted(fit + test) == sorted(everything)
    assert 0.3 < len(fit) / len(everything) < 0.7
    assert everything == [title for title in TITLES if whole or is_validation(title.replace("_", " "))]


def test_whole_takes_articles_that_a_reader_may_be_trained_on(tmp_path: Path) -> None:
    articles = [article(title, 2) for title in ("Ñandú_(bird)", "Other")]
    assert not any(is_validation(one["title"].replace("_", " ")) for one in articles)

    split(written(tmp_path, articles), tmp_path / "whole.json", whole=True)
    split(written(tmp_path, articles), tmp_path / "validation.json")
    assert json.loads((tmp_path / "whole.json").read_text(encoding="utf-8"))["data"] == articles
    assert titles(tmp_path / "validation.json") == []


def test_underscores_of_a_title_do_not_change_its_part() -> None:
    title = next(title for title in TITLES if is_validation(title.replace("_", " ")))
    assert not is_validation(title)  # so that the next lines say something

    assert is_chosen(title.replace("_", " "), None, whole=False)
    assert is_chosen(title.replace("_", " "), "fit", whole=False) != is_chosen(
        title.replace("_", " "), "test", whole=False
    )


def test_questions_of_paragraphs_left_out_become_impossible_ones_of_the_same_article(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    articles = [article(title, 6) for title in TITLES[:20]]
    out = tmp_path / "lacking.json"
    split(written(tmp_path, articles), out, whole=True, lacking=3)

    n_gone = 0
    document = json.loads(out.read_text(encoding="utf-8"))
    assert [one["title"] for one in document["data"]] == TITLES[:20]
    for before, after in zip(articles, document["data"], strict=True):
        stays = [p for p in before["paragraphs"] if not is_left_out(p["context"], 3)] or before["paragraphs"][:1]
        gone = [p for p in before["paragraphs"] if p not in stays]
        n_gone += len(gone)
        assert [p["context"] for p in after["paragraphs"]] == [p["context"] for p in stays]
        assert {name: value for name, value in after.items() if name != "paragraphs"} == {
            "title": before["title"],
            "from": "here",
        }
        expected = {
            **{asked["id"]: asked for p in stays for asked in p["qas"]},
            **{a["id"]: {**a, "answers": [], "is_impossible": True} for p in gone for a in p["qas"]},
        }
        assert questions(after) == expected
        assert [p["note"] for p in after["paragraphs"]] == [p["note"] for p in stays]
    assert 20 < n_gone < 60  # of 120; a third is expected
    told = json.loads(capsys.readouterr().out)
    assert told == {"articles": 20, "questions": 240, "impossible": 2 * n_gone}

    dataset = read_dataset(out)
    assert sum(not question.is_answerable for question in dataset.questions) == 2 * n_gone
    assert len(dataset.articles or []) == 120 - n_gone
    texts = {stored.text for stored in dataset.articles or []}
    assert not any(is_left_out(text, 3) for text in texts)


def test_one_paragraph_always_stays_and_keeps_its_own_questions() -> None:
    before = article("Ships", 3)
    as_it_was = json.dumps(before)
    after = article_without(before, 1)  # every paragraph hashes so

    assert [p["context"] for p in after["paragraphs"]] == ["Ships is in Lima 0."]
    asked = after["paragraphs"][0]["qas"]
    assert asked[:2] == before["paragraphs"][0]["qas"]
    assert [(a["id"], a["answers"], a["is_impossible"]) for a in asked[2:]] == [
        (f"Ships {number} {i}", [], True) for number in (1, 2) for i in (0, 1)
    ]
    assert json.dumps(before) == as_it_was


def test_questions_that_were_impossible_stay_so(tmp_path: Path) -> None:
    before = article("Ships", 6)
    for paragraph in before["paragraphs"]:
        paragraph["qas"][0].update(answers=[], is_impossible=True)
        paragraph["qas"][1].update(is_impossible=False)
    split(written(tmp_path, [before]), tmp_path / "out.json", whole=True, lacking=2)

    gone = {p["note"] for p in before["paragraphs"] if is_left_out(p["context"], 2)}
    assert 0 < len(gone) < 6
    asked = read_dataset(tmp_path / "out.json").questions
    assert {a.question_id for a in asked if a.is_answerable} == {f"Ships {n} 1" for n in range(6) if n not in gone}


def test_the_command_takes_the_same_options(tmp_path: Path) -> None:
    train = written(tmp_path, [article(title, 4) for title in TITLES[:50]])
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    split(train, here, part="test", whole=True, lacking=2)
    options = ["--part", "test", "--whole", "--lacking", "2"]
    command = [sys.executable, "-m", "training.split", str(train), str(there), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert there.read_bytes() == here.read_bytes()
    assert json.loads(done.stdout)["impossible"] > 0
    for wrong in (["--part", "train"], ["--lacking", "-1"]):
        refused = subprocess.run([*command, *wrong], cwd=ROOT, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert wrong[0] in refused.stderr
