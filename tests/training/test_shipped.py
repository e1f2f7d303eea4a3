from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper

from tests.training.parts import PARAGRAPHS
from tests.training.run_parts import RECIPE, trainer_of
from training.encoder import SpanReader
from training.export import reader_of, some_windows, write_float32, write_int8
from training.rounding import in_steps
from training.shipped import plain_weights, shipped
from training.smooth import Smoothed, smooth


def trained() -> SpanReader:
    """A reader of the size that ships."""
    return reader_of(trainer_of(RECIPE).weights(averaged=False)).eval()


def write_graphs(reader: SpanReader, folder: Path) -> None:
    write_float32(reader, folder / "float32.onnx")
    write_int8(folder / "float32.onnx", folder / "int8.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both graphs of `trained`, evened out."""
    folder = tmp_path_factory.mktemp("shipped")
    reader = trained()
    assert smooth(reader, some_windows(PARAGRAPHS)) > 0
    write_graphs(reader, folder)
    return folder


def test_the_weights_are_those_of_before_to_half_a_step(folder: Path) -> None:
    evened, found = trained(), shipped(folder / "int8.onnx")
    smooth(evened, some_windows(PARAGRAPHS))
    before, after = evened.state_dict(), found.state_dict()
    assert after.keys() == before.keys()
    products = {name for name, module in evened.named_modules() if isinstance(module, torch.nn.Linear)} - {"head"}
    for name, weight in before.items():
        if name.removesuffix(".weight") in products:
            step = torch.from_numpy(in_steps(weight.T.numpy())[1])[:, None]  # each column of the graph has its own
        elif name in {"words.weight", "types.weight"}:
            step = (weight.max() - weight.min()) / 255
        else:
            assert torch.equal(after[name], weight), name
            continue
        assert bool(((after[name] - weight).abs() <= 0.51 * step).all()), name
        assert not torch.equal(after[name], weight)


def test_plain_weights_make_a_reader_that_says_the_same(folder: Path) -> None:
    found = shipped(folder / "int8.onnx")
    assert any(isinstance(module, Smoothed) for module in found.modules())
    plain = reader_of(plain_weights(found)).eval()
    ids = torch.randint(1000, 30000, (2, 60))
    inputs = ids, (torch.arange(60) >= 9).long().expand(2, 60), torch.ones_like(ids)
    with torch.no_grad():
        for one, other in zip(plain(*inputs), found(*inputs), strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-3)


def test_what_is_written_again_has_the_same_steps(folder: Path, tmp_path: Path) -> None:
    write_graphs(shipped(folder / "int8.onnx"), tmp_path)
    first, second = (steps(file) for file in (folder / "int8.onnx", tmp_path / "int8.onnx"))
    assert len(first) == 26  # four products a layer, words and types
    assert first == second


def steps(file: Path) -> list[bytes]:
    """The int8 arrays of a graph, in order."""
    graph = onnx.load(str(file)).graph
    return [numpy_helper.to_array(one).tobytes() for one in graph.initializer if one.name.endswith("_quantized")]


def test_another_graph_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"float32\.onnx is not an int8 graph"):
        shipped(folder / "float32.onnx")
