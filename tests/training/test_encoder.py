import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertForQuestionAnswering, BertModel

from tests.training.parts import BACKBONE, maker, negative, positive, rates
from training.data import Instance, batch_arrays
from training.encoder import MASKED, Dropout, Layer, SpanReader, from_backbone


def fresh() -> SpanReader:
    torch.manual_seed(7)
    return from_backbone(BACKBONE).eval()


@pytest.fixture(scope="module")
def reader() -> SpanReader:
    return fresh()


@pytest.fixture(scope="module")
def bert() -> BertModel:
    model: BertModel = BertModel.from_pretrained(BACKBONE, attn_implementation="eager")  # in evaluation mode
    return model


@pytest.fixture(scope="module")
def instances() -> list[Instance]:
    """Two windows with titles and two without, of four lengths."""
    titled, untitled = maker(rates(title=1.0)), maker(rates())
    rng = np.random.default_rng(7)
    with_titles = [positive(titled, 0, rng), negative(titled, 1, 3, rng)]
    return [*with_titles, positive(untitled, 2, rng), positive(untitled, 4, rng)]


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
    ids, types, mask = tensors([positive(maker(rates()), 8, np.random.default_rng(7))])
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
def test_logits_equal_those_of_transformers_question_answering(bert: BertModel, instances: list[Instance]) -> None:
    reader = fresh()
    reader.head.bias.copy_(torch.tensor([0.3, -0.7]))
    theirs = BertForQuestionAnswering(bert.config)
    theirs.train(mode=False)
    theirs.bert = bert
    theirs.qa_outputs = reader.head
    ids, types, mask = tensors(instances)
    ours = reader(ids, types, mask)
    expected = theirs(input_ids=ids, token_type_ids=types, attention_mask=mask)
    for logits, reference in zip(ours, (expected.start_logits, expected.end_logits), strict=True):
        open_ = logits > MASKED / 2
        assert torch.allclose(logits[open_], reference[open_], rtol=0, atol=1e-4)
    assert not torch.allclose(*ours)


@torch.no_grad()
def test_the_head_computes_in_its_own_precision(instances: list[Instance]) -> None:
    reader = fresh().to(torch.bfloat16)
    reader.head.float()
    ids, types, mask = tensors(instances)
    states = reader.encode(ids, types, mask)
    assert states.dtype == torch.bfloat16
    for logits, weight in zip(reader(ids, types, mask), reader.head.weight, strict=True):
        assert logits.dtype == torch.float32
        open_ = logits > MASKED / 2
        assert torch.allclose(logits[open_], (states.float() @ weight)[open_], rtol=0, atol=1e-5)
        assert not torch.equal(logits[open_], logits[open_].bfloat16().float())


@torch.no_grad()
def test_all_bfloat16_is_near_float32(reader: SpanReader, instances: list[Instance]) -> None:
    exact = reader(*tensors(instances))
    for rounded, logits in zip(fresh().to(torch.bfloat16)(*tensors(instances)), exact, strict=True):
        assert torch.allclose(rounded, logits, rtol=0.02, atol=0.1)
        assert torch.equal(rounded > MASKED / 2, logits > MASKED / 2)


def test_the_head_is_fresh_by_seed_and_the_rest_is_the_backbone(reader: SpanReader) -> None:
    torch.manual_seed(7)
    same = from_backbone(BACKBONE).state_dict()
    torch.manual_seed(8)
    other = from_backbone(BACKBONE).state_dict()
    differing = [name for name, tensor in reader.state_dict().items() if not torch.equal(tensor, other[name])]
    assert differing == ["head.weight"]
    assert all(torch.equal(tensor, same[name]) for name, tensor in reader.state_dict().items())


def dropout(rate: float) -> Dropout:
    made = Dropout()
    made.rate = rate
    return made


def test_dropout_is_off_when_not_training_and_at_rate_0() -> None:
    x = torch.ones(3, 5)
    assert dropout(0.5).eval()(x) is x
    assert Dropout()(x) is x
    assert dropout(0.4 / 256)(x) is x  # rounds to 0
    assert dropout(0.6 / 256)(x) is not x


@pytest.mark.parametrize(("rate", "n_dropped"), [(0.1, 26), (0.5, 128), (1 / 256, 1), (0.9, 230)])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float, n_dropped: int) -> None:
    torch.manual_seed(7)
    x = torch.ones(97, 10007)  # no multiple of 8
    found = dropout(rate)(x)
    grown = np.float32(256 / (256 - n_dropped))
    assert found.shape == x.shape
    assert set(found.unique().tolist()) == {0.0, float(grown)}
    share, n = n_dropped / 256, x.numel()
    deviation = (share * (1 - share) / n) ** 0.5
    assert abs(float((found == 0).double().mean()) - share) < 5 * deviation
    assert float(found.double().mean()) == pytest.approx(1.0, abs=5 * deviation * float(grown))


def test_all_numbers_of_one_draw_are_dropped_alike_and_apart() -> None:
    torch.manual_seed(7)
    dropped = (dropout(0.5)(torch.ones(40_000, 8)) == 0).double()
    assert torch.allclose(dropped.mean(0), torch.full((8,), 0.5, dtype=torch.float64), atol=0.02)
    together = torch.corrcoef(dropped.T) - torch.eye(8)
    assert float(together.abs().max()) < 0.03


def test_dropout_is_decided_by_torchs_seed_and_new_each_time() -> None:
    drop, x = dropout(0.5), torch.ones(64)
    torch.manual_seed(7)
    first, second = drop(x), drop(x)
    torch.manual_seed(7)
    assert torch.equal(drop(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_scales_what_is_kept_and_its_gradient_alike(dtype: torch.dtype) -> None:
    torch.manual_seed(7)
    x = torch.randn(3, 7, 11, dtype=dtype).transpose(0, 1).requires_grad_()
    found = dropout(0.5)(x)
    assert found.dtype == dtype
    kept = found != 0
    assert 0.3 < float(kept.float().mean()) < 0.7
    assert torch.equal(found, torch.where(kept, 2 * x, 0))
    (gradient,) = torch.autograd.grad(found.float().sum(), x)
    assert torch.equal(gradient, 2 * kept.to(dtype))


def test_drop_sets_all_layers_for_training_alone(instances: list[Instance]) -> None:
    reader = fresh()
    with torch.no_grad():
        before = reader.encode(*tensors(instances))
        reader.drop(0.1)
        assert [module.rate for module in reader.modules() if isinstance(module, Dropout)] == [0.1] * len(reader.layers)
        assert torch.equal(reader.encode(*tensors(instances)), before)
        assert not torch.allclose(reader.train().encode(*tensors(instances)), before, atol=0.01)
        reader.drop(0.0)
        assert torch.equal(reader.encode(*tensors(instances)), before)


@torch.no_grad()
def test_dropout_spares_what_goes_past_a_layer(reader: SpanReader) -> None:
    """With all that a layer adds dropped, only its two norms are left."""
    layer = reader.layers[0]
    assert isinstance(layer, Layer)
    x = torch.randn(2, 5, layer.out.in_features)
    hook = layer.dropout.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    found = layer(x, torch.zeros(2, 1, 1, 5))
    hook.remove()
    assert torch.equal(found, layer.output_norm(layer.attention_norm(x)))
