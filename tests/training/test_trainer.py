import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.parts import BACKBONE
from tests.training.run_parts import RECIPE, batch, equal, learn, trainer_of, weights_of
from training.encoder import MASKED, SpanReader, from_backbone
from training.train import seeded
from training.trainer import Trainer, shared_loss, taught_loss, write

NO_DROPOUT = dataclasses.replace(RECIPE, dropout=0.0)


def test_the_loss_falls_on_a_tiny_batch() -> None:
    trainer = trainer_of(dataclasses.replace(RECIPE, learning_rate=3e-4, n_steps=100))
    losses = [trainer.learn(batch(0)) for _ in range(12)]
    assert losses[0] > 1.0
    assert losses[-1] < losses[0] / 2
    assert trainer.step == 12


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    whole = trainer_of(RECIPE)
    losses = learn(whole, 2)
    whole.save(tmp_path / "checkpoint.pt")
    saved, saved_average = weights_of(whole), weights_of(whole, averaged=True)
    losses += learn(whole, 3)

    resumed = trainer_of(RECIPE)
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
        trainer = trainer_of(dataclasses.replace(RECIPE, seed=seed, dropout=rate, learning_rate=0.0))
        return [trainer.learn(batch(0)) for _ in range(3)]

    # At the learning rate 0 the first step differs from the others too: its head is still rounded to bfloat16.
    assert len(set(losses(9, 0.1)[1:])) == 2
    assert len(set(losses(9, 0.0)[1:])) == 1
    assert losses(9, 0.1) == losses(9, 0.1)
    assert losses(9, 0.1) != losses(8, 0.1)


@pytest.fixture(scope="module")
def trained() -> Trainer:
    trainer = trainer_of(RECIPE)
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


def test_in_float32_nothing_is_rounded_and_the_first_loss_is_nearly_the_same() -> None:
    recipe = dataclasses.replace(RECIPE, dropout=0.0)
    whole, rounded = Trainer(recipe, seeded(recipe, None), float32=True), Trainer(recipe, seeded(recipe, None))
    start = weights_of(whole)
    assert {parameter.dtype for parameter in whole.reader.parameters()} == {torch.float32}
    assert learn(whole, 1)[0] == pytest.approx(learn(rounded, 1)[0], rel=0.02)
    now = weights_of(whole)
    assert [name for name, tensor in start.items() if torch.equal(tensor, now[name])] == ["words.weight"]


def test_training_starts_from_the_weights_given_unrounded(tmp_path: Path, trained: Trainer) -> None:
    weights = trained.weights(averaged=False)
    torch.save(weights, tmp_path / "weights.pt")
    started = trainer_of(RECIPE, tmp_path / "weights.pt")
    assert started.step == 0
    assert equal(started.weights(averaged=False), weights)
    assert equal(started.weights(averaged=True), weights)
    assert not equal(started.weights(averaged=False), trainer_of(RECIPE).weights(averaged=False))


@pytest.mark.parametrize(
    ("most", "expected"), [(0.998, [1 / 10, 2 / 11, 3 / 12, 4 / 13]), (0.2, [0.1, 2 / 11, 0.2, 0.2])]
)
def test_the_average_is_the_running_mean_of_all_steps(most: float, expected: list[float]) -> None:
    trainer = trainer_of(dataclasses.replace(RECIPE, kept_of_average=most, learning_rate=1e-3))
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
    trainer = trainer_of(dataclasses.replace(RECIPE, n_steps=10, warmup_share=0.2, learning_rate=1.0))
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
    """Of the right token among those of both windows."""
    return softmax_loss(paired(logits, n_negatives), [target - 1 for target in targets[:n_negatives]])


def paired(logits: list[list[float]], n_negatives: int) -> list[list[float]]:
    """Each window with a negative and that, in one row without [CLS]."""
    answering, others = logits[:n_negatives], logits[len(logits) - n_negatives :]
    return [[*one[1:], *other[1:]] for one, other in zip(answering, others, strict=True)]


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
    trainer = trainer_of(dataclasses.replace(NO_DROPOUT, shared_weight=shared_weight, n_negatives=n_negatives))
    ids, types, mask, targets = batch(0, n_negatives)
    assert len(ids) == 3 + n_negatives
    with torch.no_grad():
        ends = [logits.tolist() for logits in trainer.reader(ids, types, mask)]
    right = [targets[:, i].tolist() for i in range(2)]
    own = sum(softmax_loss(ends[i], right[i]) for i in range(2)) / 2
    shared = sum(slow_shared_loss(ends[i], right[i], n_negatives) for i in range(2)) / 2 if n_negatives else 0.0
    assert trainer.learn((ids, types, mask, targets)) == pytest.approx(own + shared_weight * shared, rel=1e-5)


def slow_divergence(ours: list[float], theirs: list[float], temperature: float) -> float:
    """Sum of p log(p / q) over one row's tokens, p the teacher's."""

    def probabilities(row: list[float]) -> list[float]:
        grown = [math.exp((logit - max(row)) / temperature) for logit in row]
        return [one / sum(grown) for one in grown]

    pairs = zip(probabilities(theirs), probabilities(ours), strict=True)
    return sum(p * math.log(p / q) for p, q in pairs if p > 0)


@settings(deadline=None)
@given(masked_logits(), st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0, 10.0]))
def test_the_taught_loss_is_the_mean_divergence_from_the_teacher(
    made: tuple[NDArray[np.float64], NDArray[np.int64], int], seed: int, temperature: float
) -> None:
    logits = made[0]
    said = logits + np.random.default_rng(seed).normal(scale=2.0, size=logits.shape) * (logits > MASKED / 2)
    found = taught_loss(torch.from_numpy(logits), torch.from_numpy(said), temperature)
    rows = zip(logits.tolist(), said.tolist(), strict=True)
    expected = [temperature**2 * slow_divergence(ours, theirs, temperature) for ours, theirs in rows]
    assert float(found) == pytest.approx(sum(expected) / len(expected), rel=1e-4, abs=1e-5)
    assert float(taught_loss(torch.from_numpy(said), torch.from_numpy(said), temperature)) == 0.0


def test_the_taught_loss_by_hand() -> None:
    said = torch.tensor([[math.log(3.0), 0.0, MASKED]]).half().float()  # as it is kept in a shard
    logits = torch.tensor([[0.0, 0.0, MASKED]], requires_grad=True)
    found = taught_loss(logits, said, 1.0)
    assert float(found.detach()) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-3)
    torch.autograd.backward(found)
    assert logits.grad is not None
    assert logits.grad.tolist()[0] == pytest.approx([0.5 - 0.75, 0.5 - 0.25, 0.0], abs=1e-3)


@pytest.mark.parametrize(("share", "n_negatives"), [(0.0, 2), (0.3, 2), (1.0, 1), (0.3, 0)])
def test_a_step_weighs_the_right_tokens_and_what_the_teacher_says(share: float, n_negatives: int) -> None:
    recipe = dataclasses.replace(NO_DROPOUT, taught_weight=share, temperature=2.0, n_negatives=n_negatives)
    trainer, made = trainer_of(recipe), batch(0, n_negatives)
    with torch.no_grad():
        found = trainer.reader(*made[:3])
    said = tuple(logits.roll(1, 0).where(logits > MASKED / 2, MASKED) for logits in found)
    soft = 0.0
    for logits, teachers in zip(found, said, strict=True):
        ours, theirs = logits.tolist(), teachers.tolist()
        alone = [slow_divergence(*rows, 2.0) for rows in zip(ours, theirs, strict=True)]
        pairs = zip(paired(ours, n_negatives), paired(theirs, n_negatives), strict=True)
        both = [slow_divergence(*rows, 2.0) for rows in pairs]
        soft += 4.0 * (sum(alone) / len(alone) + recipe.shared_weight * sum(both) / max(len(both), 1)) / 2
    own = trainer_of(dataclasses.replace(NO_DROPOUT, n_negatives=n_negatives)).learn(made)
    assert soft > 0.01
    assert trainer.learn(made, (said[0], said[1])) == pytest.approx((1 - share) * own + share * soft, rel=1e-4)


def test_a_teacher_of_no_weight_changes_nothing() -> None:
    without, beside = trainer_of(NO_DROPOUT), trainer_of(NO_DROPOUT)
    ids = batch(0)[0]
    said = torch.randn(ids.shape)
    assert without.learn(batch(0)) == beside.learn(batch(0), (said, said))
    assert equal(weights_of(without), weights_of(beside))


def test_a_reader_taught_alone_comes_to_say_what_the_teacher_says() -> None:
    recipe = dataclasses.replace(NO_DROPOUT, taught_weight=1.0, temperature=2.0, learning_rate=3e-4, n_steps=100)
    trainer, made = trainer_of(recipe), batch(0)
    with torch.no_grad():
        start, end = trainer.reader(*made[:3])
    open_ = start > MASKED / 2
    torch.manual_seed(7)
    said = tuple(torch.where(open_, 3 * torch.randn(start.shape), MASKED) for _ in (start, end))
    losses = [trainer.learn(made, (said[0], said[1])) for _ in range(25)]
    assert losses[-1] < losses[0] / 2


def test_a_stop_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    write({"step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(AttributeError):
        write({"step": lambda: 2}, tmp_path / "checkpoint.pt")  # cannot be pickled
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True) == {"step": 1}
