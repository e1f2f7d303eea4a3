import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.losses import (
    ANSWER_LENGTHS,
    CAUSES,
    QUESTION_WORDS,
    READER_MISSED,
    RETRIEVAL_MISSED,
    WRONGLY_ANSWERED,
    WRONGLY_REFUSED,
    answer_length,
    found_by_retrieval,
    loss_parts,
    main_causes,
    question_word,
)
from eval.outcomes import outcomes
from eval.run_folder import PredictedQuestion
from index.errors import DatasetError
from tests.eval.made_report import (
    ALL,
    INVENTED,
    NO_CANDIDATE,
    NOT_FOUND,
    OTHER_SPAN,
    PARTLY,
    REFUSED,
    RIGHT,
    SILENT,
    asked,
)


def parts_of(p: PredictedQuestion, min_confidence: float = 0.5) -> dict[str, float]:
    parts = loss_parts([p], outcomes([p], min_confidence))
    return {cause: float(part[0]) for cause, part in parts.items() if part[0] != 0}


@pytest.mark.parametrize(
    ("p", "lost"),
    [
        (RIGHT, {}),
        (SILENT, {}),
        (PARTLY, {READER_MISSED: pytest.approx(1 / 2)}),  # "At least 33" for "33": precision 1/3, recall 1
        (OTHER_SPAN, {READER_MISSED: 1.0}),
        (NO_CANDIDATE, {READER_MISSED: 1.0}),
        (NOT_FOUND, {RETRIEVAL_MISSED: 1.0}),
        (REFUSED, {WRONGLY_REFUSED: 1.0}),
        (INVENTED, {WRONGLY_ANSWERED: 1.0}),
    ],
)
def test_each_question_loses_where_it_went_wrong(p: PredictedQuestion, lost: dict[str, float]) -> None:
    assert parts_of(p) == lost
    assert main_causes(loss_parts([p], outcomes([p], 0.5))) == [next(iter(lost), "")]


def test_a_partly_right_answer_that_is_held_back_is_missed_in_part_and_refused_in_part() -> None:
    assert parts_of(PARTLY, min_confidence=0.9) == pytest.approx({READER_MISSED: 1 / 2, WRONGLY_REFUSED: 1 / 2})
    nearer = asked("nearer", ["Suez Canal"], ("The Suez Canal was", "suez", 0.3), gold_in=["suez"])
    parts = loss_parts([nearer], outcomes([nearer], 0.5))
    assert main_causes(parts) == [WRONGLY_REFUSED]  # "suez canal was" scores 0.8


def test_a_gold_that_normalises_to_nothing_is_matched_by_abstaining_and_nothing_is_lost_twice() -> None:
    the = asked("the", ["The"], ("Cairo", "suez", 0.3), gold_in=["suez"])
    assert parts_of(the) == {}  # refused: the official script takes it as right
    assert parts_of(the, min_confidence=0.0) == {READER_MISSED: 1.0}


def test_where_gold_articles_are_unknown_a_passage_with_a_gold_text_counts_as_found() -> None:
    holding = asked("holding", ["Cairo"], ("Quito", "lima", 0.9))
    assert holding.question.article_ids == ()
    assert found_by_retrieval(holding)
    assert parts_of(holding) == {READER_MISSED: 1.0}
    assert parts_of(asked("without", ["Ankara"], ("Quito", "lima", 0.9))) == {RETRIEVAL_MISSED: 1.0}
    # Where they are known, the same text in another article is not what was looked for.
    assert not found_by_retrieval(asked("elsewhere", ["Cairo"], gold_in=["suez"], read=["lima"]))


def test_questions_for_retrieval_alone_have_no_loss_to_explain() -> None:
    ranked = asked("ranked", [], gold_in=["suez"])
    parts = loss_parts([ranked, INVENTED], outcomes([ranked, INVENTED], 0.5))
    assert all(np.isnan(part[0]) for part in parts.values())
    assert parts[WRONGLY_ANSWERED][1] == 1
    assert main_causes(parts) == ["", WRONGLY_ANSWERED]


def test_outcomes_of_other_questions_are_refused() -> None:
    with pytest.raises(DatasetError, match="2 predictions and 1 outcomes"):
        loss_parts([RIGHT, PARTLY], outcomes([RIGHT], 0.5))


words = st.lists(st.sampled_from(["Cairo", "the", "Quito", "33", "!"]), min_size=1, max_size=3).map(" ".join)
spans = st.sampled_from(["Cairo", "The Suez Canal", "Suez", "Ever Given", "23 March 2021", "The", "Cairo sent tugs"])
questions = st.builds(
    lambda golds, gold_in, read, given, confidence: asked(
        "q", golds, (given, "suez", confidence) if given else None, gold_in=gold_in if golds else (), read=read
    ),
    st.lists(st.one_of(words, spans), max_size=3),
    st.sampled_from([(), ("suez",), ("idlib",), ("suez", "lima")]),
    st.sampled_from([(), ("suez",), ("lima", "suez"), ("idlib",)]),
    st.one_of(st.none(), spans),
    st.floats(0, 1),
)


@given(st.lists(questions, min_size=1, max_size=6), st.floats(0, 1))
def test_the_parts_are_no_less_than_nothing_and_add_up_to_what_is_lost(
    predicted: list[PredictedQuestion], min_confidence: float
) -> None:
    columns = outcomes(predicted, min_confidence)
    parts = loss_parts(predicted, columns)
    assert tuple(parts) == CAUSES
    table = np.array([parts[cause] for cause in CAUSES])
    assert ((table >= 0) & (table <= 1)).all()
    np.testing.assert_allclose(table.sum(axis=0), 1 - columns["f1"], atol=1e-12)
    for p, column, f1, cause in zip(predicted, table.T, columns["f1"], main_causes(parts), strict=True):
        assert (cause == "") == (f1 == 1)
        may_lose = {WRONGLY_ANSWERED} if not p.question.answers else {WRONGLY_REFUSED}
        if p.question.answers:
            may_lose.add(READER_MISSED if found_by_retrieval(p) else RETRIEVAL_MISSED)
        if p.given(min_confidence):
            may_lose.discard(WRONGLY_REFUSED)
        assert {CAUSES[i] for i in np.flatnonzero(column)} <= may_lose


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("Who chairs the inquiry?", "who"),
        ("To whom was it given?", "who"),
        ("Whose car was it?", "who"),
        ("whos the mayor", "who"),
        ("What's the toll?", "what"),
        ("What’s the toll?", "what"),
        ("In which year did it close?", "which"),
        ("The canal closed when?", "when"),
        ("WHERE is it", "where"),
        ("Why?", "why"),
        ("For how long was it closed?", "how long"),
        ("How  many\nsoldiers died?", "how many"),
        ("how much did it cost", "how much"),
        ("How old is she, and what is her name?", "how"),
        ("soldiers dead Idlib February", "other"),
        ("Somewhat whatever, showing", "other"),
        ("", "other"),
    ],
)
def test_question_word(question: str, word: str) -> None:
    assert question_word(question) == word
    assert word in QUESTION_WORDS


@pytest.mark.parametrize(
    ("golds", "length"),
    [
        (["33"], "1"),
        (["at least thirty-three of them", "the 33"], "1"),  # articles do not count, as in F1
        (["two words"], "2"),
        (["one two three"], "3–4"),
        (["one two three four"], "3–4"),
        (["a b c d e f"], "5–8"),  # "a" is an article
        (["1 2 3 4 5 6 7 8"], "5–8"),
        (["1 2 3 4 5 6 7 8 9"], "9+"),
        ([], "no answer"),
        (["The", "!"], "no answer"),  # scored against nothing by the official script
        (["The", "33"], "1"),
    ],
)
def test_answer_length(golds: list[str], length: str) -> None:
    assert answer_length(golds) == length
    assert length in ANSWER_LENGTHS


def test_the_small_archive_loses_one_of_each_kind() -> None:
    causes = main_causes(loss_parts(ALL, outcomes(ALL, 0.5)))
    assert sorted(cause for cause in causes if cause) == sorted(
        [READER_MISSED] * 4 + [RETRIEVAL_MISSED, WRONGLY_REFUSED, WRONGLY_ANSWERED]
    )
