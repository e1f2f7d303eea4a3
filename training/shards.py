"""What a teacher said of the windows of a run, in files of a hundred batches each."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.trainer import Batch, Logits

SHARD_BATCHES = 100
DESCRIPTION = "labels.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Of one batch: the digest of its windows' token ids and the logits, `(2, n_windows, n_tokens)` float16."""

    digest: int
    logits: NDArray[np.float16]


def digest(batch: Batch) -> int:
    """A number of the batch's token ids and token types, by which another batch is told from it."""
    ids, types, _, _ = batch
    return zlib.crc32(types.numpy().tobytes(), zlib.crc32(ids.numpy().tobytes()))


def shard_file(folder: Path, shard: int) -> Path:
    """The file of batches `[shard * SHARD_BATCHES, (shard + 1) * SHARD_BATCHES)`."""
    return folder / f"{shard:05}.npz"


def write_shard(file: Path, batches: list[Said]) -> None:
    """Write all batches of a shard; a stop at any moment leaves no file or a whole one."""
    beside = file.with_suffix(".partial")
    with beside.open("wb") as out:
        np.savez(
            out,
            digests=np.array([said.digest for said in batches], dtype=np.int64),
            shapes=np.array([said.logits.shape for said in batches], dtype=np.int64),
            logits=np.concatenate([said.logits.ravel() for said in batches]),
        )
    beside.replace(file)


def read_shard(file: Path) -> list[Said]:
    """What `write_shard` wrote."""
    with np.load(file) as arrays:
        digests, shapes, logits = arrays["digests"], arrays["shapes"], arrays["logits"]
    ends = np.cumsum(shapes.prod(axis=1))
    parts = np.split(logits, ends[:-1])
    return [
        Said(digest=int(number), logits=part.reshape(shape))
        for number, shape, part in zip(digests, shapes, parts, strict=True)
    ]


class Shards:
    """The shards in a folder, read one after another as the batches come."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder.

        Raises:
            SystemExit: `training.labels` has not written there.
        """
        description = folder / DESCRIPTION
        if not description.is_file():
            raise SystemExit(f"{folder}: has no {DESCRIPTION}; make the labels of this run with training.labels")
        self.teacher = str(json.loads(description.read_text(encoding="utf-8"))["teacher"])
        self._folder = folder
        self._shard = -1
        self._said: list[Said] = []

    def of(self, number: int, batch: Batch) -> Logits:
        """The teacher's start and end logits of a pass's batch of this number, each `(n_windows, n_tokens)` float32.

        Raises:
            SystemExit: the batch has no labels, or the labels are of other windows.
        """
        shard, place = divmod(number, SHARD_BATCHES)
        if shard != self._shard:
            file = shard_file(self._folder, shard)
            if not file.is_file():
                raise SystemExit(f"{file} is missing: batch {number} has no labels; run training.labels for more steps")
            self._shard, self._said = shard, read_shard(file)
        said = self._said[place]
        if said.digest != digest(batch):
            raise SystemExit(
                f"{shard_file(self._folder, shard)}: batch {number} has the labels of other windows; they must be made "
                "with this run's recipe, seed, data and negatives (see labels.json there)"
            )
        start, end = torch.from_numpy(said.logits.astype(np.float32))
        return start, end
