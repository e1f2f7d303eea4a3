"""The whole way from windows to candidates, with a reader that a slow oracle can redo."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.passages import CharSpan
from index.records import StoredPassage
from index.retriever import RetrievedPassage
from qa.candidates import Candidate, candidates
from qa.reader import Reader, ReadSpan
from qa.tidy import tidy_span
from qa.windows import PassageText, Window, WindowBuilder, passage_text
from tests.qa.made_reader import Tables, made_reader
from tests.qa.texts import hard_texts

QUESTION = "How many soldiers were killed on 27 February 2020?"
N_BEST, MAX_TOKENS = 10, 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def tables(folder: Path) -> Tables:
    return made_reader(folder)


@pytest.fixture(scope="module")
def reader(folder: Path, tables: Tables) -> Reader:
    assert tables is not None  # written before it is read
    return Reader(folder, threads=1)


@pytest.fixture(scope="module")
def builder(folder: Path, tables: Tables) -> WindowBuilder:
    assert tables is not None
    return WindowBuilder(folder / "tokenizer.json")


def log_softmax(logits: NDArray[np.float32], passage: range) -> list[float]:
    """Of the passage's tokens, in a distribution that [CLS] shares."""
    total = math.log(sum(math.exp(float(logits[place])) for place in (0, *passage)))
    return [float(logits[place]) - total for place in passage]


def best_of_window(tables: Tables, window: Window) -> list[ReadSpan]:
    """Every first and last token, the ten best kept."""
    start, end = tables.logits(window)
    passage = range(window.passage_start, len(window.input_ids) - 1)
    starts, ends = log_softmax(start, passage), log_softmax(end, passage)
    found = []
    for first in range(len(passage)):
        for last in range(first, len(passage)):
            if last - first < MAX_TOKENS:
                logit = float(start[passage[first]]) + float(end[passage[last]])
                found.append((-logit, first, last))
    return [
        ReadSpan(
            span=CharSpan(int(window.offsets[first, 0]), int(window.offsets[last, 1])),
            margin=-cost - float(start[0]) - float(end[0]),
            log_probability=starts[first] + ends[last],
        )
        for cost, first, last in sorted(found)[:N_BEST]
    ]


def expected(tables: Tables, builder: WindowBuilder, retrieved: RetrievedPassage) -> list[Candidate]:
    """The ten best of a passage's windows; of the same characters in two windows the likelier; tidied."""
    passage = retrieved.passage
    likeliest: dict[CharSpan, ReadSpan] = {}
    for window in builder.windows(QUESTION, passage.title, passage.text):
        for read in best_of_window(tables, window):
            if read.span not in likeliest or read.log_probability > likeliest[read.span].log_probability:
                likeliest[read.span] = read
    kept = sorted(likeliest.values(), key=lambda read: -read.log_probability)[:N_BEST]
    found = []
    for read in kept:
        tidy = tidy_span(passage.text, read.span)
        if tidy is not None:
            span = CharSpan(passage.span.start + tidy.start, passage.span.start + tidy.end)
            found.append(
                Candidate(
                    article_id=passage.article_id,
                    span=span,
                    text=passage.text[tidy.start : tidy.end],
                    margin=read.margin,
                    log_probability=read.log_probability,
                    retrieval_score=retrieved.retrieval_score,
                    others_margin=0.0,  # not compared here
                    others_retrieval_score=0.0,
                )
            )
    return found


@st.composite
def retrieved_passages(draw: st.DrawFn, number: int) -> RetrievedPassage:
    """A passage of one window or of several."""
    text = " ".join([draw(hard_texts())] * draw(st.sampled_from((40, 10, 1)))) + " 33"
    start = draw(st.integers(0, 1000))
    stored = StoredPassage(
        key=number,
        article_id=f"article-{number}",
        title=draw(st.sampled_from(("", "Air strike on Balyun"))),
        span=CharSpan(start, start + len(text)),
        text=text,
    )
    return RetrievedPassage(passage=stored, retrieval_score=draw(st.floats(0, 1)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3).flatmap(lambda n: st.tuples(*(retrieved_passages(i) for i in range(n)))))
def test_candidates_are_those_of_every_span_of_every_window_tried(
    tables: Tables, reader: Reader, builder: WindowBuilder, passages: tuple[RetrievedPassage, ...]
) -> None:
    texts = [passage_text(found.passage) for found in passages]
    ours = candidates(passages, reader.read(QUESTION, texts))
    slow = [candidate for found in passages for candidate in expected(tables, builder, found)]
    assert [(c.article_id, c.span, c.text, c.retrieval_score) for c in ours] == [
        (c.article_id, c.span, c.text, c.retrieval_score) for c in slow
    ]
    assert [c.margin for c in ours] == pytest.approx([c.margin for c in slow], abs=1e-6)
    assert [c.log_probability for c in ours] == pytest.approx([c.log_probability for c in slow], abs=1e-6)


def test_a_span_in_two_windows_keeps_the_likelier_reading(
    tables: Tables, reader: Reader, builder: WindowBuilder
) -> None:
    text = " ".join(f"word{i}" for i in range(200))
    windows = builder.windows(QUESTION, "", text)
    assert len(windows) > 1
    by_window = [{read.span: read for read in best_of_window(tables, window)} for window in windows]
    shared = set(by_window[0]) & set(by_window[1])
    ours = {read.span: read.log_probability for read in reader.read(QUESTION, [PassageText(title="", text=text)])[0]}
    twice = [span for span in shared if span in ours]
    assert twice  # else this test shows nothing
    for span in twice:
        assert ours[span] == pytest.approx(max(found[span].log_probability for found in by_window), abs=1e-6)
