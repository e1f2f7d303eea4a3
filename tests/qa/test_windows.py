import json
import unicodedata
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from index.errors import ModelError
from index.passages import CharSpan
from index.records import StoredPassage
from qa.reader import WEIGHTS
from qa.windows import (
    MAX_QUESTION_TOKENS,
    MAX_TITLE_TOKENS,
    MAX_WINDOW_TOKENS,
    STRIDE_TOKENS,
    PassageText,
    TokenizedText,
    Window,
    WindowBuilder,
    passage_text,
)
from tests.qa.texts import hard_texts

FILE = WEIGHTS / "tokenizer.json"
BUILDER = WindowBuilder(FILE)
CLS, SEP, UNK = (json.loads(FILE.read_text())["model"]["vocab"][name] for name in ("[CLS]", "[SEP]", "[UNK]"))
PIECES: dict[int, str] = {i: piece for piece, i in json.loads(FILE.read_text())["model"]["vocab"].items()}


def tokens(text: str) -> TokenizedText:
    return BUILDER.tokenize([text])[0]


def places(windows: list[Window], passage: TokenizedText) -> list[tuple[int, int]]:
    """Which passage tokens `[start, end)` each window holds, found by comparing ids and offsets one after the other."""
    found, start = [], 0
    for window in windows:
        ids, n = window.input_ids[window.passage_start : -1], len(window.offsets)
        assert len(ids) == n
        while not (
            np.array_equal(passage.ids[start : start + n], ids)
            and np.array_equal(passage.offsets[start : start + n], window.offsets)
        ):
            start += 1
            assert start <= len(passage.ids)
        found.append((start, start + n))
    return found


def bert_form(text: str) -> str:
    """Lower case, without accents, control characters and U+FFFD, which BERT drops."""
    return "".join(
        char.lower()
        for char in unicodedata.normalize("NFD", text)
        if unicodedata.category(char) not in {"Mn", "Cc", "Cf"} and char != "\ufffd"
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "Idlib"]), hard_texts(), st.sampled_from([1, 100])), max_size=4))
def test_the_windows_of_all_passages_are_those_of_each(made: list[tuple[str, str, int]]) -> None:
    passages = [PassageText(title=title, text=text * times) for title, text, times in made]
    together = BUILDER.windows_of_all("Who?", passages)
    assert len(together) == len(passages)
    for windows, passage in zip(together, passages, strict=True):
        alone = BUILDER.windows("Who?", passage.title, passage.text)
        assert len(windows) == len(alone)
        for one, other in zip(windows, alone, strict=True):
            assert np.array_equal(one.input_ids, other.input_ids)
            assert np.array_equal(one.offsets, other.offsets)
            assert one.passage_start == other.passage_start


@settings(max_examples=60, deadline=None)
@given(hard_texts(), st.integers(1, 150), st.sampled_from(["", "Idlib", "title " * 40]))
def test_windows_together_hold_every_token_and_overlap(text: str, times: int, title: str) -> None:
    text = text * times
    windows, passage = BUILDER.windows("Who?", title, text), tokens(text)
    found = places(windows, passage)
    assert {token for start, end in found for token in range(start, end)} == set(range(len(passage.ids)))
    for (start, end), (next_start, next_end) in pairwise(found):
        assert start < next_start
        assert end < next_end
        assert end - next_start >= STRIDE_TOKENS
    assert all(len(window.input_ids) <= MAX_WINDOW_TOKENS for window in windows)
    assert all(len(window.input_ids) == MAX_WINDOW_TOKENS for window in windows[1:])


@settings(max_examples=100, deadline=None)
@given(hard_texts())
def test_offsets_slice_the_original_text(text: str) -> None:
    (window,) = BUILDER.windows("Who?", "A title", text)
    end_before = 0
    for token, (start, end) in zip(window.input_ids[window.passage_start : -1], window.offsets, strict=True):
        piece = text[start:end]
        assert piece
        assert piece.split() == [piece]
        if token != UNK:
            assert PIECES[int(token)].removeprefix("##") in bert_form(piece)
        # A syllable of Hangul is several tokens of one character; otherwise tokens never share characters.
        assert start >= end_before or end - start == 1
        end_before = int(end)


@settings(max_examples=100, deadline=None)
@given(hard_texts())
def test_every_letter_and_digit_is_in_some_token(text: str) -> None:
    held = {place for start, end in tokens(text).offsets for place in range(start, end)}
    assert [char for place, char in enumerate(text) if char.isalnum() and place not in held] == []


def test_the_title_stands_before_the_passage_and_never_within() -> None:
    (window,) = BUILDER.windows("Where?", "Zebra crossing", "The ship ran aground.")
    question, title, passage = (tokens(text).ids for text in ("Where?", "Zebra crossing", "The ship ran aground."))
    assert window.input_ids.tolist() == [CLS, *question, SEP, *title, SEP, *passage, SEP]
    assert window.passage_start == len(question) + len(title) + 3
    assert not set(title.tolist()) & set(window.input_ids[window.passage_start :].tolist())
    assert window.offsets.tolist()[0] == [0, 3]


def test_an_untitled_article_has_no_empty_title_part() -> None:
    (window,) = BUILDER.windows("Where?", "", "Here.")
    assert window.input_ids.tolist() == [CLS, *tokens("Where?").ids, SEP, *tokens("Here.").ids, SEP]


@pytest.mark.parametrize(
    ("title", "month", "heading"),
    [
        ("Zebra crossing", "February 2020", "Zebra crossing, February 2020"),
        ("Zebra crossing", "", "Zebra crossing"),
        ("", "March 2011", "March 2011"),
        ("zebra " * 500, "May 2011", "zebra " * MAX_TITLE_TOKENS + ", May 2011"),
    ],
)
def test_the_month_of_an_article_is_read_after_its_title(title: str, month: str, heading: str) -> None:
    passage = PassageText(title=title, text="The ship ran aground.", month=month)
    ((window,),) = BUILDER.windows_of_all("When?", [passage])
    question, text = tokens("When?").ids, tokens(passage.text).ids
    assert window.input_ids.tolist() == [CLS, *question, SEP, *tokens(heading).ids, SEP, *text, SEP]
    assert window.passage_start == len(question) + len(tokens(heading).ids) + 3


def test_a_long_passage_has_its_date_in_every_window_and_loses_nothing_to_it() -> None:
    passage = PassageText(title="Zebra", text="ship " * 1000, month="February 2020")
    (windows,) = BUILDER.windows_of_all("When?", [passage])
    heading = [SEP, *tokens("Zebra, February 2020").ids, SEP]
    assert len(windows) > 2
    for window in windows:
        assert window.input_ids[: window.passage_start].tolist()[-len(heading) :] == heading
        assert len(window.input_ids) == MAX_WINDOW_TOKENS
    assert places(windows, tokens(passage.text))[-1][1] == 1000


@pytest.mark.parametrize(
    ("published", "month"),
    [
        (None, ""),
        (date(2020, 2, 28), "February 2020"),
        (date(1997, 12, 1), "December 1997"),
        (date(800, 1, 31), "January 800"),
    ],
)
def test_a_passage_of_a_library_is_read_with_its_title_and_month(published: date | None, month: str) -> None:
    stored = StoredPassage(
        key=1, article_id="ship", title="Ship", span=CharSpan(5, 9), text="Here", source="The Test", published=published
    )
    assert passage_text(stored) == PassageText(title="Ship", text="Here", month=month)


def test_question_and_title_are_cut_to_their_limits() -> None:
    (window,) = BUILDER.windows("why " * 500, "zebra " * 500, "The ship.")
    assert window.input_ids[1 : MAX_QUESTION_TOKENS + 1].tolist() == [tokens("why").ids[0]] * MAX_QUESTION_TOKENS
    assert window.input_ids[MAX_QUESTION_TOKENS + 1] == SEP
    assert window.passage_start == 1 + MAX_QUESTION_TOKENS + 1 + MAX_TITLE_TOKENS + 1
    assert window.input_ids[window.passage_start : -1].tolist() == tokens("The ship.").ids.tolist()


@pytest.mark.parametrize(("n_words", "n_windows"), [(379, 1), (380, 2), (379 + 251, 2), (379 + 252, 3)])
def test_a_window_more_only_where_the_passage_does_not_fit(n_words: int, n_windows: int) -> None:
    # [CLS] why ? [SEP] and the closing [SEP] leave 379 tokens; each further window brings at most 379 - 128 new ones.
    windows = BUILDER.windows("why?", "", "ship " * n_words)
    assert len(windows) == n_windows
    assert places(windows, tokens("ship " * n_words))[-1][1] == n_words


@pytest.mark.parametrize("text", ["", " \n", "\u0301\u0301"])
def test_a_passage_without_tokens_is_one_window_without_offsets(text: str) -> None:
    (window,) = BUILDER.windows("why?", "", text)
    assert window.offsets.shape == (0, 2)
    assert window.input_ids[window.passage_start :].tolist() == [SEP]


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json: the reader's tokenizer is missing"):
        WindowBuilder(tmp_path / "tokenizer.json")


def test_a_tokenizer_without_bert_tokens_is_refused(tmp_path: Path) -> None:
    Tokenizer(WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))  # noqa: S106 (no password)
    with pytest.raises(ModelError, match=r"\[CLS\]"):
        WindowBuilder(tmp_path / "tokenizer.json")


def test_a_damaged_tokenizer_is_a_model_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(FILE.read_text()[:1000])
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        WindowBuilder(tmp_path / "tokenizer.json")
