import dataclasses
import json
import math
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from typer.testing import CliRunner, Result

from tests.training.parts import BACKBONE, BUILDER, MIXED, POOL, maker, negatives, rates
from training import train as training_module
from training.data import Draw, InstanceMaker, batch_arrays, examples, is_validation
from training.encoder import MASKED, SpanReader, from_backbone
from training.train import Batch, Recipe, Trainer, _run, _write, batch_instances, batches, read_all, shared_loss, train

RECIPE = Recipe(n_questions=3, n_negatives=2, n_steps=6)
NO_DROPOUT = dataclasses.replace(RECIPE, dropout=0.0)


def batch(seed: int, n_negatives: int = 2) -> Batch:
    """Three short questions; negatives for the first of them."""
    draws = [Draw(example=i, negative=3 if place < n_negatives else None) for place, i in enumerate((0, 2, 5))]
    instances = batch_instances(maker(rates()), draws, np.random.default_rng(seed))
    ids, types, mask, targets = (torch.from_numpy(array) for array in batch_arrays(instances))
    return ids, types, mask, targets


def learn(trainer: Trainer, n_steps: int) -> list[float]:
    return [trainer.learn(batch(trainer.step)) for _ in range(n_steps)]


def weights_of(trainer: Trainer, *, averaged: bool = False) -> dict[str, Tensor]:
    """Weights that do not change when the trainer learns on."""
    return {name: tensor.clone() for name, tensor in trainer.weights(averaged=averaged).items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_the_windows_that_answer_come_first_then_the_negatives_in_order() -> None:
    draws = [Draw(example=5, negative=1), Draw(example=0, negative=2), Draw(example=1, negative=None)]
    made = maker(rates())
    found = batch_instances(made, draws, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    expected = [made.positive(POOL[draw.example].question, POOL[draw.example], rng) for draw in draws]
    expected += [made.negative(POOL[i].question, place, rng) for i, place in ((5, 1), (0, 2))]
    assert [one.window.input_ids.tolist() for one in found] == [one.window.input_ids.tolist() for one in expected]
    assert [(one.first, one.last) for one in found] == [(one.first, one.last) for one in expected]


def test_the_loss_falls_on_a_tiny_batch() -> None:
    trainer = Trainer(dataclasses.replace(RECIPE, learning_rate=3e-4, n_steps=100), None)
    losses = [trainer.learn(batch(0)) for _ in range(12)]
    assert losses[0] > 1.0
    assert losses[-1] < losses[0] / 2
    assert trainer.step == 12


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    whole = Trainer(RECIPE, None)
    losses = learn(whole, 2)
    whole.save(tmp_path / "checkpoint.pt")
    saved, saved_average = weights_of(whole), weights_of(whole, averaged=True)
    losses += learn(whole, 3)

    resumed = Trainer(RECIPE, None)
    resumed.load(tmp_path / "checkpoint.pt")
    assert resumed.step == 2
    assert equal(weights_of(resumed), saved)
    assert equal(weights_of(resumed, averaged=True), saved_average)
    assert learn(resumed, 3) == losses[2:]
    assert equal(weights_of(resumed), weights_of(whole))
    assert equal(weights_of(resumed, averaged=True), weights_of(whole, averaged=True))
    assert not equal(weights_of(resumed), saved)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_what_is_dropped_differs_from_step_to_step_and_by_seed() -> None:
    def losses(seed: int, rate: float) -> list[float]:
        trainer = Trainer(dataclasses.replace(RECIPE, seed=seed, dropout=rate, learning_rate=0.0), None)
        return [trainer.learn(batch(0)) for _ in range(3)]

    # At the learning rate 0 the first step differs from the others too: its head is still rounded to bfloat16.
    assert len(set(losses(9, 0.1)[1:])) == 2
    assert len(set(losses(9, 0.0)[1:])) == 1
    assert losses(9, 0.1) == losses(9, 0.1)
    assert losses(9, 0.1) != losses(8, 0.1)


@pytest.fixture(scope="module")
def trained() -> Trainer:
    trainer = Trainer(RECIPE, None)
    learn(trainer, 2)
    return trainer


@pytest.mark.parametrize("averaged", [False, True])
def test_the_weights_are_float32_and_load_into_a_reader(trained: Trainer, averaged: bool) -> None:  # noqa: FBT001
    weights = trained.weights(averaged=averaged)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    reader = from_backbone(BACKBONE)
    reader.load_state_dict(weights)
    ids, types, mask, _ = batch(0)
    trained.reader.eval()
    with torch.no_grad():
        expected = trained.reader(ids, types, mask)[0]
        # bfloat16 beside float32; after two small steps the average is near the last weights too
        assert torch.allclose(reader(ids, types, mask)[0], expected, rtol=0.05, atol=0.1)
    trained.reader.train()


def test_everything_but_the_word_embeddings_learns(trained: Trainer) -> None:
    torch.manual_seed(RECIPE.seed)
    before: SpanReader = from_backbone(BACKBONE)
    start = before.state_dict()
    for averaged in (False, True):
        now = trained.weights(averaged=averaged)
        assert now.keys() == start.keys()
        assert torch.equal(now["words.weight"], start["words.weight"].bfloat16().float())
        assert [name for name, tensor in start.items() if torch.equal(tensor, now[name])] == []
    assert not equal(trained.weights(averaged=True), trained.weights(averaged=False))


def test_the_head_computes_in_float32_and_the_rest_in_bfloat16(trained: Trainer) -> None:
    dtypes = {name: parameter.dtype for name, parameter in trained.reader.named_parameters()}
    assert {name for name, dtype in dtypes.items() if dtype == torch.float32} == {"head.weight", "head.bias"}
    assert set(dtypes.values()) == {torch.float32, torch.bfloat16}


def test_training_starts_from_the_weights_given_unrounded(tmp_path: Path, trained: Trainer) -> None:
    weights = trained.weights(averaged=False)
    torch.save(weights, tmp_path / "weights.pt")
    started = Trainer(RECIPE, tmp_path / "weights.pt")
    assert started.step == 0
    assert equal(started.weights(averaged=False), weights)
    assert equal(started.weights(averaged=True), weights)
    assert not equal(started.weights(averaged=False), Trainer(RECIPE, None).weights(averaged=False))


@pytest.mark.parametrize(
    ("most", "expected"), [(0.998, [1 / 10, 2 / 11, 3 / 12, 4 / 13]), (0.2, [0.1, 2 / 11, 0.2, 0.2])]
)
def test_the_average_is_the_running_mean_of_all_steps(most: float, expected: list[float]) -> None:
    trainer = Trainer(dataclasses.replace(RECIPE, kept_of_average=most, learning_rate=1e-3), None)
    names = ("head.weight", "norm.bias", "layers.5.down.weight")
    mean = {name: trainer.weights(averaged=False)[name].double() for name in names}
    for kept in expected:
        learn(trainer, 1)
        now = weights_of(trainer)
        mean = {name: kept * mean[name] + (1 - kept) * now[name].double() for name in names}
        for name in names:
            assert torch.allclose(trainer.weights(averaged=True)[name].double(), mean[name], rtol=0, atol=1e-7)
            assert float((now[name] - mean[name]).abs().max()) > 1e-5


def test_the_learning_rate_rises_then_falls_to_0_with_the_last_step() -> None:
    trainer = Trainer(dataclasses.replace(RECIPE, n_steps=10, warmup_share=0.2, learning_rate=1.0), None)
    (factor,) = trainer._schedule.lr_lambdas
    expected = [1 / 2, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0]
    assert [factor(step) for step in range(11)] == pytest.approx(expected)


def softmax_loss(rows: list[list[float]], right: list[int]) -> float:
    """Mean cross-entropy, one row at a time."""
    losses = []
    for row, target in zip(rows, right, strict=True):
        highest = max(row)
        losses.append(highest + math.log(sum(math.exp(logit - highest) for logit in row)) - row[target])
    return sum(losses) / len(losses)


def slow_shared_loss(logits: list[list[float]], targets: list[int], n_negatives: int) -> float:
    """Of each window with a negative, the passage tokens of both in one row, without [CLS]."""
    answering, others = logits[:n_negatives], logits[len(logits) - n_negatives :]
    rows = [[*one[1:], *other[1:]] for one, other in zip(answering, others, strict=True)]
    return softmax_loss(rows, [target - 1 for target in targets[:n_negatives]])


@st.composite
def masked_logits(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Logits, targets and number of negatives, masked before and behind a passage of at least one token."""
    n_questions, n_tokens = draw(st.integers(1, 4)), draw(st.integers(3, 9))
    n_negatives = draw(st.integers(1, n_questions))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (n_questions + n_negatives, n_tokens)
    logits, targets = rng.normal(scale=draw(st.sampled_from([0.1, 3.0, 10.0])), size=shape), np.zeros(shape[0], int)
    for row in range(shape[0]):
        start = int(rng.integers(1, n_tokens))
        end = int(rng.integers(start + 1, n_tokens + 1))
        logits[row, 1:start] += MASKED
        logits[row, end:] += MASKED
        targets[row] = rng.integers(start, end) if row < n_questions else 0
    return logits, targets, n_negatives


@settings(deadline=None)
@given(masked_logits())
def test_the_shared_loss_is_that_of_the_right_token_among_both_passages(
    made: tuple[NDArray[np.float64], NDArray[np.int64], int],
) -> None:
    logits, targets, n_negatives = made
    found = shared_loss(torch.from_numpy(logits), torch.from_numpy(targets), n_negatives)
    assert float(found) == pytest.approx(slow_shared_loss(logits.tolist(), targets.tolist(), n_negatives), abs=1e-9)
    other_cls = logits.copy()
    other_cls[:, 0] += 5.0
    assert float(shared_loss(torch.from_numpy(other_cls), torch.from_numpy(targets), n_negatives)) == float(found)


def test_the_shared_loss_by_hand() -> None:
    logits = torch.tensor([[9.0, 2.0, 1.0], [9.0, 5.0, 5.0], [9.0, MASKED, 2.0]], requires_grad=True)
    found = shared_loss(logits, torch.tensor([1, 2, 0]), 1)  # of 2, 1 and 2 the first; the second row has no negative
    assert float(found.detach()) == pytest.approx(math.log(2 + 1 / math.e))
    torch.autograd.backward(found)
    assert logits.grad is not None
    assert torch.sign(logits.grad).tolist() == [[0, -1, 1], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(("shared_weight", "n_negatives"), [(0.0, 2), (0.5, 2), (2.0, 1), (0.5, 0)])
def test_a_step_weighs_the_windows_own_loss_and_the_shared_one(shared_weight: float, n_negatives: int) -> None:
    trainer = Trainer(dataclasses.replace(NO_DROPOUT, shared_weight=shared_weight, n_negatives=n_negatives), None)
    ids, types, mask, targets = batch(0, n_negatives)
    assert len(ids) == 3 + n_negatives
    with torch.no_grad():
        ends = [logits.tolist() for logits in trainer.reader(ids, types, mask)]
    right = [targets[:, i].tolist() for i in range(2)]
    own = sum(softmax_loss(ends[i], right[i]) for i in range(2)) / 2
    shared = sum(slow_shared_loss(ends[i], right[i], n_negatives) for i in range(2)) / 2 if n_negatives else 0.0
    assert trainer.learn((ids, types, mask, targets)) == pytest.approx(own + shared_weight * shared, rel=1e-5)


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


N_EACH = 30  # questions in each of two files


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What a run learns from, and the folder of a run of two steps that was not stopped."""

    data: list[Path]
    negatives: list[Path]
    whole: Path

    def train(self, out_dir: Path, *options: str) -> Result:
        """Run the command."""
        app = typer.Typer()
        app.command()(train)
        given_files = [f"--data={file}" for file in self.data] + [f"--negatives={file}" for file in self.negatives]
        return CliRunner().invoke(app, [str(out_dir), *given_files, *options])


def squad_file(kind: str) -> dict[str, object]:
    """One short paragraph a question in the training part, and a validation paragraph before and after each."""
    titles = [f"{kind} {i}" for i in range(2000)]
    learnt = [title for title in titles if not is_validation(title)][:N_EACH]
    kept = [title for title in titles if is_validation(title)][: N_EACH + 1]
    data = []
    for title in [title for pair in zip(kept, [*learnt, ""], strict=True) for title in pair if title]:
        context = f"{title} sank in Oslo."
        answers = [{"text": "Oslo", "answer_start": context.index("Oslo")}]
        asked = {"id": title, "question": f"Where did {title} sink?", "answers": answers}
        data.append({"title": title, "paragraphs": [{"context": context, "qas": [asked]}]})
    return {"version": "1.1", "data": data}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("run")
    data, mined = [], []
    for step, kind in enumerate(("Ship", "Boat"), start=1):
        data.append(folder / f"{kind}.json")
        data[-1].write_text(json.dumps(squad_file(kind)), encoding="utf-8")
        mined.append(folder / f"{kind}.npy")
        others = [[(i + step) % N_EACH, (i + step + 1) % N_EACH] for i in range(N_EACH)]
        np.save(mined[-1], np.array(others, dtype=np.int32))
    made = Files(data=data, negatives=mined, whole=folder / "whole")
    assert made.train(made.whole, "--steps=2").exit_code == 0
    return made


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


def loaded(file: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = torch.load(file, weights_only=True)
    return weights


def test_the_command_writes_last_and_average_weights_and_its_recipe(files: Files) -> None:
    assert sorted(file.name for file in files.whole.iterdir()) == ["average.pt", "recipe.json", "weights.pt"]
    last, average = loaded(files.whole / "weights.pt"), loaded(files.whole / "average.pt")
    assert last.keys() == average.keys() == from_backbone(BACKBONE).state_dict().keys()
    assert torch.equal(last["words.weight"], average["words.weight"])
    assert not torch.equal(last["head.weight"], average["head.weight"])
    written = json.loads((files.whole / "recipe.json").read_text(encoding="utf-8"))
    given_files = {"data": ["Ship.json", "Boat.json"], "start": None}
    assert written == {**dataclasses.asdict(Recipe(n_steps=2)), **given_files}


def stopped(files: Files, out_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run, logged and saved at every step, and stopped after the first."""
    monkeypatch.setattr(training_module, "SAVE_EVERY", 1)
    monkeypatch.setattr(training_module, "LOG_EVERY", 1)
    recipe = Recipe(n_steps=2)
    paragraphs, mined = read_all(files.data, files.negatives)
    made = InstanceMaker(BUILDER, paragraphs, examples(paragraphs), recipe.rates)
    out_dir.mkdir()
    shutil.copyfile(files.whole / "recipe.json", out_dir / "recipe.json")
    _run(Trainer(recipe, None), recipe, made, islice(batches(recipe, made, mined, skip=0), 1), out_dir)


def test_a_stopped_command_goes_on_and_another_recipe_is_refused(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stopped"
    stopped(files, folder, monkeypatch)
    checkpoint, recipe = (folder / "checkpoint.pt").read_bytes(), (folder / "recipe.json").read_text(encoding="utf-8")
    for options in (["--steps=3"], ["--steps=2", f"--start={files.whole / 'weights.pt'}"]):
        refused = files.train(folder, *options)
        assert refused.exit_code == 1
        assert "is of another recipe" in refused.output
    assert (folder / "checkpoint.pt").read_bytes() == checkpoint
    assert (folder / "recipe.json").read_text(encoding="utf-8") == recipe
    assert not (folder / "weights.pt").exists()

    assert files.train(folder, "--steps=2").exit_code == 0
    for name in ("weights.pt", "average.pt"):
        assert equal(loaded(folder / name), loaded(files.whole / name))
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["step"], list(line)) for line in log] == [(step, ["step", "loss", "s"]) for step in (1, 2)]
    assert all(1.0 < line["loss"] < 20.0 for line in log)


def test_the_command_starts_from_the_weights_it_is_given(tmp_path: Path, files: Files) -> None:
    source = files.whole / "weights.pt"
    assert files.train(tmp_path / "none", "--steps=0", f"--start={source}").exit_code == 0
    assert equal(loaded(tmp_path / "none" / "weights.pt"), loaded(source))
    assert json.loads((tmp_path / "none" / "recipe.json").read_text(encoding="utf-8"))["start"] == "weights.pt"


def test_negatives_of_another_file_are_refused(tmp_path: Path, files: Files) -> None:
    np.save(tmp_path / "fewer.npy", np.zeros((N_EACH - 1, 2), dtype=np.int32))
    other = dataclasses.replace(files, negatives=[files.negatives[0], tmp_path / "fewer.npy"])
    refused = other.train(tmp_path / "out", "--steps=1")
    assert refused.exit_code == 1
    assert f"fewer.npy is not of {files.data[1]}: {N_EACH - 1} rows for {N_EACH} questions" in refused.output


def test_a_stop_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    _write({"step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(AttributeError):
        _write({"step": lambda: 2}, tmp_path / "checkpoint.pt")  # cannot be pickled
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True) == {"step": 1}
