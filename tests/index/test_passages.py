"""Splitting: every passage is a slice, every character is in one, no limit is passed, and a slow oracle agrees."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from index.articles import normalise
from index.embedder import Embedder
from index.passages import CharSpan, Cl100kCounter, Limit, Splitter, TokenCounter, sentences
from tests.index.parts import difficult_texts

PROSE = "".join(f"Sentence {n} says that {n * 37} people came to Ankara on Friday. " for n in range(60))
texts = difficult_texts().map(normalise).filter(bool)


class Characters:
    def n_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


class Words:
    def n_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


def count(counter: TokenCounter, text: str) -> int:
    return counter.n_tokens([text])[0]


def check(text: str, spans: list[CharSpan], limits: list[Limit], overlap_tokens: int) -> None:
    """What holds for every text, every counter and every limit."""
    assert spans[0].start == 0
    assert spans[-1].end == len(text)
    for span in spans:
        for limit in limits:
            assert count(limit.counter, span.of(text)) <= limit.max_tokens or span.end - span.start == 1
    for one, other in itertools.pairwise(spans):
        assert one.start < other.start <= one.end < other.end, "a gap, or a passage inside another"
        if other.start < one.end:
            assert count(limits[0].counter, text[other.start : one.end]) <= overlap_tokens


def slow_split(text: str, max_chars: int, overlap_chars: int) -> list[CharSpan]:
    """Sentences that all fit, packed by trying every run of them."""
    cuts = [0, *(span.end for span in sentences(text))]
    spans: list[CharSpan] = []
    begin = 0
    while not spans or spans[-1].end < len(text):
        start = cuts[begin]
        end = max(cut for cut in cuts if start < cut <= start + max_chars)
        spans.append(CharSpan(start, end))
        following = min((cut for cut in cuts if cut > end), default=end)
        fitting = [cut for cut in cuts if start < cut <= end and end - cut <= overlap_chars]
        begin = cuts.index(min(cut for cut in fitting if following - cut <= max_chars))
    return spans


@given(text=texts, max_tokens=st.integers(8, 60), overlap=st.floats(0, 0.5))
@example(text="word " * 200, max_tokens=8, overlap=0.5)
@example(text="x" * 500, max_tokens=9, overlap=0.5)
@example(text="e" + "\u0301" * 50, max_tokens=8, overlap=0.5)
def test_passages_of_characters_cover_the_text_within_the_limit(text: str, max_tokens: int, overlap: float) -> None:
    limits, overlap_tokens = [Limit(counter=Characters(), max_tokens=max_tokens)], int(max_tokens * overlap)
    check(text, Splitter(limits, overlap_tokens=overlap_tokens).split(text), limits, overlap_tokens)


@given(text=texts, max_words=st.integers(8, 30), max_chars=st.integers(8, 90))
def test_all_limits_hold_together(text: str, max_words: int, max_chars: int) -> None:
    limits = [Limit(counter=Words(), max_tokens=max_words), Limit(counter=Characters(), max_tokens=max_chars)]
    check(text, Splitter(limits, overlap_tokens=0).split(text), limits, 0)


@given(text=texts, room=st.integers(0, 200), overlap=st.floats(0, 0.5))
@example(text="A b c. De f. Ghi jk. L mn op. Q r.", room=8, overlap=0.4)
def test_passages_are_those_of_the_slow_oracle(text: str, room: int, overlap: float) -> None:
    longest = max(span.end - span.start for span in sentences(text))
    max_chars = max(8, longest + room)
    overlap_chars = int(max_chars * overlap)
    splitter = Splitter([Limit(counter=Characters(), max_tokens=max_chars)], overlap_tokens=overlap_chars)
    assert splitter.split(text) == slow_split(text, max_chars, overlap_chars)


@settings(max_examples=60)
@given(text=texts, max_tokens=st.integers(8, 60), overlap=st.floats(0, 0.5))
def test_real_counters_keep_the_same_promises(embedder: Embedder, text: str, max_tokens: int, overlap: float) -> None:
    limits = [Limit(counter=Cl100kCounter(), max_tokens=max_tokens), Limit(counter=embedder, max_tokens=40)]
    spans = Splitter(limits, overlap_tokens=int(max_tokens * overlap)).split(text)
    check(text, spans, limits, int(max_tokens * overlap))
    vectors = embedder.embed_passages([""] * len(spans), [span.of(text) for span in spans])
    assert vectors.shape == (len(spans), embedder.info.dimension)


@settings(max_examples=60)
@given(words=st.lists(st.integers(1, 12), min_size=3, max_size=12), overlap=st.integers(0, 8))
@example(words=[1, 1, 1, 6, 1], overlap=8)
def test_no_passage_lies_within_another_when_sentences_count_less_together(words: list[int], overlap: int) -> None:
    text = " ".join("word " * n + "end." for n in words).replace("end. w", "end. W")
    limits = [Limit(counter=Cl100kCounter(), max_tokens=16)]
    check(text, Splitter(limits, overlap_tokens=overlap).split(text), limits, overlap)


@pytest.mark.parametrize(("max_tokens", "overlap"), [(200, 40), (64, 0), (64, 32)])
def test_prose_fills_passages_with_whole_sentences_and_overlaps(max_tokens: int, overlap: int) -> None:
    limits = [Limit(counter=Cl100kCounter(), max_tokens=max_tokens)]
    spans = Splitter(limits, overlap_tokens=overlap).split(PROSE)
    check(PROSE, spans, limits, overlap)
    ends = [span.end for span in sentences(PROSE)]
    assert {span.end for span in spans} | {span.start for span in spans[1:]} <= set(ends)
    for one, other in itertools.pairwise(spans):
        assert (one.end > other.start) == (overlap > 0)
        following = ends[ends.index(one.end) + 1]
        assert count(Cl100kCounter(), PROSE[one.start : following]) > max_tokens, "one more sentence would have fitted"


@pytest.mark.parametrize("between", ["\n\n", "\n\n\n", "\n \n"])
def test_long_articles_keep_their_sentences(between: str) -> None:
    """The library takes 10,000 characters at a time; whatever it does there, sentences stay sentences."""
    paragraph = "The mayor spoke at noon. Nobody in the hall of the old mill had expected it."
    text = between.join([paragraph] * 800)
    found = sentences(text)
    assert "".join(span.of(text) for span in found) == text
    assert {span.of(text).strip() for span in found} == {
        "The mayor spoke at noon.",
        "Nobody in the hall of the old mill had expected it.",
    }


def test_a_long_sentence_is_cut_at_blanks() -> None:
    text = "word " * 100
    spans = Splitter([Limit(counter=Characters(), max_tokens=40)], overlap_tokens=0).split(text)
    assert [span.of(text).split() for span in spans] == [["word"] * (len(span.of(text)) // 5) for span in spans]


def test_a_cut_does_not_part_a_number_from_its_unit() -> None:
    text = "Grants went to " + ", ".join(f"town {place} with $3.{place} million" for place in range(10, 90))
    spans = Splitter([Limit(counter=Words(), max_tokens=8)], overlap_tokens=0).split(text)
    assert len(spans) > 40
    assert not [span.of(text) for span in spans if span.of(text).startswith("million")]


def test_a_cut_does_not_part_a_letter_from_its_accents() -> None:
    text = "q\u0301\u0302" * 40
    spans = Splitter([Limit(counter=Characters(), max_tokens=20)], overlap_tokens=0).split(text)
    assert all(span.of(text).startswith("q") for span in spans)


def test_no_text_has_no_passages() -> None:
    assert Splitter([Limit(counter=Characters(), max_tokens=8)], overlap_tokens=0).split("") == []


def test_special_tokens_in_a_text_are_counted_as_plain_text() -> None:
    assert count(Cl100kCounter(), "<|endoftext|>") > 1
    assert Cl100kCounter().n_tokens(["", "hello world", "\ufffd"]) == [0, 2, 1]


@pytest.mark.parametrize(
    ("max_tokens", "overlap", "message"),
    [([], 0, "at least one limit"), ([20, 7], 0, "8 tokens"), ([20], 11, "overlap of 11"), ([20], -1, "overlap of -1")],
)
def test_limits_that_leave_no_room_are_refused(max_tokens: list[int], overlap: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Splitter([Limit(counter=Characters(), max_tokens=n) for n in max_tokens], overlap_tokens=overlap)
