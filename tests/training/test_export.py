from pathlib import Path

import onnxruntime
import pytest
import torch

from tests.training.run_parts import RECIPE, TOKENIZER, batch, mpnet, mpnet_dir, trainer_of
from training.encoder import MASKED, SpanReader
from training.export import INPUTS, reader_of, write_float32
from training.teacher import Teacher, from_mpnet


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    torch.manual_seed(7)
    return from_mpnet(mpnet_dir(tmp_path_factory.mktemp("mpnet") / "small", mpnet()), TOKENIZER).eval()


def test_weights_tell_a_reader_from_a_teacher(teacher: Teacher) -> None:
    assert isinstance(reader_of(teacher.state_dict()), Teacher)
    reader = reader_of(trainer_of(RECIPE).weights(averaged=False))
    assert type(reader) is SpanReader


def test_a_teachers_graph_says_what_the_teacher_says_at_every_length(tmp_path: Path, teacher: Teacher) -> None:
    file = tmp_path / "teacher.onnx"
    write_float32(teacher, file)
    session = onnxruntime.InferenceSession(str(file))
    ids, types, mask, _ = batch(0)
    long = torch.randint(1000, 30000, (1, 384))
    whole = (long, (torch.arange(384) >= 9).long()[None], torch.ones_like(long))
    for inputs in ((ids, types, mask), whole, tuple(tensor[:2, :11] for tensor in (ids, types, mask))):
        found = session.run(None, {name: tensor.numpy() for name, tensor in zip(INPUTS, inputs, strict=True)})
        with torch.no_grad():
            expected = teacher(*inputs)
        for one, other in zip(found, expected, strict=True):
            assert one.shape == tuple(other.shape)
            open_ = other > MASKED / 2
            assert torch.equal(torch.from_numpy(one) > MASKED / 2, open_)
            assert torch.allclose(torch.from_numpy(one)[open_], other[open_], rtol=0, atol=1e-4)
