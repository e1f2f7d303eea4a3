"""Int8 weights whose products no processor cuts off.

Processors without VNNI add two neighbouring products, of an input in [0, 255] and a weight, in 16 bits that stop at
32,767 (`vpmaddubsw`). So the weights of a pair, rows 0 and 1, 2 and 3 and so on of a column, may not sum up to more
than 128 steps in either direction: 255 * 128 = 32,640. What is lost otherwise, and what this costs: docs/adr/0020 and
0023.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

MAX_STEPS, MAX_PAIR_STEPS = 127, 128


def in_steps(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights, `(n_in, n_out)`, as steps of that shape times a scale a column, `(n_out,)`; `n_in` is even.

    What they stand for, steps times scales, has the very same steps again. A pair of 128 steps before rounding has 128
    after it, for what one loses the other gains; a smaller one has no more.
    """
    pairs = weights.reshape(-1, 2, weights.shape[1])
    sums = np.maximum(np.maximum(pairs, 0).sum(axis=1), np.maximum(-pairs, 0).sum(axis=1))
    scales = np.maximum(np.abs(weights).max(axis=0) / MAX_STEPS, sums.max(axis=0) / MAX_PAIR_STEPS)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    return np.rint(weights / scales).astype(np.int8), scales.astype(np.float32)


def round_anew(int8_model: onnx.ModelProto, float32_model: onnx.ModelProto) -> None:
    """Round the weights of an int8 graph's products anew, from those of the float32 graph that it was made of."""
    whole = {one.name: one for one in float32_model.graph.initializer}
    stored = {one.name: one for one in int8_model.graph.initializer}
    for node in int8_model.graph.node:
        if node.op_type == "MatMulInteger":
            name = node.input[1].removesuffix("_quantized")
            steps, scales = in_steps(numpy_helper.to_array(whole[name]))
            for kind, array in (("quantized", steps), ("scale", scales)):
                stored[f"{name}_{kind}"].CopyFrom(numpy_helper.from_array(array, f"{name}_{kind}"))
