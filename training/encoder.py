"""The reader as a torch module: a BERT encoder with a span head.

Written out rather than taken from transformers because of speed: with bfloat16 weights and plain attention a training
step of 16 windows of 176 tokens takes 295 ms on two AMX cores, against 404 ms for transformers' BertModel under
autocast, 562 ms with its scaled-dot-product attention and 807 ms in float32. A test holds the two equal.
"""

import json
import math
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

MASKED = -30000.0
"""Added to logits that must not be chosen: far below any logit, and finite in bfloat16 and float32."""


class Dropout(nn.Module):
    """While training, each number is 0 at the rate, in steps of 1/256; the others grow, so that the mean stays.

    Its own, for torch's takes 12.3 ms on 32 windows of 176 tokens, and this 2.8 ms: 8 random numbers from one draw.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """The same shape; `x` itself when not training."""
        n_dropped = round(256 * self.rate)
        if not self.training or not n_dropped:
            return x
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= n_dropped
        return x * (kept.to(x.dtype) * (256 / (256 - n_dropped)))


class Layer(nn.Module):
    """One post-norm transformer layer, `(batch, tokens, width)` to the same shape."""

    def __init__(self, width: int, n_heads: int, inner: int, epsilon: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, epsilon)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, epsilon)
        self.dropout = Dropout()

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Attend and transform; `bias`, `(batch, 1, 1, tokens)`, is added to the attention scores."""
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, self.n_heads, width // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.matmul(q * (1 / math.sqrt(width // self.n_heads)), k.transpose(-1, -2)) + bias
        mixed = torch.matmul(torch.softmax(scores, -1), v).transpose(1, 2).reshape(batch, length, width)
        x = self.attention_norm(x + self.dropout(self.out(mixed)))
        result: Tensor = self.output_norm(x + self.dropout(self.down(F.gelu(self.up(x)))))
        return result


class SpanReader(nn.Module):
    """Token ids to start and end logits.

    The logits of [CLS] stand for "no answer here"; those of question, title and padding are masked.
    """

    def __init__(self, config: dict[str, int | float]) -> None:
        super().__init__()
        width, epsilon = int(config["hidden_size"]), float(config["layer_norm_eps"])
        self.words = nn.Embedding(int(config["vocab_size"]), width)
        self.positions = nn.Embedding(int(config["max_position_embeddings"]), width)
        self.types = nn.Embedding(int(config["type_vocab_size"]), width)
        self.norm = nn.LayerNorm(width, epsilon)
        self.layers = nn.ModuleList(
            Layer(width, int(config["num_attention_heads"]), int(config["intermediate_size"]), epsilon)
            for _ in range(int(config["num_hidden_layers"]))
        )
        self.head = nn.Linear(width, 2)

    def drop(self, rate: float) -> None:
        """Set the dropout rate of all layers, in [0, 1); it is used in training mode alone."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.rate = rate

    def compile_layers(self) -> None:
        """Let torch make one program of a layer's steps, for any number of tokens: it needs a C++ compiler.

        A step of the teacher, 32 windows of 160 tokens, takes 2.5 s for 3.1 s on two AMX cores. Not for layers that
        drop: `Dropout` would cut each into pieces, and with torch's dropout the reader takes 0.8 s a step for 0.6 s.
        """
        for layer in self.layers:
            layer.compile(dynamic=True)

    def in_bfloat16(self) -> Self:
        """Itself, computing in bfloat16, but for the head."""
        self.to(torch.bfloat16)
        self.head.float()
        return self

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Start and end logits, each `(batch, tokens)`; the three inputs are int64 of that shape too."""
        states = self.encode(input_ids, token_type_ids, attention_mask)
        logits = self.head(states.to(self.head.weight.dtype)).float()
        # [CLS] stays; of the rest only the passage, without its closing separator, can hold an answer.
        following = F.pad(token_type_ids * attention_mask, (0, 1))[:, 1:]
        allowed = token_type_ids * attention_mask * following
        cls = (torch.arange(input_ids.shape[1], device=input_ids.device) == 0).to(allowed.dtype)
        masked = (1 - torch.clamp(allowed + cls, max=1)).float() * MASKED
        return logits[..., 0] + masked, logits[..., 1] + masked

    def encode(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The last hidden states, `(batch, tokens, width)`."""
        dtype = self.positions.weight.dtype
        bias = ((1 - attention_mask.to(dtype)) * MASKED)[:, None, None, :]
        x = self.words(input_ids) + self.positions.weight[: input_ids.shape[1]] + self.types(token_type_ids)
        states: Tensor = self.norm(x)
        for layer in self.layers:
            states = layer(states, bias)
        return states


def from_backbone(folder: Path) -> SpanReader:
    """A reader with the backbone's weights and a fresh head; seed torch before the call."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    reader = SpanReader(config)
    nn.init.normal_(reader.head.weight, std=0.02)
    nn.init.zeros_(reader.head.bias)
    source = load_file(folder / "model.safetensors")
    state = {name: tensor for name, tensor in reader.state_dict().items() if name.startswith("head.")}
    embeddings = {"words": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings"}
    for ours, theirs in embeddings.items():
        state[f"{ours}.weight"] = source[f"embeddings.{theirs}.weight"]
    for part in ("weight", "bias"):
        state[f"norm.{part}"] = source[f"embeddings.LayerNorm.{part}"]
        for i in range(len(reader.layers)):
            here, there = f"layers.{i}", f"encoder.layer.{i}"
            projections = [source[f"{there}.attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            state[f"{here}.qkv.{part}"] = torch.cat(projections)
            state[f"{here}.out.{part}"] = source[f"{there}.attention.output.dense.{part}"]
            state[f"{here}.attention_norm.{part}"] = source[f"{there}.attention.output.LayerNorm.{part}"]
            state[f"{here}.up.{part}"] = source[f"{there}.intermediate.dense.{part}"]
            state[f"{here}.down.{part}"] = source[f"{there}.output.dense.{part}"]
            state[f"{here}.output_norm.{part}"] = source[f"{there}.output.LayerNorm.{part}"]
    reader.load_state_dict(state)
    return reader
