"""The mean of several readers' weights.

    python -m training.average OUT.pt WEIGHTS.pt WEIGHTS.pt...

Readers trained on from the same weights, with other data or in another order, lie in one valley of the loss, and their
mean lies lower than each. Wortsman et al. 2022, "Model soups".
"""

from pathlib import Path

import torch
import typer


def mean(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of each tensor, float32.

    Raises:
        SystemExit: they are not of one network.
    """
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes):
        raise SystemExit("the weights are not of one network")
    return {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}


def main(out_file: Path, weights: list[Path]) -> None:
    """Write the mean."""
    torch.save(mean([torch.load(file, weights_only=True) for file in weights]), out_file)


if __name__ == "__main__":
    typer.run(main)
