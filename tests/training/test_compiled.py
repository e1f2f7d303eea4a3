"""Compiled layers: torch makes C++ of them and builds it, so the first step takes seconds."""

import dataclasses
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch

from tests.training.run_parts import RECIPE, batch, learn, trainer_of, weights_of

HEADER = Path(sysconfig.get_paths()["include"]) / "Python.h"
pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None or not HEADER.exists(), reason="needs g++ and Python.h"),
    pytest.mark.filterwarnings("ignore"),  # torch's compiler warns of its own ways
]
WITHOUT = dataclasses.replace(RECIPE, dropout=0.0)


def test_compiled_layers_say_and_learn_the_same() -> None:
    plain, fast = trainer_of(WITHOUT), trainer_of(WITHOUT)
    fast.reader.compile_layers()
    assert all(layer._compiled_call_impl is not None for layer in fast.reader.layers)
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
