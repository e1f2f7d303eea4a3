import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from qa.windows import Window
from training.encoder import MASKED, Layer, SpanReader
from training.export import INPUTS, write_float32, write_int8
from training.smooth import N_WIDEST, Smoothed, factors, smooth

CONFIG: dict[str, int | float] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "layer_norm_eps": 1e-12,
}
WIDE = 5
"""The channel in which the first layer says 30 times what the others say."""


def small(*, wide: bool) -> SpanReader:
    torch.manual_seed(7)
    reader = SpanReader(CONFIG).eval()
    with torch.no_grad():
        for parameter in reader.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        for module in reader.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.fill_(1.0)
        first = reader.layers[0]
        if wide and isinstance(first, Layer):
            first.attention_norm.weight[WIDE] = 30.0
            first.up.weight[:, WIDE] /= 30.0
    return reader


def windows() -> list[Window]:
    rng = np.random.default_rng(7)
    sizes = rng.integers(12, 40, size=20)
    return [
        Window(input_ids=rng.integers(60, size=size), passage_start=5, offsets=np.zeros((size - 6, 2), dtype=np.int64))
        for size in sizes
    ]


def inputs_of(window: Window) -> tuple[Tensor, Tensor, Tensor]:
    ids = torch.from_numpy(window.input_ids)[None]
    types = (torch.arange(ids.shape[1]) >= window.passage_start).long()[None]
    return ids, types, torch.ones_like(ids)


@torch.no_grad()
def said(reader: SpanReader) -> Tensor:
    """All logits of all windows that are not masked, in one row."""
    logits = torch.cat([torch.cat(reader(*inputs_of(window))).flatten() for window in windows()])
    return logits[logits > MASKED / 2]


def test_what_is_wider_than_the_tenth_is_narrowed_to_it() -> None:
    widths = torch.tensor([1.0] * 30 + [8.0, 2.0] + [2.0] * (N_WIDEST - 3) + [24.0])
    assert factors(widths).tolist() == [1.0] * 30 + [4.0] + [1.0] * (N_WIDEST - 2) + [12.0]


@pytest.mark.parametrize("n", [1, N_WIDEST, 50])
def test_channels_that_say_nothing_stay(n: int) -> None:
    assert factors(torch.zeros(n)).tolist() == [1.0] * n


def test_a_smoothed_product_takes_in_less_and_gives_the_same() -> None:
    torch.manual_seed(7)
    linear, x = nn.Linear(4, 3), torch.randn(2, 5, 4)
    smoothed = Smoothed(linear, torch.tensor([1.0, 16.0, 1.0, 2.0]))
    taken: list[Tensor] = []
    smoothed.linear.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    assert torch.allclose(smoothed(x), linear(x), rtol=0, atol=1e-6)
    assert torch.equal(taken[0], x / torch.tensor([1.0, 16.0, 1.0, 2.0]))


def test_only_wide_products_are_changed_and_the_reader_says_the_same() -> None:
    even, uneven = small(wide=False), small(wide=True)
    before = said(uneven)
    assert smooth(even, windows()) == 0
    assert smooth(uneven, windows()) > 0
    changed = uneven.layers[0].up
    assert isinstance(changed, Smoothed)
    assert int(changed.inverse.argmin()) == WIDE
    assert 1 / 50 < float(changed.inverse.min()) < 1 / 3
    assert torch.allclose(said(uneven), before, rtol=0, atol=1e-3)
    assert not any(module._forward_pre_hooks for module in uneven.modules())
    n_changed = sum(isinstance(module, Smoothed) for module in uneven.modules())
    assert smooth(uneven, windows()) == 0
    assert sum(isinstance(module, Smoothed) for module in uneven.modules()) == n_changed


def test_int8_comes_closer_to_float32(tmp_path: Path) -> None:
    expected = said(small(wide=True)).numpy()
    errors = []
    for name, smoothed in (("plain", False), ("smooth", True)):
        reader = small(wide=True)
        if smoothed:
            smooth(reader, windows())
        write_float32(reader, tmp_path / f"{name}.onnx")
        write_int8(tmp_path / f"{name}.onnx", tmp_path / f"{name}-int8.onnx")
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}-int8.onnx"))
        found = [
            np.concatenate(session.run(None, dict(zip(INPUTS, map(Tensor.numpy, inputs_of(window)[:2]), strict=True))))
            for window in windows()
        ]
        flat = np.concatenate([logits.ravel() for logits in found])
        errors.append(math.sqrt(np.mean((flat[flat > MASKED / 2] - expected) ** 2)))
    plain, smooth_error = errors
    # 0.44 of it with VNNI, 0.57 without, where int8 products can be cut off (docs/adr/0020).
    assert smooth_error < 0.75 * plain
