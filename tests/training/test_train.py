import dataclasses
import hashlib
import json
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from tests.training.parts import BACKBONE, MIXED, POOL, maker, negatives, rates
from tests.training.run_parts import N_EACH, RECIPE, Files, equal, files_in, loaded, sha256_of, trainer_of
from training import train as training_module
from training.data import Draw, is_validation
from training.encoder import from_backbone
from training.recipe import Recipe
from training.train import _run, batch_instances, batches, course, read_all, train


def test_the_windows_that_answer_come_first_then_the_negatives_in_order() -> None:
    draws = [Draw(example=5, negative=1), Draw(example=0, negative=2), Draw(example=1, negative=None)]
    made = maker(rates())
    found = batch_instances(made, draws, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    expected = [made.positive(POOL[draw.example].question, POOL[draw.example], rng) for draw in draws]
    expected += [made.negative(POOL[i].question, place, rng) for i, place in ((5, 1), (0, 2))]
    assert [one.window.input_ids.tolist() for one in found] == [one.window.input_ids.tolist() for one in expected]
    assert [(one.first, one.last) for one in found] == [(one.first, one.last) for one in expected]


def test_skipping_batches_goes_on_where_the_run_stopped() -> None:
    made, per_epoch = maker(MIXED), len(POOL) // RECIPE.n_questions
    recipe = dataclasses.replace(RECIPE, n_steps=2 * per_epoch + 1)
    everything = list(batches(recipe, made, negatives(), skip=0))
    assert len(everything) == recipe.n_steps
    epochs = [everything[:per_epoch], everything[per_epoch:-1]]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        assert len({draw.example for these in epoch for draw in these}) == per_epoch * recipe.n_questions
    for skip in range(len(everything) + 1):
        assert list(batches(recipe, made, negatives(), skip=skip)) == everything[skip:]


def test_fewer_examples_than_a_batch_are_refused() -> None:
    with pytest.raises(SystemExit, match="fewer examples than a batch has, 25"):
        list(batches(Recipe(), maker(MIXED), negatives(), skip=0))


def test_batches_with_a_question_and_paragraph_over_the_longest_are_left_out() -> None:
    made = maker(MIXED)
    recipe = dataclasses.replace(RECIPE, n_steps=len(POOL) // RECIPE.n_questions)
    everything = list(batches(recipe, made, negatives(), skip=0))
    lengths = [max(made.n_tokens(draw.example) for draw in draws) for draws in everything]
    longest = sorted(lengths)[len(lengths) // 2]
    short = [draws for draws, length in zip(everything, lengths, strict=True) if length <= longest]
    assert 0 < len(short) < len(everything)
    # What is left out is made up for by the next epoch.
    recipe = dataclasses.replace(recipe, n_steps=len(short) + 1, longest=longest)
    kept = list(batches(recipe, made, negatives(), skip=0))
    assert kept[:-1] == short
    assert len(kept) == recipe.n_steps
    assert max(made.n_tokens(draw.example) for draw in kept[-1]) <= longest
    assert list(batches(recipe, made, negatives(), skip=2)) == kept[2:]


def test_a_longest_that_nothing_is_within_is_refused() -> None:
    with pytest.raises(SystemExit, match="every batch has a question and paragraph of more than 3 tokens"):
        list(batches(dataclasses.replace(RECIPE, longest=3), maker(MIXED), negatives(), skip=0))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return files_in(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Path:
    """The folder of a run of two steps that was not stopped."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    assert run_train(files, folder, "--steps=2").exit_code == 0
    return folder


def run_train(files: Files, out_dir: Path, *options: str) -> Result:
    app = typer.Typer()
    app.command()(train)
    return CliRunner().invoke(app, [str(out_dir), *files.options, *options])


def test_all_files_are_read_and_the_seconds_negatives_shifted(files: Files) -> None:
    paragraphs, found = read_all(files.data, files.negatives)
    kinds = [paragraph.title.split()[0] for paragraph in paragraphs]
    assert kinds == ["Ship"] * N_EACH + ["Boat"] * N_EACH
    assert not any(is_validation(paragraph.title) for paragraph in paragraphs)
    assert found.dtype == np.int32
    for i, row in enumerate(found.tolist()):
        base, step = (0, 1) if i < N_EACH else (N_EACH, 2)
        assert row == [base + (i - base + step) % N_EACH, base + (i - base + step + 1) % N_EACH]


def test_one_file_is_read_as_it_is(files: Files) -> None:
    paragraphs, found = read_all(files.data[1:], files.negatives[1:])
    assert len(paragraphs) == N_EACH
    assert found.tolist() == np.load(files.negatives[1]).tolist()


def test_the_command_writes_last_and_average_weights_and_its_recipe(whole: Path, files: Files) -> None:
    assert sorted(file.name for file in whole.iterdir()) == ["average.pt", "recipe.json", "weights.pt"]
    last, average = loaded(whole / "weights.pt"), loaded(whole / "average.pt")
    assert last.keys() == average.keys() == from_backbone(BACKBONE).state_dict().keys()
    assert torch.equal(last["words.weight"], average["words.weight"])
    assert not torch.equal(last["head.weight"], average["head.weight"])
    written = json.loads((whole / "recipe.json").read_text(encoding="utf-8"))
    sources = {**sha256_of(files), "start": None, "teacher": None}
    assert written == {**dataclasses.asdict(Recipe(n_steps=2)), **sources}


def stopped(files: Files, whole: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run, logged and saved at every step, and stopped after the first."""
    monkeypatch.setattr(training_module, "SAVE_EVERY", 1)
    monkeypatch.setattr(training_module, "LOG_EVERY", 1)
    the_course = course(Recipe(n_steps=2), files.data, files.negatives)
    out_dir.mkdir()
    shutil.copyfile(whole / "recipe.json", out_dir / "recipe.json")
    _run(trainer_of(the_course.recipe), islice(the_course.batches(skip=0), 1), out_dir)


def test_a_stopped_command_goes_on_and_another_recipe_is_refused(
    tmp_path: Path, files: Files, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stopped"
    stopped(files, whole, folder, monkeypatch)
    checkpoint, recipe = (folder / "checkpoint.pt").read_bytes(), (folder / "recipe.json").read_text(encoding="utf-8")
    for options in (["--steps=3"], ["--steps=2", f"--start={whole / 'weights.pt'}"]):
        refused = run_train(files, folder, *options)
        assert refused.exit_code == 1
        assert "is of another recipe" in refused.output
    others = dataclasses.replace(files, negatives=files.negatives[::-1])  # as many rows, so nothing else can tell
    assert "is of another recipe" in run_train(others, folder, "--steps=2").output
    assert (folder / "checkpoint.pt").read_bytes() == checkpoint
    assert (folder / "recipe.json").read_text(encoding="utf-8") == recipe
    assert not (folder / "weights.pt").exists()

    assert run_train(files, folder, "--steps=2").exit_code == 0
    for name in ("weights.pt", "average.pt"):
        assert equal(loaded(folder / name), loaded(whole / name))
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["step"], list(line)) for line in log] == [(step, ["step", "loss", "s"]) for step in (1, 2)]
    assert all(1.0 < line["loss"] < 20.0 for line in log)


def test_the_command_starts_from_the_weights_it_is_given(tmp_path: Path, files: Files, whole: Path) -> None:
    source = whole / "weights.pt"
    assert run_train(files, tmp_path / "none", "--steps=0", f"--start={source}").exit_code == 0
    assert equal(loaded(tmp_path / "none" / "weights.pt"), loaded(source))
    written = json.loads((tmp_path / "none" / "recipe.json").read_text(encoding="utf-8"))
    assert written["start"] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_negatives_of_another_file_are_refused(tmp_path: Path, files: Files) -> None:
    np.save(tmp_path / "fewer.npy", np.zeros((N_EACH - 1, 2), dtype=np.int32))
    other = dataclasses.replace(files, negatives=[files.negatives[0], tmp_path / "fewer.npy"])
    refused = run_train(other, tmp_path / "out", "--steps=1")
    assert refused.exit_code == 1
    assert f"fewer.npy is not of {files.data[1]}: {N_EACH - 1} rows for {N_EACH} questions" in refused.output


def test_a_data_file_without_negatives_is_refused(tmp_path: Path, files: Files) -> None:
    refused = run_train(dataclasses.replace(files, negatives=files.negatives[:1]), tmp_path / "out", "--steps=1")
    assert refused.exit_code == 1
    assert "2 --data and 1 --negatives: each file needs its own" in refused.output


@pytest.mark.parametrize("options", [["--recipe=taught"], ["--labels=somewhere"]])
def test_a_teacher_without_labels_and_labels_without_a_teacher_are_refused(
    tmp_path: Path, files: Files, options: list[str]
) -> None:
    refused = run_train(files, tmp_path / "out", "--steps=1", *options)
    assert refused.exit_code == 1
    assert "--labels go with a recipe that has a teacher" in refused.output


def test_the_courses_batches_are_those_of_the_draws_whatever_is_skipped(files: Files) -> None:
    the_course = course(dataclasses.replace(RECIPE, n_steps=30), files.data, files.negatives)
    everything = list(the_course.batches(skip=0))
    assert len(everything) == 30
    assert len({tuple(ids.ravel().tolist()) for ids, *_ in everything}) == 30
    for skip in (1, 19, 20, 29):
        rest = list(the_course.batches(skip=skip))
        assert len(rest) == 30 - skip
        for one, other in zip(rest, everything[skip:], strict=True):
            assert all(torch.equal(tensor, same) for tensor, same in zip(one, other, strict=True))


def test_a_second_pass_has_the_same_batches_wherever_it_is_entered(files: Files) -> None:
    once = course(dataclasses.replace(RECIPE, n_steps=4), files.data, files.negatives)
    twice = dataclasses.replace(once, recipe=dataclasses.replace(RECIPE, n_steps=7, passes=2))
    expected = [*once.batches(skip=0), *once.batches(skip=0)][:7]
    for skip in range(8):
        rest = list(twice.batches(skip=skip))
        assert len(rest) == 7 - skip
        for one, other in zip(rest, expected[skip:], strict=True):
            assert all(torch.equal(tensor, same) for tensor, same in zip(one, other, strict=True))
