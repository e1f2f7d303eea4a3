import json
from collections import Counter
from pathlib import Path

import pytest

from eval.squad import read_squad
from training import encyclopedia
from training.data import examples
from training.encyclopedia import N_DIGITS, QUESTIONS, digits, prepare, read_questions

LIMA = "Lima was founded in 1535 by Francisco Pizarro. Cusco is older: it was a capital by 1438."
QUITO = "Quito lies 2,850 metres above the sea."
PARAGRAPHS = {"Lima": [LIMA, "Its port is Callao."], "Quito, \u00e9t\u00e9": [QUITO]}
# "What is it?" is SQuAD's own question, and must not come out.
SQUADS_OWN = {"id": "s1", "question": "What is it?", "answers": [{"text": "Lima", "answer_start": 0}]}


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    paragraphs = {
        title: [{"context": context, "qas": [SQUADS_OWN] if context == LIMA else []} for context in contexts]
        for title, contexts in PARAGRAPHS.items()
    }
    file = tmp_path / "train.json"
    file.write_text(json.dumps({"data": [{"title": t, "paragraphs": p} for t, p in paragraphs.items()]}))
    return file


def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: dict[str, list[tuple[str, str]]]) -> None:
    file = tmp_path / "questions.jsonl"
    lines = [
        {
            "paragraph": digits(context),
            "questions": [(q, context.index(answer), context.index(answer) + len(answer)) for q, answer in questions],
        }
        for context, questions in asked.items()
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    monkeypatch.setattr(encyclopedia, "QUESTIONS", file)


def test_every_paragraph_stands_in_its_place_with_our_questions_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, train_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {QUITO: [("How high is Quito?", "2,850 metres")], LIMA: [("When was it?", "1535"), ("Who?", "Francisco")]}
    ask(monkeypatch, tmp_path, asked)
    prepare(train_file, tmp_path / "out.json")
    paragraphs = read_squad(tmp_path / "out.json")
    assert [(p.title, p.context) for p in paragraphs] == [
        (title, context) for title, contexts in PARAGRAPHS.items() for context in contexts
    ]
    found = {(e.question, paragraphs[e.paragraph].context[e.start : e.end]) for e in examples(paragraphs)}
    assert found == {("How high is Quito?", "2,850 metres"), ("When was it?", "1535"), ("Who?", "Francisco")}
    assert len({question.question_id for p in paragraphs for question in p.questions}) == 3
    assert json.loads(capsys.readouterr().out) == {"paragraphs": 2, "questions": 3}


def test_a_paragraph_that_stands_twice_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, train_file: Path
) -> None:
    document = json.loads(train_file.read_text())
    document["data"].append({"title": "Again", "paragraphs": [{"context": QUITO, "qas": []}]})
    train_file.write_text(json.dumps(document))
    ask(monkeypatch, tmp_path, {QUITO: [("How high is Quito?", "2,850 metres")]})
    prepare(train_file, tmp_path / "out.json")
    titles = [p.title for p in read_squad(tmp_path / "out.json") if p.questions]
    assert titles == ["Quito, \u00e9t\u00e9"]


def test_a_missing_paragraph_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, train_file: Path) -> None:
    other = "Bogota is the capital of Colombia."
    ask(monkeypatch, tmp_path, {LIMA: [("When?", "1535")], other: [("Of what?", "Colombia")]})
    with pytest.raises(SystemExit, match=rf"train\.json: 1 paragraphs .* {digits(other)}; it is SQuAD 1\.1"):
        prepare(train_file, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_the_questions_kept_here_are_well_formed_and_none_stands_twice() -> None:
    lines = read_questions(QUESTIONS)
    assert len(lines) > 5000
    assert max(Counter(line.paragraph for line in lines).values()) == 1
    for line in lines:
        assert len(line.paragraph) == N_DIGITS
        assert len(line.questions) > 0
        assert max(Counter(question.lower() for question, _, _ in line.questions).values()) == 1
        for question, start, end in line.questions:
            assert question.endswith("?")
            assert 0 <= start < end <= start + 110
