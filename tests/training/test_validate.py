import json
from pathlib import Path

import numpy as np
import pytest

from eval.squad import SquadAnswer, SquadParagraph, SquadQuestion
from qa.reader import Reader
from qa.windows import PassageText
from training.validate import Scores, best_text, scores, validate

SHIP = "The container ship Ever Given ran aground in the Suez Canal on Tuesday."


def question(number: int, text: str, answer: str) -> SquadQuestion:
    golds = (SquadAnswer(text=answer, start=SHIP.index(answer)),) if answer else ()
    return SquadQuestion(question_id=str(number), question=text, answers=golds)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


def test_scores_are_of_the_answerable_questions_in_order(reader: Reader) -> None:
    asked = (
        question(1, "Where did the container ship run aground?", "Suez Canal"),
        question(2, "Who is the king of Norway?", ""),
        question(3, "Which ship ran aground?", "The"),
    )
    found = scores(reader, [SquadParagraph(title="Ship", context=SHIP, questions=asked)], with_title=True)
    assert found.em.tolist() == [1.0, 0.0]
    assert found.f1[0] == 1.0


def test_the_best_text_is_that_of_the_first_span(reader: Reader) -> None:
    passage = PassageText(title="", text=SHIP)
    asked = "Where did the container ship run aground?"
    first = reader.read(asked, [passage])[0][0]
    assert best_text(reader, asked, passage) == first.span.of(SHIP) == "Suez Canal"
    assert best_text(reader, asked, PassageText(title="", text="  ")) == ""


def test_the_document_has_means_and_intervals_in_percent() -> None:
    document = Scores(em=np.array([1.0, 0.0, 1.0, 1.0]), f1=np.ones(4)).document()
    assert document["n"] == 4
    em = document["em"]
    assert isinstance(em, list)
    assert em[0] == 75.0
    assert em[1] < 75.0 < em[2] <= 100.0
    assert document["f1"] == [100.0, 100.0, 100.0]


def test_both_graphs_are_scored_with_and_without_the_title_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Path(validate.__code__.co_filename).parent.parent / "qa" / "weights"
    for name in ("reader.onnx", "reader-float32.onnx"):
        (tmp_path / name).symlink_to(weights / "reader.onnx")
    (tmp_path / "tokenizer.json").symlink_to(weights / "tokenizer.json")
    asked = [{"id": "1", "question": "Where did it run aground?", "answers": [{"text": "Suez", "answer_start": 49}]}]
    squad = {"data": [{"title": "Ship", "paragraphs": [{"context": SHIP, "qas": asked}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(squad))
    validate(tmp_path / "squad.json", tmp_path, whole=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["graph"], line["with_title"]) for line in lines] == [
        ("reader-float32.onnx", False),
        ("reader.onnx", False),
        ("reader-float32.onnx", True),
        ("reader.onnx", True),
    ]
    assert lines[0]["f1"] == lines[1]["f1"]  # both are the shipped graph here
    monkeypatch.setattr("training.validate.MAX_LOST_F1", 0.0)
    with pytest.raises(SystemExit, match=r"int8 loses 0\.00 points"):
        validate(tmp_path / "squad.json", tmp_path, whole=True)
