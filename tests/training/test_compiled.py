"""Compiled layers: torch makes C++ of them and builds it, so the first step of each test takes seconds."""

import dataclasses
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch

from tests.training.run_parts import RECIPE, batch, equal, learn, trainer_of, weights_of
from training.recipe import Recipe
from training.trainer import Trainer

HEADER = Path(sysconfig.get_paths()["include"]) / "Python.h"
pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None or not HEADER.exists(), reason="needs g++ and Python.h"),
    pytest.mark.filterwarnings("ignore"),  # torch's compiler warns of its own ways
]
WITHOUT = dataclasses.replace(RECIPE, dropout=0.0)


def compiled(recipe: Recipe) -> Trainer:
    trainer = trainer_of(recipe)
    trainer.reader.compile_layers()
    assert all(layer._compiled_call_impl is not None for layer in trainer.reader.layers)
    return trainer


def test_compiled_layers_say_and_learn_the_same() -> None:
    plain, fast = trainer_of(WITHOUT), compiled(WITHOUT)
    before = weights_of(plain)
    assert learn(fast, 3) == pytest.approx(learn(plain, 3), rel=0.02)
    ids, types, mask, _ = batch(9)
    with torch.no_grad():
        for one, other in zip(fast.reader(ids, types, mask), plain.reader(ids, types, mask), strict=True):
            assert torch.allclose(one, other, rtol=0.05, atol=0.1)
    assert weights_of(fast).keys() == before.keys()
    moved, apart = 0.0, 0.0
    for name, tensor in weights_of(plain).items():
        moved += float((tensor - before[name]).abs().sum())
        apart += float((tensor - weights_of(fast)[name]).abs().sum())
    assert 0 < apart < moved / 3


def test_what_compiled_layers_drop_follows_from_the_seed_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    whole = compiled(RECIPE)
    losses = learn(whole, 2)
    whole.save(tmp_path / "checkpoint.pt")
    losses += learn(whole, 1)
    resumed = compiled(RECIPE)
    resumed.load(tmp_path / "checkpoint.pt")
    assert learn(resumed, 1) == losses[2:]
    assert equal(weights_of(resumed), weights_of(whole))
    assert losses[0] != pytest.approx(learn(trainer_of(WITHOUT), 1)[0], rel=1e-6)
