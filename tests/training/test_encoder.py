import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertModel

from tests.training.parts import BACKBONE, maker
from training.data import Instance, batch_arrays
from training.encoder import MASKED, SpanReader, from_backbone


@pytest.fixture(scope="module")
def reader() -> SpanReader:
    torch.manual_seed(7)
    return from_backbone(BACKBONE).eval()


@pytest.fixture(scope="module")
def bert() -> BertModel:
    model: BertModel = BertModel.from_pretrained(BACKBONE, attn_implementation="eager")  # in evaluation mode
    return model


@pytest.fixture(scope="module")
def instances() -> list[Instance]:
    """Two windows with titles and two without, of four lengths."""
    titled, untitled = maker(title_rate=1.0), maker(title_rate=0.0)
    rng = np.random.default_rng(7)
    return [titled.positive(0, rng), titled.negative(1, 3, rng), untitled.positive(2, rng), untitled.positive(4, rng)]


def tensors(instances: list[Instance]) -> tuple[Tensor, Tensor, Tensor]:
    ids, types, mask, _ = (torch.from_numpy(array) for array in batch_arrays(instances))
    return ids, types, mask


@torch.no_grad()
def test_encode_equals_transformers_bert_with_padding(
    reader: SpanReader, bert: BertModel, instances: list[Instance]
) -> None:
    ids, types, mask = tensors(instances)
    assert int((mask == 0).sum()) > 0
    ours = reader.encode(ids, types, mask)
    theirs = bert(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
    real = mask.bool()
    assert ours.shape == theirs.shape
    assert torch.allclose(ours[real], theirs[real], rtol=0, atol=1e-4)
    assert float(ours[real].std()) > 0.1


@torch.no_grad()
def test_encode_equals_transformers_bert_at_full_length(reader: SpanReader, bert: BertModel) -> None:
    ids, types, mask = tensors([maker().positive(8, np.random.default_rng(7))])
    assert ids.shape == (1, 384)
    theirs = bert(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
    assert torch.allclose(reader.encode(ids, types, mask), theirs, rtol=0, atol=1e-4)


@torch.no_grad()
def test_only_cls_and_the_passage_have_logits(reader: SpanReader, instances: list[Instance]) -> None:
    for logits in reader(*tensors(instances)):
        for row, instance in enumerate(instances):
            start, n = instance.window.passage_start, len(instance.window.input_ids)
            allowed = {0, *range(start, n - 1)}  # the closing separator is no answer
            assert {i for i, logit in enumerate(logits[row].tolist()) if logit > MASKED / 2} == allowed


@torch.no_grad()
def test_a_passage_without_tokens_leaves_cls_alone(reader: SpanReader) -> None:
    ids = torch.tensor([[101, 2073, 102, 102, 0, 0]])
    types, mask = torch.tensor([[0, 0, 0, 1, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    for logits in reader(ids, types, mask):
        assert [logit > MASKED / 2 for logit in logits[0].tolist()] == [True, *[False] * 5]


@torch.no_grad()
def test_padding_and_batch_mates_change_no_logit(reader: SpanReader, instances: list[Instance]) -> None:
    together = reader(*tensors(instances))
    for row, instance in enumerate(instances):
        n = len(instance.window.input_ids)
        ids, types, mask = tensors([instance])
        alone = reader(ids[:, :n], types[:, :n], mask[:, :n])
        for one, other in zip(alone, together, strict=True):
            assert torch.allclose(one[0], other[row, :n], rtol=0, atol=1e-4)


@torch.no_grad()
def test_start_and_end_logits_are_two_numbers_of_each_state(reader: SpanReader, instances: list[Instance]) -> None:
    ids, types, mask = tensors(instances)
    states = reader.encode(ids, types, mask)
    start, end = reader(ids, types, mask)
    for logits, weight in zip((start, end), reader.head.weight, strict=True):
        expected = states @ weight
        open_ = logits > MASKED / 2
        assert torch.allclose(logits[open_], expected[open_], rtol=0, atol=1e-4)
    assert not torch.allclose(start, end)


def test_the_head_is_fresh_by_seed_and_the_rest_is_the_backbone(reader: SpanReader) -> None:
    torch.manual_seed(7)
    same = from_backbone(BACKBONE).state_dict()
    torch.manual_seed(8)
    other = from_backbone(BACKBONE).state_dict()
    differing = [name for name, tensor in reader.state_dict().items() if not torch.equal(tensor, other[name])]
    assert differing == ["head.weight"]
    assert all(torch.equal(tensor, same[name]) for name, tensor in reader.state_dict().items())
