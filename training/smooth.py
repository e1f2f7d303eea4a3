"""Even out what the int8 products take in, so that a few wide channels do not use up all the steps.

An int8 product has 255 steps for the whole of its input, from the least to the greatest number in a window. One or two
of MiniLM's hundreds of channels reach 27, at [CLS] alone, where the others stay within 2: with steps of 0.1, little is
left of those. As in SmoothQuant (Xiao et al. 2023) a wide channel is divided by a factor, and the weights that read it
are multiplied by the same: the product stays as it was.

On 300 questions of the validation part, the best span was that of float32 for 96 % and not 92 %; docs/adr/0016 has the
figures, and what else was tried.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qa.windows import Window
from training.encoder import SpanReader

PARTS = ("qkv", "up", "down")
"""The products of a layer that are evened out; the fourth, `out`, loses next to nothing as it is."""
N_WIDEST = 10
"""So many channels may set the range: what is wider than the last of them is narrowed to it."""
WORTH = 3.0
"""A product is left alone if its widest channel is less than so many times as wide as that: dividing takes time."""
Place = tuple[int, str]
"""A layer, by its number, and one of its products."""


class Smoothed(nn.Module):
    """A linear layer whose input is divided by `factors`, `(n_in,)` >= 1, and its weights multiplied by them."""

    inverse: Tensor

    def __init__(self, linear: nn.Linear, factors: Tensor) -> None:
        super().__init__()
        self.register_buffer("inverse", 1 / factors)
        self.linear = nn.Linear(linear.in_features, linear.out_features)
        with torch.no_grad():
            self.linear.weight.copy_(linear.weight * factors)
            self.linear.bias.copy_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """What the linear layer gives, `(..., n_in)` to `(..., n_out)`."""
        result: Tensor = self.linear(x * self.inverse)
        return result


def smooth(reader: SpanReader, windows: Sequence[Window]) -> int:
    """Even out the reader's layers in place, by what they take in for these windows; how many products were changed.

    Args:
        reader: float32, in evaluation mode; it says what it said before, up to rounding.
        windows: some hundred, such as are read at answer time.
    """
    products = {(i, part): getattr(layer, part) for i, layer in enumerate(reader.layers) for part in PARTS}
    linears = {place: product for place, product in products.items() if isinstance(product, nn.Linear)}
    found = {place: factors(widths) for place, widths in _widths(reader, linears, windows).items()}
    wide = [place for place, by in found.items() if by.max() >= WORTH]
    for i, part in wide:
        setattr(reader.layers[i], part, Smoothed(linears[i, part], found[i, part]))
    return len(wide)


def factors(widths: Tensor) -> Tensor:
    """By how much to divide each channel, `(n,)` >= 1, given the greatest absolute value in each, `(n,)`."""
    allowed = widths.sort(descending=True).values[:N_WIDEST][-1]
    return torch.clamp(widths / allowed.clamp(min=1e-6), min=1.0)


@torch.no_grad()
def _widths(reader: SpanReader, linears: dict[Place, nn.Linear], windows: Sequence[Window]) -> dict[Place, Tensor]:
    """The greatest absolute value that each input channel of each product had."""
    widths = {place: torch.zeros(linear.in_features) for place, linear in linears.items()}

    def watch(place: Place, inputs: tuple[Tensor]) -> None:
        widths[place] = torch.maximum(widths[place], inputs[0].abs().flatten(0, -2).amax(0))

    watches = [
        linear.register_forward_pre_hook(lambda _, inputs, place=place: watch(place, inputs))
        for place, linear in linears.items()
    ]
    for window in windows:
        ids = torch.from_numpy(window.input_ids)[None]
        types = (torch.arange(ids.shape[1]) >= window.passage_start).long()[None]
        reader(ids, types, torch.ones_like(ids))
    for hook in watches:
        hook.remove()
    return widths
