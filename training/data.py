"""Training examples from a SQuAD-format file, tokenised once, and the windows made of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.squad import SquadParagraph
from qa.windows import MAX_WINDOW_TOKENS, Window, WindowBuilder

WIDTH_STEP = 16
"""Batches are padded to a multiple of this many tokens: few distinct shapes keep oneDNN's kernels cached."""
VALIDATION_SHARE = 20
"""One article title in this many is kept out of training, chosen by hash so that the parts never move."""


def is_validation(title: str) -> bool:
    """Whether all paragraphs of the article so titled belong to the validation part."""
    return hashlib.sha256(title.encode()).digest()[0] % VALIDATION_SHARE == 0


def training_part(paragraphs: Sequence[SquadParagraph]) -> list[SquadParagraph]:
    """The paragraphs that may be learnt from."""
    return [paragraph for paragraph in paragraphs if not is_validation(paragraph.title)]


def validation_part(paragraphs: Sequence[SquadParagraph]) -> list[SquadParagraph]:
    """The paragraphs that choices are made on: no article of them is in the training part."""
    return [paragraph for paragraph in paragraphs if is_validation(paragraph.title)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question, the paragraph that answers it and the answer's characters `[start, end)` there."""

    question: str
    paragraph: int
    start: int
    end: int


def examples(paragraphs: Sequence[SquadParagraph]) -> list[Example]:
    """Every answerable question with its first gold; `paragraph` is the index in `paragraphs`."""
    return [
        Example(
            question=question.question,
            paragraph=i,
            start=question.answers[0].start,
            end=question.answers[0].start + len(question.answers[0].text),
        )
        for i, paragraph in enumerate(paragraphs)
        for question in paragraph.questions
        if question.answers
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A window and its target: window token indices of the answer's first and last token, or 0, 0 ([CLS]) for none."""

    window: Window
    first: int
    last: int


class InstanceMaker:
    """Makes instances of examples, deterministically for a given random generator."""

    def __init__(
        self,
        builder: WindowBuilder,
        paragraphs: Sequence[SquadParagraph],
        pool: Sequence[Example],
        *,
        title_rate: float,
        plain_rate: float,
    ) -> None:
        """Tokenise everything once.

        Args:
            builder: the same windows as at answer time.
            paragraphs: what the examples' indices mean.
            pool: the examples.
            title_rate: share of instances that show the article's title before the passage.
            plain_rate: share of questions that lose their question mark, as people type them.
        """
        self._builder = builder
        self._pool = pool
        self._title_rate, self._plain_rate = title_rate, plain_rate
        self._passages = builder.tokenize([paragraph.context for paragraph in paragraphs])
        self._titles = [title.ids for title in builder.tokenize([paragraph.title for paragraph in paragraphs])]
        self._questions = [text.ids for text in builder.tokenize([example.question for example in pool])]
        self._plain = [text.ids for text in builder.tokenize([example.question.rstrip("? ") for example in pool])]

    def positive(self, example_index: int, rng: np.random.Generator) -> Instance:
        """The example with its own paragraph."""
        example = self._pool[example_index]
        passage = self._passages[example.paragraph]
        first, last = token_span(passage.offsets, example.start, example.end)
        prefix, start, end = self._frame(example_index, example.paragraph, rng, keep=(first, last))
        shift = len(prefix) - start
        window = self._builder.window(prefix, passage, start, end)
        return Instance(window=window, first=first + shift, last=last + shift)

    def negative(self, example_index: int, paragraph: int, rng: np.random.Generator) -> Instance:
        """The example's question with a paragraph that does not answer it."""
        prefix, start, end = self._frame(example_index, paragraph, rng, keep=None)
        return Instance(window=self._builder.window(prefix, self._passages[paragraph], start, end), first=0, last=0)

    def make(self, draw: "Draw", rng: np.random.Generator) -> Instance:
        """The instance that a draw stands for."""
        if draw.is_positive:
            return self.positive(draw.example, rng)
        return self.negative(draw.example, draw.paragraph, rng)

    def paragraph_of(self, example_index: int) -> int:
        """The paragraph that answers the example."""
        return self._pool[example_index].paragraph

    def n_tokens(self, draw: "Draw") -> int:
        """About how many tokens the draw's window has, for sorting by length."""
        return min(len(self._questions[draw.example]) + len(self._passages[draw.paragraph].ids), MAX_WINDOW_TOKENS)

    def _frame(
        self, example_index: int, paragraph: int, rng: np.random.Generator, keep: tuple[int, int] | None
    ) -> tuple[NDArray[np.int64], int, int]:
        """The prefix, and the passage tokens `[start, end)` that fit after it, holding `keep`."""
        plain = rng.random() < self._plain_rate
        question = (self._plain if plain else self._questions)[example_index]
        title = self._titles[paragraph] if rng.random() < self._title_rate else np.empty(0, dtype=np.int64)
        prefix = self._builder.prefix(question, title)
        n_tokens = len(self._passages[paragraph].ids)
        room = MAX_WINDOW_TOKENS - len(prefix) - 1
        lowest, highest = 0, max(n_tokens - room, 0)
        if keep is not None:
            lowest, highest = max(keep[1] + 1 - room, 0), min(keep[0], highest)
            lowest = min(lowest, highest)
        start = int(rng.integers(lowest, highest + 1))
        return prefix, start, start + room


def token_span(offsets: NDArray[np.int64], start: int, end: int) -> tuple[int, int]:
    """First and last token that share a character with `[start, end)`."""
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return first, max(first, last)


def batch_arrays(
    instances: Sequence[Instance],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Padded ids, token types and attention mask, each `(batch, tokens)`, and targets, `(batch, 2)`; all int64."""
    longest = max(len(instance.window.input_ids) for instance in instances)
    width = -(-longest // WIDTH_STEP) * WIDTH_STEP
    ids, types, mask = (np.zeros((len(instances), width), dtype=np.int64) for _ in range(3))
    for row, instance in enumerate(instances):
        n_tokens = len(instance.window.input_ids)
        ids[row, :n_tokens] = instance.window.input_ids
        types[row, instance.window.passage_start : n_tokens] = 1
        mask[row, :n_tokens] = 1
    return ids, types, mask, np.array([[instance.first, instance.last] for instance in instances], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one instance is made of: an example, and the paragraph asked (its own, or one without the answer)."""

    example: int
    paragraph: int
    is_positive: bool


def epoch_batches(
    maker: InstanceMaker,
    negatives: NDArray[np.int32],
    *,
    batch_size: int,
    negative_rate: float,
    rng: np.random.Generator,
) -> list[list[Draw]]:
    """One epoch: every example with its own paragraph, a share of them once more with a negative, in random order.

    Instances of like length share a batch, for padding is computed and thrown away: within groups of 64 batches the
    draws are sorted by length, which leaves 2 % padding.

    Args:
        maker: knows examples and lengths.
        negatives: `(n_examples, n)` paragraph indices, see `training.negatives`.
        batch_size: draws in a batch; what is left over at the end of the epoch is dropped.
        negative_rate: share of examples that are drawn once more with a negative.
        rng: decides everything that is random here.
    """
    draws = [Draw(example=i, paragraph=maker.paragraph_of(i), is_positive=True) for i in range(len(negatives))]
    again = rng.permutation(len(negatives))[: round(negative_rate * len(negatives))]
    picks = rng.integers(negatives.shape[1], size=len(again))
    draws += [
        Draw(example=int(i), paragraph=int(negatives[i, pick]), is_positive=False)
        for i, pick in zip(again, picks, strict=True)
    ]
    order = [draws[i] for i in rng.permutation(len(draws))]
    batches = []
    for begin in range(0, len(order), 64 * batch_size):
        group = sorted(order[begin : begin + 64 * batch_size], key=maker.n_tokens)
        batches += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
    full = [batch for batch in batches if len(batch) == batch_size]
    return [full[i] for i in rng.permutation(len(full))]
