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

from tests.training.run_parts import (
    TOKENIZER,
    Files,
    equal,
    files_in,
    loaded,
    mpnet,
    mpnet_dir,
    sha256_of,
    trainer_of,
)
from training import train as training_module
from training.labels import label
from training.recipe import RECIPES, TEACHER_RECIPE, Recipe
from training.shards import SHARD_BATCHES, Shards, read_shard
from training.teach import teach
from training.teacher import from_mpnet, teacher_of
from training.train import Course, _run, course, train
from training.trainer import Trainer

TAUGHT = dataclasses.replace(RECIPES["taught"], n_steps=2)
"""Two passes over one batch."""


def invoke(command: object, *arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(command)  # type: ignore[type-var]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return files_in(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mpnet_dir(tmp_path_factory.mktemp("mpnet") / "small", mpnet())


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory, files: Files, backbone: Path) -> Path:
    """A teacher of two steps."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    assert invoke(teach, folder, backbone, *files.options, "--steps=2").exit_code == 0
    return folder / "weights.pt"


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory, files: Files, teacher_file: Path) -> Path:
    """Of a taught run of two steps."""
    folder = tmp_path_factory.mktemp("labels") / "taught"
    assert invoke(label, folder, teacher_file, *files.options, "--steps=2").exit_code == 0
    return folder


def the_course(files: Files, recipe: Recipe = TAUGHT) -> Course:
    return course(recipe, files.data, files.negatives)


def test_the_teachers_run_writes_its_recipe_and_weights(teacher_file: Path, files: Files, backbone: Path) -> None:
    folder = teacher_file.parent
    assert sorted(file.name for file in folder.iterdir()) == ["average.pt", "recipe.json", "weights.pt"]
    written = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    expected = dataclasses.asdict(dataclasses.replace(TEACHER_RECIPE, n_steps=2))
    assert written == {
        **expected,
        **sha256_of(files),
        "start": hashlib.sha256((backbone / "model.safetensors").read_bytes()).hexdigest(),
    }
    last, average = loaded(teacher_file), loaded(folder / "average.pt")
    assert last.keys() == teacher_of(last).state_dict().keys()
    assert not torch.equal(last["head.weight"], average["head.weight"])


def test_a_stopped_teachers_run_goes_on(
    tmp_path: Path, files: Files, backbone: Path, teacher_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_module, "SAVE_EVERY", 1)
    folder, recipe = tmp_path / "stopped", dataclasses.replace(TEACHER_RECIPE, n_steps=2)
    folder.mkdir()
    shutil.copyfile(teacher_file.parent / "recipe.json", folder / "recipe.json")
    torch.manual_seed(recipe.seed)
    stopped = Trainer(recipe, from_mpnet(backbone, TOKENIZER))
    _run(stopped, islice(the_course(files, recipe).batches(skip=0), 1), folder)

    refused = invoke(teach, folder, backbone, *files.options, "--steps=2", "--seed=12")
    assert refused.exit_code == 1
    assert "is of another recipe" in refused.output
    assert invoke(teach, folder, backbone, *files.options, "--steps=2").exit_code == 0
    for name in ("weights.pt", "average.pt"):
        assert equal(loaded(folder / name), loaded(teacher_file.parent / name))


def test_labels_are_what_the_teacher_says_of_the_runs_own_windows(
    labels: Path, files: Files, teacher_file: Path
) -> None:
    teacher, shards = teacher_of(loaded(teacher_file)).eval(), Shards(labels)
    everything = list(the_course(files, dataclasses.replace(TAUGHT, n_steps=SHARD_BATCHES, passes=1)).batches(skip=0))
    for step in (0, 1, SHARD_BATCHES - 1):
        ids, types, mask, _ = everything[step]
        for row in range(0, len(ids), 7):  # one window at a time, without its padding, in float32
            n = int(mask[row].sum())
            with torch.no_grad():
                alone = teacher(ids[row : row + 1, :n], types[row : row + 1, :n], mask[row : row + 1, :n])
            for found, expected in zip(shards.of(step, everything[step]), alone, strict=True):
                open_ = expected[0] > -100
                assert torch.allclose(found[row, :n][open_], expected[0][open_], rtol=0, atol=0.1)
                assert float(found[row, :n][~open_].max()) < -29000
                assert (found[row, n:] < -29000).all()


def test_the_last_shard_is_whole_and_the_description_names_the_teacher(labels: Path, teacher_file: Path) -> None:
    assert sorted(file.name for file in labels.iterdir()) == ["00000.npz", "labels.json"]
    assert len(read_shard(labels / "00000.npz")) == SHARD_BATCHES
    assert Shards(labels).teacher == hashlib.sha256(teacher_file.read_bytes()).hexdigest()


def test_labelling_goes_on_with_the_missing_shards_and_refuses_another_run(
    tmp_path: Path, files: Files, teacher_file: Path
) -> None:
    command: list[str | Path] = [tmp_path, teacher_file, *files.options, f"--steps={2 * 2 * SHARD_BATCHES}"]
    assert invoke(label, *command).exit_code == 0
    first, second = tmp_path / "00000.npz", tmp_path / "00001.npz"
    kept = [read_shard(file) for file in (first, second)]
    stamp = second.stat().st_mtime_ns
    first.unlink()
    again = invoke(label, *command)
    assert again.exit_code == 0
    assert [json.loads(line) for line in again.output.splitlines()] == [{"shard": 1, "of": 2}]
    assert second.stat().st_mtime_ns == stamp
    for one, other in zip(read_shard(first), kept[0], strict=True):
        assert one.digest == other.digest
        assert np.array_equal(one.logits, other.logits)
    assert [step.digest for step in kept[1]] != [step.digest for step in kept[0]]
    for option in ("--seed=3", "--recipe=first"):
        refused = invoke(label, *command, option)
        assert refused.exit_code == 1
        assert "is of another teacher or another run" in refused.output


def test_a_taught_run_learns_from_its_labels(
    tmp_path: Path, files: Files, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_module, "LOG_EVERY", 1)
    options = (*files.options, "--steps=2", f"--labels={labels}")
    assert invoke(train, tmp_path / "run", *options, "--recipe=taught").exit_code == 0
    trainer, shards = trainer_of(TAUGHT), Shards(labels)
    losses = [trainer.learn(made, shards.of(0, made)) for made in the_course(files).batches(skip=0)]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["loss"] for line in log] == [round(loss, 4) for loss in losses]
    assert equal(loaded(tmp_path / "run" / "weights.pt"), trainer.weights(averaged=False))
    written = json.loads((tmp_path / "run" / "recipe.json").read_text(encoding="utf-8"))
    assert written["teacher"] == Shards(labels).teacher


def test_a_run_with_another_seed_is_refused_its_labels(tmp_path: Path, files: Files, labels: Path) -> None:
    options = (*files.options, "--steps=2", f"--labels={labels}", "--recipe=taught", "--seed=3")
    refused = invoke(train, tmp_path / "run", *options)
    assert refused.exit_code == 1
    assert "batch 0 has the labels of other windows" in refused.output
    assert not (tmp_path / "run" / "weights.pt").exists()
