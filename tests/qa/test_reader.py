import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import ModelError, QuestionError
from index.passages import CharSpan
from qa.reader import WEIGHTS, Reader, ReadSpan
from qa.windows import MAX_QUESTION_TOKENS, PassageText, WindowBuilder
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
    """The best spans of short passages, by running the graph itself on each alone and trying every span."""
    builder, options = WindowBuilder(WEIGHTS / "tokenizer.json"), onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        WEIGHTS / "reader.onnx", options, disabled_optimizers=["SkipLayerNormFusion"]
    )
    windows = [window for passage in passages for window in builder.windows(QUESTION, passage.title, passage.text)]
    starts, ends = [], []
    for window in windows:
        n, before = len(window.input_ids), window.passage_start
        rows = {"input_ids": [*window.input_ids], "token_type_ids": [0] * before + [1] * (n - before)}
        feed = {name: np.array([row], dtype=np.int64) for name, row in rows.items()}
        start, end = session.run(["start_logits", "end_logits"], feed)
        starts.append(start[0].astype(np.float64))
        ends.append(end[0].astype(np.float64))
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
    passages = [SHIP, PassageText(title="Container ship", text=f"{SHIP.text} Nobody was hurt.")]
    for ours, expected in zip(reader.read(QUESTION, passages), by_hand(passages), strict=True):
        assert [read.span for read in ours] == [read.span for read in expected]
        assert [read.margin for read in ours] == pytest.approx([read.margin for read in expected], abs=1e-3)
        assert [read.log_probability for read in ours] == pytest.approx(
            [read.log_probability for read in expected], abs=1e-3
        )


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("Which canal did the ship block in {}?", SHIP),
        ("How many soldiers were killed in the air strike of {}?", RAID),
        ("Where did the container ship run aground in {}?", SHIP),
    ],
)
@pytest.mark.parametrize("year", [2018, 2020])
def test_a_passage_of_the_time_asked_about_is_surer_than_one_of_another(
    reader: Reader, question: str, passage: PassageText, year: int
) -> None:
    def margin(month: str) -> float:
        return reader.read(question.format(year), [dataclasses.replace(passage, month=month)])[0][0].margin

    then, other, undated = margin(f"March {year}"), margin(f"March {2038 - year}"), margin("")
    assert then > undated + 1
    assert then > other + 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_passage_is_read_exactly_as_alone_whatever_is_read_beside_it(reader: Reader, threads: int) -> None:
    # The second differs from the first by one word, the fifth is long: in one batch they would share int8 scales.
    panama = PassageText(title="Container ship", text=SHIP.text.replace("Suez", "Panama"))
    passages = [SHIP, panama, QUAKE, RAID, padded(SHIP.text, 630), SHIP]
    alone = [reader.read(QUESTION, [passage])[0] for passage in passages]
    assert Reader(threads=threads).read(QUESTION, passages) == alone


def test_many_may_ask_one_reader_at_once(reader: Reader) -> None:
    asked = [(f"{QUESTION} {i}", [SHIP, RAID]) for i in range(12)]
    one_by_one = [reader.read(*one) for one in asked]
    shared = Reader(threads=2)
    with ThreadPoolExecutor(6) as callers:
        assert list(callers.map(lambda one: shared.read(*one), asked)) == one_by_one


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


def test_a_question_is_refused_from_the_first_token_that_would_not_be_read(reader: Reader) -> None:
    longest = "Why? " * (MAX_QUESTION_TOKENS // 2)
    reader.check(longest)
    with pytest.raises(QuestionError, match=f"has {MAX_QUESTION_TOKENS + 1} tokens .*; at most {MAX_QUESTION_TOKENS}"):
        reader.check(longest + "Why")


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
