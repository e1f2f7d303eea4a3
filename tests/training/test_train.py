from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.parts import BACKBONE, maker, negatives
from training.data import batch_arrays
from training.encoder import SpanReader, from_backbone
from training.train import Recipe, Trainer, batches

RECIPE = Recipe(batch_size=2, epochs=2, negative_rate=0.5)
N_STEPS = 6


def batch(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three short positives and a negative."""
    made, rng = maker(title_rate=0.0), np.random.default_rng(seed)
    instances = [made.positive(i, rng) for i in (0, 2, 6)] + [made.negative(4, 3, rng)]
    ids, types, mask, targets = (torch.from_numpy(array) for array in batch_arrays(instances))
    return ids, types, mask, targets


def learn(trainer: Trainer, n_steps: int) -> list[float]:
    return [trainer.learn(batch(trainer.step)) for _ in range(n_steps)]


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_the_loss_falls_on_a_tiny_batch() -> None:
    trainer = Trainer(Recipe(learning_rate=3e-4), n_steps=100)
    losses = [trainer.learn(batch(0)) for _ in range(12)]
    assert losses[0] > 1.0
    assert losses[-1] < losses[0] / 2
    assert trainer.step == 12


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    whole = Trainer(RECIPE, N_STEPS)
    losses = learn(whole, 2)
    whole.save(tmp_path / "checkpoint.pt")
    saved = {name: tensor.clone() for name, tensor in whole.weights().items()}
    losses += learn(whole, 3)
    resumed = Trainer(RECIPE, N_STEPS)
    resumed.load(tmp_path / "checkpoint.pt")
    assert resumed.step == 2
    assert equal(resumed.weights(), saved)
    assert learn(resumed, 3) == losses[2:]
    assert equal(resumed.weights(), whole.weights())
    assert not equal(resumed.weights(), saved)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.fixture(scope="module")
def trained() -> Trainer:
    trainer = Trainer(RECIPE, N_STEPS)
    learn(trainer, 2)
    return trainer


def test_the_weights_are_float32_and_load_into_a_reader(trained: Trainer) -> None:
    weights = trained.weights()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    reader = from_backbone(BACKBONE)
    reader.load_state_dict(weights)
    ids, types, mask, _ = batch(0)
    with torch.no_grad():
        expected = trained.reader(ids, types, mask)[0]
        assert torch.allclose(reader(ids, types, mask)[0], expected, rtol=0.05, atol=0.1)  # bfloat16 beside float32


def test_everything_but_the_word_embeddings_learns(trained: Trainer) -> None:
    torch.manual_seed(RECIPE.seed)
    before: SpanReader = from_backbone(BACKBONE)
    start, now = before.state_dict(), trained.weights()
    assert now.keys() == start.keys()
    unchanged = {name for name, tensor in start.items() if torch.equal(tensor.bfloat16().float(), now[name])}
    assert unchanged == {"words.weight"}


def test_skipping_batches_goes_on_where_the_run_stopped() -> None:
    made = maker()
    everything = list(batches(RECIPE, made, negatives(), skip=0))
    per_epoch = len(everything) // RECIPE.epochs
    assert per_epoch > 2
    assert everything[:per_epoch] != everything[per_epoch:]
    for skip in range(len(everything) + 1):
        assert list(batches(RECIPE, made, negatives(), skip=skip)) == everything[skip:]
