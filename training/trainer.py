"""One step of learning after another, for the reader or for its teacher.

The loss is the cross-entropy of the answer's first and last token over the tokens of one passage and [CLS], where [CLS]
is right for passages that do not hold the answer; beside it, for questions that are read with two passages, that over
the tokens of both; and, for a reader that has a teacher, how far it is in both from what the teacher said.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from training.encoder import SpanReader
from training.recipe import Recipe

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Batch = tuple[Tensor, Tensor, Tensor, Tensor]
Logits = tuple[Tensor, Tensor]


class Trainer:
    """Float32 masters for learning, and weights for computing, in bfloat16 or float32; word embeddings stay fixed."""

    def __init__(self, recipe: Recipe, reader: SpanReader, *, float32: bool = False) -> None:
        """Takes the reader over; its weights are float32, and torch has been seeded.

        It computes in bfloat16 (word embeddings are rounded to it too), or in `float32`.
        """
        n_steps = recipe.n_steps
        self.recipe = recipe
        self.reader = reader.to(DEVICE)
        initial = {name: p.detach().clone() for name, p in self.reader.named_parameters()}
        if not float32:
            self.reader.in_bfloat16()
        self.reader.drop(recipe.dropout)
        self.reader.words.weight.requires_grad_(False)  # noqa: FBT003 (torch's own)
        self._names = [name for name, p in self.reader.named_parameters() if p.requires_grad]
        self._working = [p for p in self.reader.parameters() if p.requires_grad]
        self._masters = [initial[name] for name in self._names]
        self._average = [initial[name].clone() for name in self._names]
        self._optimizer = torch.optim.AdamW(
            self._masters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        warmup = max(1, round(recipe.warmup_share * n_steps))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min((step + 1) / warmup, max(n_steps - step, 0) / max(n_steps - warmup, 1))
        )
        self.step = 0

    def learn(self, batch: Batch, taught: Logits | None = None) -> float:
        """One step of gradient descent; the loss before it.

        Args:
            batch: ids, types, mask and targets; the last windows are negatives, one for each of the first questions.
            taught: the teacher's start and end logits of these windows, each `(n_windows, n_tokens)`.
        """
        ids, types, mask, targets = (tensor.to(DEVICE) for tensor in batch)
        found = self.reader(ids, types, mask)
        loss = self._own_loss(found, targets)
        if taught is not None:
            share = self.recipe.taught_weight
            loss = (1 - share) * loss + share * self._loss_of_taught(found, taught)
        torch.autograd.backward(loss)
        for master, working in zip(self._masters, self._working, strict=True):
            master.grad = working.grad.float() if working.grad is not None else None
            working.grad = None
        torch.nn.utils.clip_grad_norm_(self._masters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        self.step += 1
        kept = min(self.recipe.kept_of_average, self.step / (self.step + 9))
        with torch.no_grad():
            for master, working, mean in zip(self._masters, self._working, self._average, strict=True):
                working.copy_(master)
                mean.lerp_(master, 1 - kept)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint; a stop at any moment leaves the old one or the new one."""
        state = {
            "step": self.step,
            "masters": self._masters,
            "average": self._average,
            "random": torch.cuda.get_rng_state() if DEVICE.type == "cuda" else torch.get_rng_state(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        write(state, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True, map_location="cpu")
        self.step = state["step"]
        with torch.no_grad():
            for i, working in enumerate(self._working):
                self._masters[i].copy_(state["masters"][i])
                self._average[i].copy_(state["average"][i])
                working.copy_(self._masters[i])
        (torch.cuda if DEVICE.type == "cuda" else torch).set_rng_state(state["random"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def weights(self, *, averaged: bool) -> dict[str, Tensor]:
        """The last weights or their running mean, float32 on the CPU, as `load_state_dict` takes them."""
        learnt = dict(zip(self._names, self._average if averaged else self._masters, strict=True))
        everything = {"words.weight": self.reader.words.weight.float(), **learnt}
        return {name: tensor.cpu() for name, tensor in everything.items()}

    def _own_loss(self, found: Logits, targets: Tensor) -> Tensor:
        start, end = found
        n_negatives = self.recipe.n_negatives
        loss = (F.cross_entropy(start, targets[:, 0]) + F.cross_entropy(end, targets[:, 1])) / 2
        if n_negatives:
            shared = sum(shared_loss(logits, targets[:, i], n_negatives) for i, logits in enumerate((start, end))) / 2
            loss = loss + self.recipe.shared_weight * shared
        return loss

    def _loss_of_taught(self, found: Logits, taught: Logits) -> Tensor:
        """The windows' own divergence and, weighed as in `_own_loss`, that of windows that are read together."""
        n, temperature = self.recipe.n_negatives, self.recipe.temperature
        losses = []
        for logits, said in zip(found, (one.to(DEVICE) for one in taught), strict=True):
            losses.append(taught_loss(logits, said, temperature))
            if n:
                shared = taught_loss(together(logits, n), together(said, n), temperature)
                losses.append(self.recipe.shared_weight * shared)
        return torch.stack(losses).sum() / 2


def together(logits: Tensor, n_negatives: int) -> Tensor:
    """The passage tokens of each window that has a negative, and of that, in one row: `(n_negatives, tokens)`.

    [CLS] takes no part: "no answer here" is said of one passage.

    Args:
        logits: `(n_windows, n_tokens)`; the last `n_negatives` are the negatives of the first ones.
        n_negatives: at least 1.
    """
    return torch.cat([logits[:n_negatives, 1:], logits[-n_negatives:, 1:]], dim=1)


def shared_loss(logits: Tensor, targets: Tensor, n_negatives: int) -> Tensor:
    """Mean cross-entropy of the right token over the passage tokens of the window that answers and of its negative.

    It makes logits of different passages compare. Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading
    Comprehension".

    Args:
        logits: as `together` takes them, and `n_negatives`.
        targets: `(n_windows,)` the right tokens.
        n_negatives: at least 1.
    """
    return F.cross_entropy(together(logits, n_negatives), targets[:n_negatives] - 1)


def taught_loss(logits: Tensor, said: Tensor, temperature: float) -> Tensor:
    """Mean divergence (Kullback-Leibler, in nats) of the reader's distribution from the teacher's, over the rows.

    Each is the softmax over a row's tokens of its logits divided by the temperature; times its square, so that the
    gradient is of one size at all temperatures. Hinton et al. 2015, "Distilling the Knowledge in a Neural Network". At
    least 0, which it is where the reader says what the teacher says.

    Args:
        logits: the reader's, `(n, n_tokens)`: of windows, or of what `together` makes of them; masked as `SpanReader`
            masks them.
        said: the teacher's, of the same shape and masked alike.
        temperature: above 0.
    """
    ours, theirs = ((x.float() / temperature).log_softmax(-1) for x in (logits, said))
    return temperature**2 * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def write(state: object, path: Path) -> None:
    """Save to a file that is always whole: the old one or the new one."""
    beside = path.with_suffix(".partial")
    torch.save(state, beside)
    beside.replace(path)
