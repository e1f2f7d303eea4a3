import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.run_parts import batch
from training.shards import DESCRIPTION, SHARD_BATCHES, Said, Shards, digest, read_shard, shard_file, write_shard
from training.trainer import Batch


def other_batches() -> list[Batch]:
    """One that differs in a token, one in where the passage begins."""
    ids, types, mask, targets = batch(0)
    changed, moved = ids.clone(), types.clone()
    changed[2, 3] += 1
    moved[0, int(types[0].argmax())] = 0
    return [(changed, types, mask, targets), (ids, moved, mask, targets)]


def said(number: int, n_windows: int, n_tokens: int) -> Said:
    rng = np.random.default_rng(number)
    return Said(digest=number, logits=rng.normal(size=(2, n_windows, n_tokens)).astype(np.float16))


def folder_with(folder: Path, shards: dict[int, list[Said]]) -> Path:
    (folder / DESCRIPTION).write_text(json.dumps({"teacher": "abc"}), encoding="utf-8")
    for shard, steps in shards.items():
        write_shard(shard_file(folder, shard), steps)
    return folder


def test_a_shard_comes_back_as_it_was_written(tmp_path: Path) -> None:
    steps = [said(2**32 - 1, 5, 16), said(0, 1, 384), said(7, 5, 16)]
    write_shard(tmp_path / "a.npz", steps)
    found = read_shard(tmp_path / "a.npz")
    assert [step.digest for step in found] == [2**32 - 1, 0, 7]
    for one, other in zip(found, steps, strict=True):
        assert one.logits.dtype == np.float16
        assert np.array_equal(one.logits, other.logits)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_each_step_gets_its_own_start_and_end_logits(tmp_path: Path) -> None:
    made = batch(0)
    n_windows, n_tokens = made[0].shape
    everything = [
        [Said(digest=digest(made), logits=said(1000 * shard + step, n_windows, n_tokens).logits) for step in range(n)]
        for shard, n in enumerate((SHARD_BATCHES, 2))
    ]
    shards = Shards(folder_with(tmp_path, dict(enumerate(everything))))
    assert shards.teacher == "abc"
    for step in (0, 1, SHARD_BATCHES - 1, SHARD_BATCHES, SHARD_BATCHES + 1, 3):  # a resumed run may begin anywhere
        start, end = shards.of(step, made)
        expected = everything[step // SHARD_BATCHES][step % SHARD_BATCHES].logits.astype(np.float32)
        assert start.dtype == torch.float32
        assert np.array_equal(start.numpy(), expected[0])
        assert np.array_equal(end.numpy(), expected[1])


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no labels.json; make the labels of this run with training.labels"):
        Shards(tmp_path)


def test_a_step_without_labels_is_refused(tmp_path: Path) -> None:
    shards = Shards(folder_with(tmp_path, {}))
    with pytest.raises(SystemExit, match=r"00002.npz is missing: batch 250 has no labels"):
        shards.of(250, batch(0))


@pytest.mark.parametrize("which", [0, 1])
def test_labels_of_other_windows_are_refused(tmp_path: Path, which: int) -> None:
    made = batch(0)
    steps = [Said(digest=digest(made), logits=np.zeros((2, *made[0].shape), dtype=np.float16))]
    shards = Shards(folder_with(tmp_path, {0: steps}))
    assert float(shards.of(0, made)[0].sum()) == 0.0
    with pytest.raises(SystemExit, match=r"00000.npz: batch 0 has the labels of other windows.*recipe, seed, data"):
        shards.of(0, other_batches()[which])
