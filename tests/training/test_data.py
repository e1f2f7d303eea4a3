from collections import Counter
from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eval.squad import SquadAnswer, SquadParagraph, SquadQuestion
from qa.windows import MAX_WINDOW_TOKENS
from tests.qa.texts import hard_texts
from tests.training.parts import (
    BUILDER,
    COST,
    FILLER,
    GOLDS,
    MIXED,
    PARAGRAPHS,
    POOL,
    maker,
    negative,
    negatives,
    paragraph,
    positive,
    rates,
)
from training.data import (
    WIDTH_STEP,
    Draw,
    Example,
    Instance,
    InstanceMaker,
    Rates,
    batch_arrays,
    epoch_batches,
    examples,
    token_span,
    training_part,
    validation_part,
)
from training.questions import terse

SEP = 102


def answer_of(instance: Instance, context: str) -> str:
    """The characters that the target tokens stand for."""
    first, last = instance.first - instance.window.passage_start, instance.last - instance.window.passage_start
    return context[instance.window.offsets[first, 0] : instance.window.offsets[last, 1]]


def shown(instance: Instance, context: str) -> str:
    """The characters of the passage from the window's first token to its last."""
    return context[instance.window.offsets[0, 0] : instance.window.offsets[-1, 1]]


def ids_of(text: str) -> list[int]:
    return [int(i) for i in BUILDER.tokenize([text])[0].ids]


def passage_ids(instance: Instance) -> list[int]:
    return [int(i) for i in instance.window.input_ids[instance.window.passage_start : -1]]


def question_ids(instance: Instance) -> list[int]:
    """Of a window without a title."""
    return [int(i) for i in instance.window.input_ids[1 : instance.window.passage_start - 1]]


def test_the_parts_share_no_title_and_lose_no_paragraph() -> None:
    many = [SquadParagraph(title=f"Title {i // 3}", context=str(i), questions=()) for i in range(1200)]
    learnt, kept = training_part(many), validation_part(many)
    assert not {p.title for p in learnt} & {p.title for p in kept}
    assert sorted([*learnt, *kept], key=lambda p: int(p.context)) == many
    assert 0.02 < len(kept) / len(many) < 0.10  # one in twenty
    assert validation_part(many[::-1]) == kept[::-1]


def test_examples_are_the_answerable_questions_of_all_paragraphs() -> None:
    assert [(e.question, e.paragraph) for e in POOL] == [
        (q.question, i) for i, p in enumerate(PARAGRAPHS) for q in p.questions if q.answers
    ]
    assert [q.answers[0].text for p in PARAGRAPHS for q in p.questions if q.answers] == GOLDS


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ([(0, 4)], (0, 4)),
        ([(0, 4), (5, 7), (5, 7)], (5, 7)),
        ([(5, 7), (0, 4), (5, 7), (0, 4)], (5, 7)),  # of as many, the first
        ([(0, 4), (8, 12), (8, 12)], (8, 12)),  # the same text elsewhere is another gold
        ([(0, 4), (0, 4), (8, 12), (8, 12), (8, 12)], (8, 12)),
    ],
)
def test_the_gold_is_what_most_annotators_gave(marked: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    context = "Oslo is Oslo."
    answers = tuple(SquadAnswer(text=context[start:end], start=start) for start, end in marked)
    asked = (SquadQuestion(question_id="1", question="Where?", answers=answers),)
    (example,) = examples([SquadParagraph(title="", context=context, questions=asked)])
    assert example == Example(question="Where?", paragraph=0, start=expected[0], end=expected[1])


@settings(max_examples=60, deadline=None)
@given(hard_texts(), st.data())
def test_the_token_span_is_the_tokens_that_share_a_character(text: str, data: st.DataObject) -> None:
    (tokens,) = BUILDER.tokenize([text])
    held = sorted({place for start, end in tokens.offsets for place in range(start, end)})
    if not held:
        return
    start = data.draw(st.sampled_from(held))
    end = data.draw(st.sampled_from([place + 1 for place in held if place >= start]))
    sharing = [i for i, (s, e) in enumerate(tokens.offsets) if s < end and start < e]
    assert token_span(tokens.offsets, start, end) == (sharing[0], sharing[-1])


@pytest.mark.parametrize("example", range(len(POOL)))
def test_the_target_tokens_slice_to_the_answer(example: int) -> None:
    made, draw = maker(MIXED), Draw(example=example, negative=4)
    for seed in range(12):
        instance, other = made.instances(draw, np.random.default_rng(seed))
        assert answer_of(instance, PARAGRAPHS[POOL[example].paragraph].context) == GOLDS[example]
        assert len(instance.window.input_ids) <= MAX_WINDOW_TOKENS
        assert 0 < instance.window.passage_start <= instance.first <= instance.last < len(instance.window.input_ids) - 1
        assert (other.first, other.last) == (0, 0)


@pytest.mark.parametrize("cropped", [0.0, 1.0])
def test_a_long_passage_is_cut_at_random_and_keeps_the_answer(cropped: float) -> None:
    made, example = maker(rates(cropped=cropped)), GOLDS.index("king of Norway")
    instances = [positive(made, example, np.random.default_rng(seed)) for seed in range(40)]
    assert len({int(instance.window.offsets[0, 0]) for instance in instances}) > 20
    for instance in instances:
        assert answer_of(instance, PARAGRAPHS[POOL[example].paragraph].context) == "king of Norway"
        assert len(instance.window.input_ids) <= MAX_WINDOW_TOKENS
        assert len(instance.window.input_ids) == MAX_WINDOW_TOKENS or cropped


def test_an_answer_at_either_end_of_a_long_passage_is_kept() -> None:
    filler = "The weather stayed mild. " * 200
    ends = [paragraph("A", f"Oslo {filler}", ("Where?", "Oslo")), paragraph("B", f"{filler}Oslo", ("Where?", "Oslo"))]
    made = InstanceMaker(BUILDER, ends, examples(ends), rates(title=0.5, cropped=0.5))
    for seed in range(10):
        for example in examples(ends):
            instance = made.positive(example.question, example, np.random.default_rng(seed))
            assert answer_of(instance, ends[example.paragraph].context) == "Oslo"


def test_a_long_question_and_title_leave_room_for_the_answer() -> None:
    asked = paragraph("A " * 60, f"{FILLER * 45}Oslo. {FILLER * 45}", ("Where or " * 50, "Oslo"))
    made = InstanceMaker(BUILDER, [asked], examples([asked]), rates(title=1.0))
    for seed in range(10):
        instance = made.positive(asked.questions[0].question, examples([asked])[0], np.random.default_rng(seed))
        assert len(instance.window.input_ids) == MAX_WINDOW_TOKENS
        assert answer_of(instance, asked.context) == "Oslo"


def test_negatives_point_at_cls_and_show_the_other_paragraph() -> None:
    made = maker(rates())
    instance = negative(made, 0, 1, np.random.default_rng(7))
    assert (instance.first, instance.last) == (0, 0)
    (expected,) = BUILDER.windows(POOL[0].question, "", PARAGRAPHS[1].context)
    assert instance.window.input_ids.tolist() == expected.input_ids.tolist()


def test_a_negative_that_does_not_fit_is_cut_at_random() -> None:
    instances = [negative(maker(rates()), 0, 5, np.random.default_rng(seed)) for seed in range(20)]
    assert {len(instance.window.input_ids) for instance in instances} == {MAX_WINDOW_TOKENS}
    assert len({int(instance.window.offsets[0, 0]) for instance in instances}) > 10
    assert {(instance.first, instance.last) for instance in instances} == {(0, 0)}


SENTENCES = ["The Tamar Bridge opened in 1962.", "Did it pay?", "It cost 1,500,000 pounds!", "Anna Bell said so."]
"""Of the paragraph `POOL[COST].paragraph`, whose answer is in the third."""


def runs_of_sentences(holding: str) -> set[str]:
    found = {" ".join(SENTENCES[i:j]) for i in range(4) for j in range(i + 1, 5)}
    return {run for run in found if holding in run}


def test_a_cropped_passage_is_any_run_of_its_sentences_that_holds_the_answer() -> None:
    made, context = maker(rates(cropped=1.0)), PARAGRAPHS[6].context
    instances = [positive(made, COST, np.random.default_rng(seed)) for seed in range(200)]
    assert {shown(instance, context) for instance in instances} == runs_of_sentences(holding=GOLDS[COST])
    assert {answer_of(instance, context) for instance in instances} == {GOLDS[COST]}


def test_a_cropped_negative_is_any_run_of_its_sentences() -> None:
    instances = [negative(maker(rates(cropped=1.0)), 0, 6, np.random.default_rng(seed)) for seed in range(400)]
    assert {shown(instance, PARAGRAPHS[6].context) for instance in instances} == runs_of_sentences(holding="")


def test_an_answer_of_two_sentences_is_not_cut() -> None:
    context = "He sang. He said: Stop. Go on! Then he left."
    asked = paragraph("", context, ("What did he say?", "Stop. Go on"))
    made = InstanceMaker(BUILDER, [asked], examples([asked]), rates(cropped=1.0))
    instances = [made.positive("What?", examples([asked])[0], np.random.default_rng(seed)) for seed in range(100)]
    assert {answer_of(instance, context) for instance in instances} == {"Stop. Go on"}
    middle = "He said: Stop. Go on!"
    runs = {middle, f"He sang. {middle}", f"{middle} Then he left.", context}
    assert {shown(instance, context) for instance in instances} == runs


@settings(max_examples=80, deadline=None)
@given(text=hard_texts(), seed=st.integers(0, 2**32 - 1), cropped=st.sampled_from([0.0, 1.0]), data=st.data())
def test_cuts_are_after_sentence_ends_and_never_in_the_answer(
    text: str, seed: int, cropped: float, data: st.DataObject
) -> None:
    (tokens,) = BUILDER.tokenize([text])
    if not len(tokens.ids):
        return
    first = data.draw(st.integers(0, len(tokens.ids) - 1))
    last = data.draw(st.integers(first, len(tokens.ids) - 1))
    start, end = int(tokens.offsets[first, 0]), int(tokens.offsets[last, 1])
    asked = SquadParagraph(title="", context=text, questions=())
    example = Example(question="Where?", paragraph=0, start=start, end=end)
    made = InstanceMaker(BUILDER, [asked], [example], rates(cropped=cropped))
    instance = made.positive("Where?", example, np.random.default_rng(seed))

    ids, n, shift = tokens.ids.tolist(), len(tokens.ids), instance.window.passage_start
    ends = {ids_of(mark)[0] for mark in ".?!"}
    places = [
        (i, j)
        for i in range(n if cropped else 1)
        for j in range(i + 1 if cropped else n, n + 1)
        if (i == 0 or ids[i - 1] in ends) and (j == n or ids[j - 1] in ends)
    ]
    window = (passage_ids(instance), instance.window.offsets.tolist())
    showing = [i for i, j in places if (ids[i:j], tokens.offsets[i:j].tolist()) == window]
    targets = {(instance.first - shift + i, instance.last - shift + i) for i in showing}
    assert token_span(tokens.offsets, start, end) in targets


@pytest.mark.parametrize("title", [0.0, 1.0])
@pytest.mark.parametrize(
    ("given_rates", "asked"),
    [
        (rates(), str),
        (rates(plain=1.0), lambda text: text.rstrip("?")),
        (rates(terse=1.0), terse),
    ],
)
def test_titles_and_questions_as_typed_come_at_their_rates(
    given_rates: Rates, asked: Callable[[str], str], title: float
) -> None:
    these = Rates(title=title, plain=given_rates.plain, terse=given_rates.terse, mistyped=0.0, cropped=0.0)
    pair = maker(these).instances(Draw(example=COST, negative=3), np.random.default_rng(1))
    for instance, source in zip(pair, (PARAGRAPHS[6], PARAGRAPHS[3]), strict=True):
        question = asked(POOL[COST].question)
        (expected,) = BUILDER.windows(question, source.title if title else "", source.context)
        assert instance.window.input_ids.tolist() == expected.input_ids.tolist()
        assert instance.window.passage_start == expected.passage_start


@pytest.mark.parametrize("name", ["title", "plain", "terse", "mistyped", "cropped"])
def test_a_rate_between_is_that_share(name: str) -> None:
    made, rng = maker(rates(**{name: 0.25})), np.random.default_rng(7)
    as_it_is = positive(maker(rates()), COST, rng).window.input_ids.tolist()
    made_of = [made.instances(Draw(example=COST, negative=None), rng) for _ in range(400)]
    n_other = sum(instances[0].window.input_ids.tolist() != as_it_is for instances in made_of)
    # Some slips change nothing, and one crop of six is the whole passage: (1 - 1/6) / 4 = 0.21.
    assert 0.15 < n_other / 400 < 0.32


def test_a_question_is_asked_alike_of_both_paragraphs() -> None:
    made, typed = maker(rates(mistyped=1.0, plain=0.5)), set()
    for seed in range(20):
        first, second = made.instances(Draw(example=COST, negative=3), np.random.default_rng(seed))
        assert question_ids(first) == question_ids(second)
        assert passage_ids(first) == ids_of(PARAGRAPHS[6].context)
        assert passage_ids(second) == ids_of(PARAGRAPHS[3].context)
        typed.add(tuple(question_ids(first)))
    assert len(typed) > 5


def test_without_a_negative_there_is_one_window() -> None:
    (instance,) = maker(MIXED).instances(Draw(example=0, negative=None), np.random.default_rng(7))
    assert answer_of(instance, PARAGRAPHS[0].context) == GOLDS[0]


def test_instances_are_decided_by_draw_and_generator() -> None:
    def windows(seed: int) -> list[list[int]]:
        made, rng = maker(MIXED), np.random.default_rng(seed)
        draws = [Draw(example=i, negative=3) for i in range(len(POOL))]
        return [instance.window.input_ids.tolist() for draw in draws for instance in made.instances(draw, rng)]

    assert windows(7) == windows(7)
    assert windows(7) != windows(8)


def test_lengths_are_those_of_question_and_own_paragraph() -> None:
    made = maker(rates(title=1.0))
    for i, example in enumerate(POOL):
        n_passage = len(ids_of(PARAGRAPHS[example.paragraph].context))
        assert made.paragraph_of(i) == example.paragraph
        assert made.n_passage_tokens(example.paragraph) == n_passage
        assert made.n_tokens(i) == n_passage + len(ids_of(example.question))


def test_batches_are_padded_and_typed_as_at_answer_time() -> None:
    made, rng = maker(rates(title=1.0)), np.random.default_rng(7)
    instances = [positive(made, 0, rng), negative(made, 2, 1, rng), positive(made, 3, rng)]
    ids, types, mask, targets = batch_arrays(instances)
    assert ids.shape == types.shape == mask.shape
    assert {array.dtype for array in (ids, types, mask, targets)} == {np.dtype(np.int64)}
    assert ids.shape[1] % WIDTH_STEP == 0
    assert ids.shape[1] - max(len(i.window.input_ids) for i in instances) < WIDTH_STEP
    for row, instance in enumerate(instances):
        n, start = len(instance.window.input_ids), instance.window.passage_start
        assert ids[row].tolist() == [*instance.window.input_ids, *[0] * (ids.shape[1] - n)]
        assert types[row].tolist() == [int(start <= i < n) for i in range(ids.shape[1])]
        assert mask[row].tolist() == [int(i < n) for i in range(ids.shape[1])]
        assert ids[row, start - 1] == ids[row, n - 1] == SEP
    assert targets.tolist() == [[i.first, i.last] for i in instances]


def test_a_full_window_is_not_padded() -> None:
    ids, _, mask, _ = batch_arrays([positive(maker(rates()), GOLDS.index("king of Norway"), np.random.default_rng(7))])
    assert ids.shape == (1, MAX_WINDOW_TOKENS)
    assert mask.all()


# A pool of 300 questions, 15 about each of 20 paragraphs of 20 lengths, the shortest first.
N_CROWD = 300
CROWD = [paragraph(f"T{i}", f"Oslo {FILLER * i}", *[(f"Where is number {j}?", "Oslo") for j in range(15)])
         for i in range(20)]  # fmt: skip
CROWD_MAKER = InstanceMaker(BUILDER, CROWD, examples(CROWD), rates())
CANDIDATES = np.random.default_rng(3).integers(len(CROWD), size=(N_CROWD, 4), dtype=np.int32)


def drawn(
    n_questions: int, n_negatives: int, candidates: NDArray[np.int32] = CANDIDATES, seed: int = 7
) -> list[list[Draw]]:
    rng = np.random.default_rng(seed)
    return epoch_batches(CROWD_MAKER, candidates, n_questions=n_questions, n_negatives=n_negatives, rng=rng)


@pytest.mark.parametrize(("n_questions", "n_negatives"), [(1, 0), (1, 1), (2, 1), (3, 3), (7, 2), (25, 7), (300, 299)])
def test_an_epoch_draws_every_example_once_but_what_fills_no_batch(n_questions: int, n_negatives: int) -> None:
    epoch = drawn(n_questions, n_negatives)
    assert [len(batch) for batch in epoch] == [n_questions] * (N_CROWD // n_questions)
    times = Counter(draw.example for batch in epoch for draw in batch)
    assert set(times) <= set(range(N_CROWD))
    assert set(times.values()) == {1}
    for batch in epoch:
        assert [draw.negative is not None for draw in batch] == [place < n_negatives for place in range(n_questions)]


def test_too_few_examples_for_a_batch_make_no_batch() -> None:
    assert drawn(N_CROWD + 1, 1) == []


def test_negatives_are_of_the_row_and_no_longer_than_the_own_paragraph_where_one_is() -> None:
    n_without = 0
    for draw in chain.from_iterable(drawn(5, 5)):
        row, own = CANDIDATES[draw.example].tolist(), draw.example // 15
        fitting = [candidate for candidate in row if candidate <= own]  # the index tells the length
        n_without += not fitting
        assert draw.negative in (fitting or [min(row)])
    assert 10 < n_without < N_CROWD / 2


def test_all_that_fit_are_drawn_alike() -> None:
    own = np.arange(N_CROWD) // 15
    first, second, longer = np.zeros_like(own), own, np.full_like(own, 19)
    epoch = drawn(3, 3, np.stack([first, second, longer], axis=1).astype(np.int32))
    inner = [draw for draw in chain.from_iterable(epoch) if 0 < draw.example // 15 < 19]
    assert len(inner) == 270
    assert {draw.negative for draw in inner} <= set(range(19))
    assert 0.35 < np.mean([draw.negative == 0 for draw in inner]) < 0.65


def test_which_questions_have_a_negative_has_nothing_to_do_with_their_length() -> None:
    epochs = [drawn(10, 3, seed=seed) for seed in range(10)]
    places = [place for epoch in epochs for batch in epoch for place, _ in enumerate(batch)]
    lengths = [draw.example // 15 for epoch in epochs for batch in epoch for draw in batch]
    inside = [length - np.mean(lengths[i // 10 * 10 : i // 10 * 10 + 10]) for i, length in enumerate(lengths)]
    assert abs(np.corrcoef(places, inside)[0, 1]) < 0.1
    order = [np.mean([draw.example // 15 for draw in batch]) for batch in epochs[0]]
    assert order != sorted(order)


def test_an_epoch_is_decided_by_its_seed() -> None:
    assert drawn(2, 1) == drawn(2, 1)
    assert drawn(2, 1) != drawn(2, 1, seed=8)
    assert [d.example for d in chain.from_iterable(drawn(1, 0))] != list(range(N_CROWD))


@pytest.mark.parametrize(("n_questions", "n_groups"), [(1, 5), (2, 3), (3, 2), (4, 2), (20, 1)])
def test_windows_of_like_length_share_a_batch(n_questions: int, n_groups: int) -> None:
    spans = [[draw.example // 15 for draw in batch] for batch in drawn(n_questions, 0)]
    for place in range(20):  # in each sorted group of 64 batches at most one reaches across a length
        assert sum(min(span) <= place < max(span) for span in spans) <= n_groups


def test_small_pools_with_long_negatives_are_drawn_too() -> None:
    epoch = epoch_batches(maker(MIXED), negatives(), n_questions=3, n_negatives=2, rng=np.random.default_rng(7))
    assert len(epoch) == len(POOL) // 3
    assert all(draw.negative in negatives()[draw.example] for batch in epoch for draw in batch[:2])
