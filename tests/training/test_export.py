import dataclasses
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import pytest
import torch

from eval.squad import SquadParagraph
from tests.training.parts import BUILDER, PARAGRAPHS
from tests.training.run_parts import RECIPE, TOKENIZER, batch, mpnet, mpnet_dir, trainer_of
from training.encoder import MASKED, SpanReader
from training.export import INPUTS, N_WINDOWS, reader_of, some_windows, write_float32
from training.smooth import smooth
from training.teacher import Teacher, from_mpnet


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    torch.manual_seed(7)
    return from_mpnet(mpnet_dir(tmp_path_factory.mktemp("mpnet") / "small", mpnet()), TOKENIZER).eval()


def test_weights_tell_a_reader_from_a_teacher(teacher: Teacher) -> None:
    assert isinstance(reader_of(teacher.state_dict()), Teacher)
    reader = reader_of(trainer_of(RECIPE).weights(averaged=False))
    assert type(reader) is SpanReader


def test_the_windows_that_show_ranges_are_of_first_questions_and_always_the_same() -> None:
    many = [dataclasses.replace(PARAGRAPHS[i % len(PARAGRAPHS)], title=f"Day {i}") for i in range(N_WINDOWS + 30)]
    first = [BUILDER.windows(one.questions[0].question, one.title, one.context)[0] for one in many]
    shown, again = (drawn(many) for _ in range(2))
    assert len(set(shown)) == N_WINDOWS
    assert set(shown) < {tuple(window.input_ids.tolist()) for window in first}
    assert shown == again
    assert len(drawn(PARAGRAPHS)) == len(PARAGRAPHS)
    with pytest.raises(SystemExit, match="no question in the training part"):
        some_windows([dataclasses.replace(PARAGRAPHS[0], questions=())])


def drawn(paragraphs: Sequence[SquadParagraph]) -> list[tuple[int, ...]]:
    """The token ids of each window."""
    return [tuple(window.input_ids.tolist()) for window in some_windows(paragraphs)]


@torch.no_grad()
def test_a_smoothed_teacher_says_the_same(tmp_path: Path) -> None:
    torch.manual_seed(7)
    smoothed = from_mpnet(mpnet_dir(tmp_path / "small", mpnet()), TOKENIZER).eval()
    ids, types, mask, _ = batch(0)
    before = smoothed(ids, types, mask)
    smooth(smoothed, some_windows(PARAGRAPHS))
    for one, other in zip(smoothed(ids, types, mask), before, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["reader", "teacher"])
def test_a_graph_says_what_was_exported_says_at_every_length(tmp_path: Path, teacher: Teacher, kind: str) -> None:
    exported = teacher if kind == "teacher" else reader_of(trainer_of(RECIPE).weights(averaged=False)).eval()
    layers = list(exported.layers)
    file = tmp_path / f"{kind}.onnx"
    write_float32(exported, file)
    assert list(exported.layers) == layers
    session = onnxruntime.InferenceSession(str(file))
    for n_tokens in (4, 11, 100, 384):
        ids = torch.randint(1000, 30000, (1, n_tokens))
        types = (torch.arange(n_tokens) >= n_tokens // 3).long()[None]
        found = session.run(None, {name: one.numpy() for name, one in zip(INPUTS, (ids, types), strict=True)})
        with torch.no_grad():
            expected = exported(ids, types, torch.ones_like(ids))
        for one, other in zip(found, expected, strict=True):
            assert one.shape == tuple(other.shape)
            open_ = other > MASKED / 2
            assert torch.equal(torch.from_numpy(one) > MASKED / 2, open_)
            assert torch.allclose(torch.from_numpy(one)[open_], other[open_], rtol=0, atol=1e-4)
