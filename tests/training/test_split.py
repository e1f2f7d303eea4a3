import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eval.squad import read_squad
from training.data import is_validation
from training.split import split


def article(title: str) -> dict[str, Any]:
    answers = [{"text": "Lima", "answer_start": len(title) + 7}]
    asked = {"id": title, "question": "Where?", "answers": answers}
    return {"title": title, "paragraphs": [{"context": f"{title} is in Lima.", "qas": [asked]}]}


def test_the_validation_articles_alone_are_written_with_all_that_is_said_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    articles = [article(f"Title_{i}") for i in range(60)]
    train, out = tmp_path / "train.json.gz", tmp_path / "validation.json"
    with gzip.open(train, "wt", encoding="utf-8") as file:
        json.dump({"version": "1.1", "data": articles}, file)

    split(train, out)

    kept = [one for one in articles if is_validation(one["title"].replace("_", " "))]
    assert 0 < len(kept) < 20
    assert json.loads(out.read_text(encoding="utf-8")) == {"version": "1.1", "data": kept}
    assert len(read_squad(out)) == len(kept)
    assert json.loads(capsys.readouterr().out) == {"articles": len(kept), "questions": len(kept)}
