"""A reader small enough to redo by hand: a token's logits depend on the token and on its place, and on nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from qa.reader import WEIGHTS
from qa.windows import MAX_WINDOW_TOKENS, Window

_N_TOKENS = 30_522
_INPUTS = ("input_ids", "token_type_ids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Start and end logits by token id, `(n_tokens,)`, and what is added by place, `(max_window_tokens,)`; float32."""

    start: NDArray[np.float32]
    end: NDArray[np.float32]
    place: NDArray[np.float32]

    def logits(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Start and end logits of the window's tokens, each `(n_tokens,)`."""
        place = self.place[: len(window.input_ids)]
        return self.start[window.input_ids] + place, self.end[window.input_ids] + place


def made_reader(folder: Path) -> Tables:
    """Writes a reader with random tables, always the same, and the shipped tokenizer into the folder."""
    random = np.random.default_rng(7)
    start, end, place = (
        random.normal(0, scale, n).astype(np.float32)
        for scale, n in ((3, _N_TOKENS), (3, _N_TOKENS), (1, MAX_WINDOW_TOKENS))
    )
    (folder / "tokenizer.json").write_bytes((WEIGHTS / "tokenizer.json").read_bytes())
    tables = Tables(start=start, end=end, place=place)
    onnx.save(_model(tables), folder / "reader.onnx")
    return tables


def _model(tables: Tables) -> onnx.ModelProto:
    numbers: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "start": tables.start,
        "end": tables.end,
        "place": tables.place,
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
    }
    nodes = [
        helper.make_node("Mul", ["input_ids", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["ones"]),
        helper.make_node("CumSum", ["ones", "one"], ["count"]),
        helper.make_node("Sub", ["count", "one"], ["places"]),
        helper.make_node("Gather", ["place", "places"], ["added"]),
    ]
    for name in ("start", "end"):
        nodes.append(helper.make_node("Gather", [name, "input_ids"], [f"{name}_alone"]))
        nodes.append(helper.make_node("Add", [f"{name}_alone", "added"], [f"{name}_logits"]))
    shape = ["n_windows", "n_tokens"]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in _INPUTS],
        [helper.make_tensor_value_info(f"{name}_logits", TensorProto.FLOAT, shape) for name in ("start", "end")],
        [numpy_helper.from_array(table, name) for name, table in numbers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
