"""Sentences and spans: no character lost, none changed."""

import pytest
from hypothesis import given

from index.articles import normalise
from index.passages import CharSpan, sentences
from tests.index.parts import difficult_texts


@given(difficult_texts().filter(bool))
def test_sentences_join_to_the_text_without_gaps(text: str) -> None:
    spans = sentences(text)
    assert "".join(span.of(text) for span in spans) == text
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])]


@given(difficult_texts().map(normalise))
def test_no_sentence_but_the_first_is_blank(text: str) -> None:
    assert all(span.of(text).strip() for span in sentences(text)[1:])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Mr. Smith arrived. He spoke.", ["Mr. Smith arrived. ", "He spoke."]),
        ("It cost $3.5 million. Why?\n\nNo.", ["It cost $3.5 million. ", "Why?\n\n", "No."]),
        ("你好。世界。", ["你好。", "世界。"]),
        ("\n\nHi.", ["\n\n", "Hi."]),
        ("", []),
    ],
)
def test_known_sentences(text: str, wanted: list[str]) -> None:
    assert [span.of(text) for span in sentences(text)] == wanted


@pytest.mark.parametrize(("start", "end"), [(3, 3), (4, 3), (-1, 2)])
def test_an_empty_or_negative_span_is_refused_with_its_numbers(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=rf"\[{start}, {end}\)"):
        CharSpan(start, end)


def test_a_span_is_half_open_and_spans_are_ordered_by_place() -> None:
    assert CharSpan(1, 3).of("abcd") == "bc"
    assert sorted([CharSpan(2, 3), CharSpan(0, 9), CharSpan(0, 1)]) == [CharSpan(0, 1), CharSpan(0, 9), CharSpan(2, 3)]
