import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.squad import SquadParagraph
from qa.windows import MAX_WINDOW_TOKENS
from tests.qa.texts import hard_texts
from tests.training.parts import BUILDER, PARAGRAPHS, maker, negatives, paragraph
from training.data import (
    WIDTH_STEP,
    Draw,
    Instance,
    InstanceMaker,
    batch_arrays,
    epoch_batches,
    examples,
    token_span,
    training_part,
    validation_part,
)

POOL = examples(PARAGRAPHS)
GOLDS = [PARAGRAPHS[example.paragraph].context[example.start : example.end] for example in POOL]
SEP = 102


def answer_of(instance: Instance, context: str) -> str:
    """The characters that the target tokens stand for."""
    start = instance.window.passage_start
    return context[
        instance.window.offsets[instance.first - start, 0] : instance.window.offsets[instance.last - start, 1]
    ]


def test_the_parts_share_no_title_and_lose_no_paragraph() -> None:
    many = [SquadParagraph(title=f"Title {i // 3}", context=str(i), questions=()) for i in range(1200)]
    learnt, kept = training_part(many), validation_part(many)
    assert not {p.title for p in learnt} & {p.title for p in kept}
    assert sorted([*learnt, *kept], key=lambda p: int(p.context)) == many
    assert 0.02 < len(kept) / len(many) < 0.10  # one in twenty
    assert validation_part(many[::-1]) == kept[::-1]


def test_examples_are_the_answerable_questions_with_their_first_gold() -> None:
    assert [(e.question, e.paragraph) for e in POOL] == [
        (q.question, i) for i, p in enumerate(PARAGRAPHS) for q in p.questions if q.answers
    ]
    assert [q.answers[0].text for p in PARAGRAPHS for q in p.questions if q.answers] == GOLDS


@pytest.mark.parametrize("example", range(len(POOL)))
def test_the_target_tokens_slice_to_the_answer(example: int) -> None:
    made = maker()
    for seed in range(8):
        instance = made.positive(example, np.random.default_rng(seed))
        assert answer_of(instance, PARAGRAPHS[POOL[example].paragraph].context) == GOLDS[example]
        assert len(instance.window.input_ids) <= MAX_WINDOW_TOKENS
        assert 0 < instance.window.passage_start <= instance.first <= instance.last < len(instance.window.input_ids) - 1


def test_a_long_context_is_cut_at_random_and_keeps_the_answer() -> None:
    made, example = maker(), GOLDS.index("king of Norway")
    instances = [made.positive(example, np.random.default_rng(seed)) for seed in range(40)]
    starts = {int(instance.window.offsets[0, 0]) for instance in instances}
    assert len(starts) > 20
    for instance in instances:
        assert len(instance.window.input_ids) == MAX_WINDOW_TOKENS
        assert answer_of(instance, PARAGRAPHS[POOL[example].paragraph].context) == "king of Norway"


def test_an_answer_at_either_end_of_a_long_context_is_kept() -> None:
    filler = "The weather stayed mild. " * 200
    ends = [paragraph("A", f"Oslo {filler}", ("Where?", "Oslo")), paragraph("B", f"{filler}Oslo", ("Where?", "Oslo"))]
    made = InstanceMaker(BUILDER, ends, examples(ends), title_rate=0.5, plain_rate=0.5)
    for seed in range(10):
        for i in range(2):
            assert answer_of(made.positive(i, np.random.default_rng(seed)), ends[i].context) == "Oslo"


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


def test_negatives_point_at_cls_and_show_the_other_paragraph() -> None:
    made = maker(title_rate=0.0, plain_rate=0.0)
    instance = made.negative(0, 1, np.random.default_rng(7))
    assert (instance.first, instance.last) == (0, 0)
    (expected,) = BUILDER.windows(POOL[0].question, "", PARAGRAPHS[1].context)
    assert instance.window.input_ids.tolist() == expected.input_ids.tolist()
    long = made.negative(0, 5, np.random.default_rng(7))
    assert len(long.window.input_ids) == MAX_WINDOW_TOKENS


@pytest.mark.parametrize(("title_rate", "plain_rate"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_titles_are_shown_and_question_marks_dropped_at_their_rates(title_rate: float, plain_rate: float) -> None:
    made = maker(title_rate=title_rate, plain_rate=plain_rate)
    question = POOL[0].question.rstrip("?") if plain_rate else POOL[0].question
    (expected,) = BUILDER.windows(question, PARAGRAPHS[0].title if title_rate else "", PARAGRAPHS[0].context)
    instance = made.positive(0, np.random.default_rng(1))
    assert instance.window.input_ids.tolist() == expected.input_ids.tolist()
    assert instance.window.passage_start == expected.passage_start


def test_make_follows_the_draw() -> None:
    made = maker()
    for draw in (Draw(example=0, paragraph=0, is_positive=True), Draw(example=0, paragraph=1, is_positive=False)):
        instance = made.make(draw, np.random.default_rng(3))
        assert (instance.first > 0) is draw.is_positive


def test_batches_are_padded_and_typed_as_at_answer_time() -> None:
    made, rng = maker(title_rate=1.0), np.random.default_rng(7)
    instances = [made.positive(0, rng), made.negative(2, 1, rng), made.positive(3, rng)]
    ids, types, mask, targets = batch_arrays(instances)
    assert ids.shape == types.shape == mask.shape
    assert ids.shape[1] % WIDTH_STEP == 0
    assert ids.shape[1] - max(len(i.window.input_ids) for i in instances) < WIDTH_STEP
    for row, instance in enumerate(instances):
        n, start = len(instance.window.input_ids), instance.window.passage_start
        assert ids[row].tolist() == [*instance.window.input_ids, *[0] * (ids.shape[1] - n)]
        assert types[row].tolist() == [int(start <= i < n) for i in range(ids.shape[1])]
        assert mask[row].tolist() == [int(i < n) for i in range(ids.shape[1])]
        assert ids[row, start - 1] == ids[row, n - 1] == SEP
    assert targets.tolist() == [[i.first, i.last] for i in instances]


def drawn(batch_size: int, negative_rate: float, seed: int = 7) -> list[list[Draw]]:
    rng = np.random.default_rng(seed)
    return epoch_batches(maker(), negatives(), batch_size=batch_size, negative_rate=negative_rate, rng=rng)


def test_an_epoch_draws_every_example_once_and_a_share_with_a_negative() -> None:
    draws = [draw for batch in drawn(1, 4 / len(POOL)) for draw in batch]
    positives = [draw for draw in draws if draw.is_positive]
    others = [draw for draw in draws if not draw.is_positive]
    assert Counter(draw.example for draw in positives) == dict.fromkeys(range(len(POOL)), 1)
    assert all(draw.paragraph == POOL[draw.example].paragraph for draw in positives)
    assert len({draw.example for draw in others}) == len(others) == 4
    assert all(draw.paragraph in negatives()[draw.example] for draw in others)


def test_an_epoch_is_decided_by_its_seed() -> None:
    assert drawn(2, 0.5) == drawn(2, 0.5)
    assert drawn(2, 0.5) != drawn(2, 0.5, seed=8)


def test_only_what_does_not_fill_the_last_batch_is_dropped() -> None:
    batches = drawn(4, 0.0)
    assert [len(batch) for batch in batches] == [4] * (len(POOL) // 4)
    seen = [dataclasses.astuple(draw) for batch in batches for draw in batch]
    assert len(set(seen)) == len(seen) == len(POOL) // 4 * 4


def test_instances_of_like_length_share_a_batch() -> None:
    made = maker()
    spans = sorted((min(n), max(n)) for n in ([made.n_tokens(draw) for draw in batch] for batch in drawn(2, 0.0)))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
