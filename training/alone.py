"""The reader as it is exported: for one window at a time.

The product reads each window alone (docs/adr/0009), so nothing is padded and no attention is masked: adding a mask of
nothing but zeros to 12 x tokens x tokens scores in each layer took a tenth of the time. What is left of attention is
ONNX Runtime's own operator, which never holds all those scores; docs/adr/0018 has the figures.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from training.encoder import Layer, SpanReader

ATTENTION = "com.microsoft::MultiHeadAttention"


class UnmaskedLayer(nn.Module):
    """A layer's own parts around ONNX Runtime's attention: only that can run it."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.n_heads = layer.n_heads
        self.qkv, self.out, self.attention_norm = layer.qkv, layer.out, layer.attention_norm
        self.up, self.down, self.output_norm = layer.up, layer.down, layer.output_norm

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """What `Layer` gives where every token is read, `(batch, tokens, width)` to the same shape."""
        parts = self.qkv(x).split(x.shape[-1], dim=-1)
        mixed = torch.onnx.ops.symbolic(
            ATTENTION, parts, {"num_heads": self.n_heads}, dtype=x.dtype, shape=x.shape, version=1
        )
        x = self.attention_norm(x + self.out(mixed))
        result: Tensor = self.output_norm(x + self.down(F.gelu(self.up(x))))
        return result


class Alone(nn.Module):
    """A reader of windows without padding; the reader given stays as it is.

    The layers of a teacher stay too: their attention has a bias of its own, and nobody waits for it.
    """

    def __init__(self, reader: SpanReader) -> None:
        super().__init__()
        self.reader = deepcopy(reader)
        if type(reader) is SpanReader:
            layers = [UnmaskedLayer(layer) for layer in self.reader.layers if isinstance(layer, Layer)]
            self.reader.layers = nn.ModuleList(layers)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Start and end logits, each `(batch, tokens)`, as the reader's; both inputs are int64 of that shape."""
        found: tuple[Tensor, Tensor] = self.reader(input_ids, token_type_ids, torch.ones_like(input_ids))
        return found
