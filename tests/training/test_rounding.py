from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from qa.reader import WEIGHTS as WEIGHTS_DIR
from training.rounding import in_steps, round_anew

LIMIT = 32_767
WEIGHTS = hnp.arrays(
    np.float32, st.tuples(st.sampled_from([2, 4, 6]), st.integers(1, 3)), elements=st.floats(-4, 4, width=32)
)


def most(steps: NDArray[np.int8]) -> int:
    """The greatest that a 16-bit sum of two neighbouring products comes to, in either direction."""
    pairs = steps.astype(np.int64).reshape(-1, 2, steps.shape[1])
    return int(255 * max(np.maximum(pairs, 0).sum(axis=1).max(), np.maximum(-pairs, 0).sum(axis=1).max()))


@given(WEIGHTS)
def test_no_pair_is_cut_off_and_each_weight_is_within_half_a_step(weights: NDArray[np.float32]) -> None:
    steps, scales = in_steps(weights)
    assert most(steps) <= LIMIT
    assert np.abs(steps.astype(np.int64)).max() <= 127
    assert np.all(np.abs(steps * scales - weights) <= 0.5001 * scales + 1e-30)


@given(WEIGHTS)
def test_what_steps_stand_for_has_the_same_steps(weights: NDArray[np.float32]) -> None:
    steps, scales = in_steps(np.where(np.abs(weights) < 1e-6, np.float32(0), weights))
    again, _ = in_steps((steps * scales).astype(np.float32))
    assert np.array_equal(again, steps)


def test_a_column_is_as_fine_as_its_widest_weight_or_pair_allows() -> None:
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, -1.0]], dtype=np.float32)
    steps, scales = in_steps(weights)
    assert steps.T.tolist() == [[127, 0], [64, 64], [127, -127]]
    assert np.allclose(scales, [1 / 127, 1 / 64, 1 / 127])


def test_a_column_of_zeros_stays_one() -> None:
    steps, scales = in_steps(np.zeros((4, 2), dtype=np.float32))
    assert not steps.any()
    assert np.isfinite(scales).all()


def test_the_reader_that_ships_is_rounded_so() -> None:
    graph = onnx.load(str(WEIGHTS_DIR / "reader.onnx")).graph
    stored = {one.name: one for one in graph.initializer}
    products = [node.input[1] for node in graph.node if node.op_type == "MatMulInteger"]
    assert len(products) == 24
    assert max(most(numpy_helper.to_array(stored[name])) for name in products) <= LIMIT


def test_the_graph_multiplies_by_the_new_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(8, 5)).astype(np.float32)
    weights[:2, 0] = 3.0  # together more than 16 bits hold, if each had 127 steps
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(tmp_path / "float32.onnx"))
    file = tmp_path / "int8.onnx"
    quantize_dynamic(str(tmp_path / "float32.onnx"), str(file), per_channel=True, weight_type=QuantType.QInt8)
    rounded = onnx.load(str(file))
    before = {one.name: numpy_helper.to_array(one) for one in rounded.graph.initializer}
    assert most(before["w_quantized"]) > LIMIT
    round_anew(rounded, model)
    onnx.save(rounded, str(file))
    after = {one.name: numpy_helper.to_array(one) for one in rounded.graph.initializer}
    assert most(after["w_quantized"]) <= LIMIT
    x = rng.uniform(0, 1, size=(3, 8)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(str(file)).run(None, {"x": x})
    assert np.abs(found - x @ weights).max() < 0.1
