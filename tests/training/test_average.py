from pathlib import Path

import pytest
import torch

from training.average import main, mean


def test_the_mean_is_taken_tensor_by_tensor(tmp_path: Path) -> None:
    states = [{"a": torch.tensor([0.0, 3.0]), "b": torch.tensor(k)} for k in (1.0, 2.0, 6.0)]
    for i, state in enumerate(states):
        torch.save(state, tmp_path / f"{i}.pt")
    main(tmp_path / "mean.pt", [tmp_path / f"{i}.pt" for i in range(3)])
    found = torch.load(tmp_path / "mean.pt", weights_only=True)
    assert found["a"].tolist() == [0.0, 3.0]
    assert found["b"].item() == 3.0


def test_the_mean_is_float32() -> None:
    assert mean([{"a": torch.ones(2, dtype=torch.bfloat16)}] * 2)["a"].dtype == torch.float32


@pytest.mark.parametrize("other", [{"a": torch.ones(3)}, {"b": torch.ones(2)}, {}])
def test_weights_of_another_network_are_refused(other: dict[str, torch.Tensor]) -> None:
    with pytest.raises(SystemExit, match="not of one network"):
        mean([{"a": torch.ones(2)}, other])
