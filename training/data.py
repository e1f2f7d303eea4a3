"""Training examples from a SQuAD-format file, tokenised once, and the windows made of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.squad import SquadParagraph
from qa.windows import MAX_WINDOW_TOKENS, Window, WindowBuilder
from training.questions import mistyped, terse

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
    """Every answerable question with the gold most annotators gave; `paragraph` is the index in `paragraphs`."""
    return [
        Example(question=question.question, paragraph=i, start=gold.start, end=gold.start + len(gold.text))
        for i, paragraph in enumerate(paragraphs)
        for question in paragraph.questions
        if question.answers
        for gold in [max(question.answers, key=question.answers.count)]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A window and its target: window token indices of the answer's first and last token, or 0, 0 ([CLS]) for none."""

    window: Window
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of windows that are not as SQuAD has them: closer to what is asked and read at answer time."""

    title: float
    plain: float
    terse: float
    mistyped: float
    cropped: float


class InstanceMaker:
    """Makes instances of examples, deterministically for a given random generator."""

    def __init__(
        self, builder: WindowBuilder, paragraphs: Sequence[SquadParagraph], pool: Sequence[Example], rates: Rates
    ) -> None:
        """Tokenise the paragraphs once.

        Args:
            builder: the same windows as at answer time.
            paragraphs: what the examples' indices mean.
            pool: the examples.
            rates: of titles in front, of lost question marks, search-box questions and typos, and of passages cut
                at sentence ends.
        """
        self._builder = builder
        self._pool = pool
        self._rates = rates
        self._passages = builder.tokenize([paragraph.context for paragraph in paragraphs])
        self._titles = [title.ids for title in builder.tokenize([paragraph.title for paragraph in paragraphs])]
        self._n_question_tokens = [len(text.ids) for text in builder.tokenize([example.question for example in pool])]
        ends = [int(mark.ids[0]) for mark in builder.tokenize([".", "?", "!"])]
        self._cuts = [_cuts(passage.ids, ends) for passage in self._passages]

    def instances(self, draw: "Draw", rng: np.random.Generator) -> list[Instance]:
        """The window that answers the draw's question and, where it has a negative, the one that does not."""
        example = self._pool[draw.example]
        question = self._typed(example.question, rng)
        made = [self.positive(question, example, rng)]
        if draw.negative is not None:
            made.append(self.negative(question, draw.negative, rng))
        return made

    def positive(self, question: str, example: Example, rng: np.random.Generator) -> Instance:
        """The question with the paragraph that answers it."""
        passage = self._passages[example.paragraph]
        first, last = token_span(passage.offsets, example.start, example.end)
        prefix, start, end = self._frame(question, example.paragraph, rng, keep=(first, last))
        shift = len(prefix) - start
        window = self._builder.window(prefix, passage, start, end)
        return Instance(window=window, first=first + shift, last=last + shift)

    def negative(self, question: str, paragraph: int, rng: np.random.Generator) -> Instance:
        """The question with a paragraph that does not answer it."""
        prefix, start, end = self._frame(question, paragraph, rng, keep=None)
        return Instance(window=self._builder.window(prefix, self._passages[paragraph], start, end), first=0, last=0)

    def paragraph_of(self, example_index: int) -> int:
        """The paragraph that answers the example."""
        return self._pool[example_index].paragraph

    def n_passage_tokens(self, paragraph: int) -> int:
        """The paragraph's length, in tokens."""
        return len(self._passages[paragraph].ids)

    def n_tokens(self, example_index: int) -> int:
        """Tokens of the example's question and paragraph: about its window's length, for sorting."""
        return self._n_question_tokens[example_index] + self.n_passage_tokens(self.paragraph_of(example_index))

    def _typed(self, question: str, rng: np.random.Generator) -> str:
        """The question as somebody types it."""
        if rng.random() < self._rates.terse:
            question = terse(question)
        if rng.random() < self._rates.mistyped:
            question = mistyped(question, rng)
        return question.rstrip("? ") if rng.random() < self._rates.plain else question

    def _frame(
        self, question: str, paragraph: int, rng: np.random.Generator, keep: tuple[int, int] | None
    ) -> tuple[NDArray[np.int64], int, int]:
        """The prefix, and the passage tokens `[start, end)` shown after it, holding `keep`."""
        title = self._titles[paragraph] if rng.random() < self._rates.title else np.empty(0, dtype=np.int64)
        prefix = self._builder.prefix(self._builder.tokenize([question])[0].ids, title)
        start, end = self._cropped(paragraph, rng, keep)
        room = MAX_WINDOW_TOKENS - len(prefix) - 1
        if end - start > room:
            lowest, highest = start, end - room
            if keep is not None:
                lowest, highest = max(keep[1] + 1 - room, lowest), min(keep[0], highest)
            start = int(rng.integers(min(lowest, highest), highest + 1))
        return prefix, start, min(start + room, end)

    def _cropped(self, paragraph: int, rng: np.random.Generator, keep: tuple[int, int] | None) -> tuple[int, int]:
        """Token bounds of the paragraph or, at the rate, of some of its sentences."""
        cuts, n_tokens = self._cuts[paragraph], len(self._passages[paragraph].ids)
        if rng.random() >= self._rates.cropped:
            return 0, n_tokens
        first, last = keep if keep is not None else (int(rng.integers(n_tokens)),) * 2
        start, end = rng.choice(cuts[cuts <= first]), rng.choice(cuts[cuts > last])
        return int(start), int(end)


def _cuts(ids: NDArray[np.int64], ends: Sequence[int]) -> NDArray[np.int64]:
    """Where a passage may be cut: before its first token, after each of `ends`, after its last token.

    One full stop in sixteen stands inside a number or a name, as in "3.6" and "U.S.": there it cuts in two what is no
    answer.
    """
    inner = np.flatnonzero(np.isin(ids, ends)) + 1
    return np.unique(np.concatenate([[0], inner, [len(ids)]])).astype(np.int64)


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
    """An example and, for some, a paragraph without its answer that is read beside its own."""

    example: int
    negative: int | None


def epoch_batches(
    maker: InstanceMaker,
    negatives: NDArray[np.int32],
    *,
    n_questions: int,
    n_negatives: int,
    rng: np.random.Generator,
) -> list[list[Draw]]:
    """One epoch: every example once, in random order; in each batch the first `n_negatives` draws have a negative.

    Windows of like length share a batch, for padding is computed and thrown away: within groups of 64 batches the
    draws are sorted by length, and a negative no longer than the example's own paragraph is taken if there is one.

    Args:
        maker: knows examples and lengths.
        negatives: `(n_examples, n)` paragraph indices, see `training.negatives`.
        n_questions: draws in a batch; what is left over at the end of the epoch is dropped.
        n_negatives: draws in a batch that have a negative.
        rng: decides everything that is random here.
    """
    order = rng.permutation(len(negatives))
    batches = []
    for begin in range(0, len(order), 64 * n_questions):
        group = sorted(order[begin : begin + 64 * n_questions], key=lambda i: maker.n_tokens(int(i)))
        batches += [group[i : i + n_questions] for i in range(0, len(group), n_questions)]
    full = [rng.permutation(batch) for batch in batches if len(batch) == n_questions]
    return [
        [Draw(example=int(i), negative=_pick(maker, int(i), negatives[i], rng)) for i in full[place][:n_negatives]]
        + [Draw(example=int(i), negative=None) for i in full[place][n_negatives:]]
        for place in rng.permutation(len(full))
    ]


def _pick(maker: InstanceMaker, example: int, candidates: NDArray[np.int32], rng: np.random.Generator) -> int:
    """A random candidate of those no longer than the example's own paragraph, or the shortest."""
    room = maker.n_passage_tokens(maker.paragraph_of(example))
    fitting = [int(c) for c in candidates if maker.n_passage_tokens(int(c)) <= room]
    if not fitting:
        return int(min(candidates, key=maker.n_passage_tokens))
    return fitting[int(rng.integers(len(fitting)))]
