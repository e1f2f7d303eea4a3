import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import MPNetModel

from tests.training.parts import BUILDER
from tests.training.run_parts import RECIPE, TOKENIZER, batch, equal, learn, mpnet, mpnet_dir, mpnet_tokens, weights_of
from training.encoder import MASKED
from training.teacher import Teacher, bert_rows, buckets, from_mpnet, teacher_of
from training.trainer import Trainer


@pytest.fixture(scope="module")
def model() -> MPNetModel:
    return mpnet()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: MPNetModel) -> Path:
    return mpnet_dir(tmp_path_factory.mktemp("mpnet") / "small", model)


def fresh(folder: Path) -> Teacher:
    torch.manual_seed(7)
    return from_mpnet(folder, TOKENIZER).eval()


@pytest.fixture(scope="module")
def teacher(folder: Path) -> Teacher:
    return fresh(folder)


def as_mpnet(ids: Tensor, mask: Tensor) -> Tensor:
    """The same tokens in MPNet's vocabulary, looked up one by one by their names."""
    rows = {token: row for row, token in enumerate(mpnet_tokens())}
    own = {"[CLS]": "<s>", "[SEP]": "</s>"}
    names = [[str(BUILDER._tokenizer.id_to_token(int(i))) for i in row] for row in ids]
    found = torch.tensor([[rows[own.get(name, name)] for name in row] for row in names])
    return torch.where(mask.bool(), found, rows["<pad>"])


@torch.no_grad()
def test_encode_equals_transformers_mpnet_with_padding(teacher: Teacher, model: MPNetModel) -> None:
    ids, types, mask, _ = batch(0)
    assert int((mask == 0).sum()) > 0
    theirs = model(input_ids=as_mpnet(ids, mask), attention_mask=mask).last_hidden_state
    real = mask.bool()
    assert torch.allclose(teacher.encode(ids, types, mask)[real], theirs[real], rtol=0, atol=1e-5)
    assert float(theirs[real].std()) > 0.1


@torch.no_grad()
def test_encode_equals_transformers_mpnet_at_full_length(teacher: Teacher, model: MPNetModel) -> None:
    torch.manual_seed(8)
    ids = torch.randint(1000, 30000, (2, 384))
    mask = torch.ones_like(ids)
    theirs = model(input_ids=as_mpnet(ids, mask), attention_mask=mask).last_hidden_state
    assert torch.allclose(teacher.encode(ids, torch.zeros_like(ids), mask), theirs, rtol=0, atol=1e-5)


@torch.no_grad()
def test_logits_are_of_the_students_own_tokens(teacher: Teacher, model: MPNetModel) -> None:
    ids, types, mask, targets = batch(0)
    states = model(input_ids=as_mpnet(ids, mask), attention_mask=mask).last_hidden_state
    expected = states @ teacher.head.weight.T
    for which, logits in enumerate(teacher(ids, types, mask)):
        for row in range(len(ids)):
            end = int(mask[row].sum()) - 1
            allowed = {0, *range(int(types[row].argmax()), end)}
            assert {i for i, logit in enumerate(logits[row].tolist()) if logit > MASKED / 2} == allowed
            places = sorted(allowed)
            assert torch.allclose(logits[row, places], expected[row, places, which], rtol=0, atol=1e-5)
            assert int(targets[row, which]) in allowed


@pytest.mark.parametrize("length", [1, 7, 384])
def test_distances_have_the_buckets_of_transformers(model: MPNetModel, length: int) -> None:
    places = torch.arange(length)
    expected = model.encoder.relative_position_bucket(places - places[:, None], 32)  # type: ignore[no-untyped-call]
    assert torch.equal(buckets(length, 32), expected)


def test_buckets_by_hand() -> None:
    found = buckets(300, 32)
    assert found[9, :11].tolist() == [8, 8, 7, 6, 5, 4, 3, 2, 1, 0, 17]
    assert (int(found[299, 0]), int(found[0, 299])) == (15, 31)  # both farther than can be told
    exact, half = 8, 16
    for distance in range(8, 128):
        growth = math.log(distance / exact) / math.log(128 / exact)
        if abs(growth * exact - round(growth * exact)) > 1e-6:
            assert int(found[200, 200 - distance]) == exact + int(growth * exact)
            assert int(found[100, 100 + distance]) == half + exact + int(growth * exact)


def test_each_token_has_the_row_of_its_name(tmp_path: Path) -> None:
    tokens = mpnet_tokens()
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    rows = bert_rows(file, TOKENIZER)
    assert len(rows) == 30522
    names = [str(BUILDER._tokenizer.id_to_token(i)) for i in range(30522)]
    moved = {names[i]: tokens[row] for i, row in enumerate(rows.tolist()) if names[i] != tokens[row]}
    assert moved == {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
    assert len(set(rows.tolist())) == 30522

    file.write_text("\n".join(token for token in tokens if token not in {"##ing", "canal"}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"lacks 2 of the reader's tokens, such as '(##ing|canal)'"):
        bert_rows(file, TOKENIZER)


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt"])
def test_a_missing_file_is_named(tmp_path: Path, folder: Path, name: str) -> None:
    for file in folder.iterdir():
        if file.name != name:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(SystemExit, match=f"{name} is missing; training/teacher.py says where"):
        from_mpnet(tmp_path, TOKENIZER)


def test_the_head_is_fresh_by_seed_and_the_types_have_no_effect_yet(teacher: Teacher, folder: Path) -> None:
    torch.manual_seed(8)
    other = from_mpnet(folder, TOKENIZER).state_dict()
    state = teacher.state_dict()
    assert [name for name, tensor in state.items() if not torch.equal(tensor, other[name])] == ["head.weight"]
    assert float(state["types.weight"].abs().max()) == 0.0
    assert equal(state, fresh(folder).state_dict())


@torch.no_grad()
def test_a_teacher_comes_back_from_its_weights_alone(teacher: Teacher) -> None:
    again = teacher_of(teacher.state_dict()).eval()
    ids, types, mask, _ = batch(0)
    for one, other in zip(again(ids, types, mask), teacher(ids, types, mask), strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def test_bfloat16_is_near_float32_and_spares_the_head_and_the_distances(folder: Path, teacher: Teacher) -> None:
    rounded = fresh(folder).in_bfloat16()
    dtypes = {name: parameter.dtype for name, parameter in rounded.named_parameters()}
    exact = {"head.weight", "head.bias", "relative.weight"}
    assert {name for name, dtype in dtypes.items() if dtype == torch.float32} == exact
    assert set(dtypes.values()) == {torch.float32, torch.bfloat16}
    ids, types, mask, _ = batch(0)
    for one, other in zip(rounded(ids, types, mask), teacher(ids, types, mask), strict=True):
        assert torch.equal(one > MASKED / 2, other > MASKED / 2)
        assert float((one - other).abs().max()) < 0.1


def test_everything_but_the_word_embeddings_learns(folder: Path) -> None:
    trainer = Trainer(dataclasses.replace(RECIPE, learning_rate=1e-3), fresh(folder).train())
    start = fresh(folder).state_dict()
    learn(trainer, 2)
    now = trainer.weights(averaged=False)
    assert now.keys() == start.keys()
    assert torch.equal(now["words.weight"], start["words.weight"].bfloat16().float())
    assert {name for name, tensor in start.items() if torch.equal(tensor, now[name])} <= {"words.weight"}
    assert 1e-5 < float((now["relative.weight"] - start["relative.weight"]).abs().max()) < 1e-2


def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path, folder: Path) -> None:
    whole = Trainer(RECIPE, fresh(folder).train())
    learn(whole, 2)
    whole.save(tmp_path / "checkpoint.pt")
    losses = learn(whole, 3)
    resumed = Trainer(RECIPE, fresh(folder).train())
    resumed.load(tmp_path / "checkpoint.pt")
    assert learn(resumed, 3) == losses
    for averaged in (False, True):
        assert equal(weights_of(resumed, averaged=averaged), weights_of(whole, averaged=averaged))
