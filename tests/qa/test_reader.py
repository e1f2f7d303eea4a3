import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import ModelError
from index.passages import CharSpan
from qa.reader import WEIGHTS, PassageText, Reader, ReadSpan
from qa.windows import WindowBuilder
from tests.qa.texts import hard_texts

QUESTION = "Where did the container ship run aground?"
SHIP = PassageText(
    title="Container ship", text="The container ship Ever Given ran aground in the Suez Canal on Tuesday."
)
RAID = PassageText(
    title="Idlib",
    text="An air strike killed at least 33 Turkish soldiers in Idlib on Thursday, officials said, and President Recep "
    "Tayyip Erdoğan called an emergency meeting in Ankara before he spoke with the chancellor of Germany.",
)
QUAKE = PassageText(title="", text="A quake struck.")


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


def padded(text: str, n_words: int, *, before: int = 0) -> PassageText:
    """The text among sentences that answer nothing."""
    sentence = "The weather stayed mild all day. "  # 7 tokens
    return PassageText(title="", text=sentence * (before // 7) + text + " " + sentence * (n_words // 7))


def check(spans: list[ReadSpan], text: str) -> None:
    assert len(spans) <= 10
    assert len({read.span for read in spans}) == len(spans)
    assert all(read.span.end <= len(text) and read.span.of(text).strip() for read in spans)
    assert [read.log_probability for read in spans] == sorted((read.log_probability for read in spans), reverse=True)
    assert all(read.log_probability <= 0 for read in spans)


def by_hand(passages: list[PassageText]) -> list[list[ReadSpan]]:
    """The best spans of passages of like length, shortest first, by running the graph itself and trying every span."""
    builder, options = WindowBuilder(WEIGHTS / "tokenizer.json"), onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(WEIGHTS / "reader.onnx", options)
    windows = [window for passage in passages for window in builder.windows(QUESTION, passage.title, passage.text)]
    width = len(windows[-1].input_ids)
    rows = []
    for window in windows:
        n, before = len(window.input_ids), window.passage_start
        padding = [0] * (width - n)
        rows.append(([*window.input_ids, *padding], [0] * before + [1] * (n - before) + padding, [1] * n + padding))
    names = ("input_ids", "token_type_ids", "attention_mask")
    feed = {name: np.array([row[i] for row in rows], dtype=np.int64) for i, name in enumerate(names)}
    starts, ends = (logits.astype(np.float64) for logits in session.run(["start_logits", "end_logits"], feed))
    found = []
    for window, start, end in zip(windows, starts, ends, strict=True):
        places = range(window.passage_start, len(window.input_ids) - 1)
        totals = [np.log(np.exp(logits[[0, *places]]).sum()) for logits in (start, end)]
        spans = []
        for first in places:
            for last in range(first, min(first + 30, places.stop)):
                held = window.offsets[[first - places.start, last - places.start]]
                logit = start[first] + end[last]
                spans.append(
                    ReadSpan(
                        span=CharSpan(int(held[0, 0]), int(held[1, 1])),
                        margin=float(logit - start[0] - end[0]),
                        log_probability=float(logit - sum(totals)),
                    )
                )
        found.append(sorted(spans, key=lambda read: -read.log_probability)[:10])
    return found


def test_spans_and_scores_are_those_of_the_graph_tried_by_brute_force(reader: Reader) -> None:
    # Of unequal length and read together: the shorter one is padded.
    passages = [SHIP, PassageText(title="Container ship", text=f"{SHIP.text} Nobody was hurt.")]
    for ours, expected in zip(reader.read(QUESTION, passages), by_hand(passages), strict=True):
        assert [read.span for read in ours] == [read.span for read in expected]
        assert [read.margin for read in ours] == pytest.approx([read.margin for read in expected], abs=1e-3)
        assert [read.log_probability for read in ours] == pytest.approx(
            [read.log_probability for read in expected], abs=1e-3
        )


def test_passages_of_unlike_length_are_read_exactly_as_alone(reader: Reader) -> None:
    # Dynamic int8 quantisation scales activations by the whole batch, so only a passage that shares no batch reads
    # exactly as it does alone. Lengths that fall in different steps of 16 tokens never share one.
    passages = [padded(SHIP.text, 70), QUAKE, RAID, padded(SHIP.text, 140), SHIP]
    assert reader.read(QUESTION, passages) == [reader.read(QUESTION, [passage])[0] for passage in passages]


def test_copies_of_a_passage_are_read_exactly_as_one(reader: Reader) -> None:
    # Twelve copies are a batch of eight and one of four; each has the same range of activations as one copy alone.
    (alone,) = reader.read(QUESTION, [SHIP])
    assert reader.read(QUESTION, [SHIP] * 12) == [alone] * 12


def test_passages_of_like_length_differ_by_no_more_than_rounding_to_int8(reader: Reader) -> None:
    # They share a batch, and so its scale of activations: a logit moves by fractions, never to another passage.
    passages = [SHIP, PassageText(title="Container ship", text=SHIP.text.replace("Suez", "Panama"))]
    for passage, together in zip(passages, reader.read(QUESTION, passages), strict=True):
        (alone,) = reader.read(QUESTION, [passage])
        apart = {read.span: read.log_probability for read in alone}
        shared = [(read.log_probability, apart[read.span]) for read in together if read.span in apart]
        assert len(shared) >= 6
        assert all(one == pytest.approx(other, abs=1.5) for one, other in shared)


def test_the_order_of_passages_does_not_matter(reader: Reader) -> None:
    towns = ("Suez", "Panama", "Kiel", "Corinth")
    passages = [PassageText(title="", text=SHIP.text.replace("Suez", town)) for town in towns]
    forwards, backwards = reader.read(QUESTION, passages), reader.read(QUESTION, passages[::-1])[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert [read.span for read in one] == [read.span for read in other]
        assert [read.margin for read in one] == pytest.approx([read.margin for read in other], abs=1e-3)


def test_the_answer_is_found_and_beats_a_passage_without_it(reader: Reader) -> None:
    ship, raid = reader.read(QUESTION, [SHIP, RAID])
    assert "Suez Canal" in ship[0].span.of(SHIP.text)
    assert ship[0].margin > raid[0].margin
    check(ship, SHIP.text)
    check(raid, RAID.text)


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(hard_texts(), min_size=1, max_size=3))
def test_spans_are_slices_of_their_own_passage(reader: Reader, texts: list[str]) -> None:
    readings = reader.read("What is it?", [PassageText(title="Zoë — 東京", text=text) for text in texts])
    assert len(readings) == len(texts)
    for text, spans in zip(texts, readings, strict=True):
        check(spans, text)
        assert spans or not any(char.isalnum() for char in text)


@pytest.mark.parametrize("blank", ["", " ", "\n\n\t", "\u00a0\u3000", "\u0301"])
def test_a_blank_passage_has_no_spans_and_harms_no_other(reader: Reader, blank: str) -> None:
    readings = reader.read(QUESTION, [PassageText(title="Ships", text=blank), SHIP])
    assert readings[0] == []
    assert "Suez Canal" in readings[1][0].span.of(SHIP.text)


def test_no_passages_are_no_readings(reader: Reader) -> None:
    assert reader.read(QUESTION, []) == []


@pytest.mark.parametrize("before", [0, 196, 301, 602])
def test_an_answer_anywhere_in_a_long_passage_is_found_once_at_its_place(reader: Reader, before: int) -> None:
    # Over 600 tokens: at least two windows; around token 300 the answer is in the overlap of two of them.
    long = padded(SHIP.text, 630 - before, before=before)
    (spans,) = reader.read(QUESTION, [long])
    check(spans, long.text)
    place = long.text.index("Suez Canal")
    assert spans[0].span.start <= place
    assert spans[0].span.end >= place + len("Suez Canal")


@pytest.mark.parametrize("question", ["why " * 900, "東京 👍🏽 \ufffd?", "a"])
def test_any_question_can_be_read(reader: Reader, question: str) -> None:
    (spans,) = reader.read(question, [SHIP])
    check(spans, SHIP.text)
    assert spans


def test_a_missing_graph_is_named(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match=r"reader\.onnx: cannot be opened"):
        Reader(tmp_path)


def test_a_damaged_graph_is_named(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS / "tokenizer.json", tmp_path)
    (tmp_path / "other.onnx").write_bytes((WEIGHTS / "reader.onnx").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"other\.onnx: cannot be opened"):
        Reader(tmp_path, graph="other.onnx")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json: the reader's tokenizer is missing"):
        Reader(tmp_path)
