"""How a passage has a question's words: equal to a slow oracle, and known by hand."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index.lexical import STOP_WORDS, words_of
from index.overlap import NEAR_WORDS, Overlap, QuestionWords
from tests.index.parts import difficult_texts

RARITY = {"the": 0.1, "of": 0.2, "who": 0.4, "canal": 1.0, "ship": 2.0, "idlib": 4.0, "raid": 3.0, "bread": 1.5}
texts = st.lists(st.sampled_from([*RARITY, "east", "air"]), max_size=40).map(" ".join)


def slow(question: str, title: str, body: str) -> Overlap:
    asked, head, rest = question.split(), title.split(), body.split()
    telling = {word for word in asked if word not in STOP_WORDS} or set(asked)
    pairs = {(a, b) for a, b in pairwise(asked) if {a, b} & telling}
    have = {pair for text in (head, rest) for pair in pairwise(text)}

    def mass(words: set[str]) -> float:
        return sum(RARITY[word] for word in words)

    total = mass(telling) or 1.0
    near = max((mass(telling & set(rest[i : i + NEAR_WORDS])) for i in range(len(rest))), default=0.0)
    total_of_pairs = sum(mass({a}) + mass({b}) for a, b in pairs) or 1.0
    return Overlap(
        share=mass(telling & {*head, *rest}) / total,
        near=near / total,
        pairs=sum(mass({a}) + mass({b}) for a, b in pairs & have) / total_of_pairs,
    )


@given(st.lists(st.sampled_from([*RARITY]), max_size=8).map(" ".join), texts, texts)
@example("the of", "the", "of the of the")
@example("canal canal", "", "canal canal")
@example("ship", "ship", "")
def test_overlaps_are_those_of_a_slow_oracle(question: str, title: str, body: str) -> None:
    found = QuestionWords(question, RARITY.__getitem__).overlap(title, body)
    wanted = slow(question, title, body)
    assert (found.share, found.near, found.pairs) == pytest.approx((wanted.share, wanted.near, wanted.pairs))


def test_known_overlaps() -> None:
    words = QuestionWords("Who raided the canal of Idlib?", RARITY.__getitem__)
    gap = " east" * (NEAR_WORDS - 1)
    found = words.overlap("Idlib's ships", f"The raid{gap} of the canals")
    # share: all of raid 3, canal 1, idlib 4; near: raid and canal stand too far apart
    assert (found.share, found.near) == pytest.approx((1.0, 3 / 8))
    # who raid 3.4, raid the 3.1, the canal 1.1, canal of 1.2, of idlib 4.2: only "the canal" is here
    assert found.pairs == pytest.approx(1.1 / 13.0)
    assert found.score == pytest.approx(0.4 + 0.3 * 3 / 8 + 0.3 * 1.1 / 13)


@pytest.mark.parametrize(("n_between", "near"), [(NEAR_WORDS - 2, 1.0), (NEAR_WORDS - 1, 0.75)])
def test_near_is_within_sixteen_words(n_between: int, near: float) -> None:
    words = QuestionWords("raid canal", RARITY.__getitem__)
    assert words.overlap("", f"raid{' east' * n_between} canal").near == near
    assert words.overlap("canal", "raid").near == 0.75, "a title stands near nothing"


@given(difficult_texts(12), difficult_texts(3))
@example("", "")
@example("?!", "x")
def test_any_text_has_shares_and_itself_most(question: str, title: str) -> None:
    words = QuestionWords(question, lambda _: 2.0)
    for found in (words.overlap(title, question), words.overlap(question, title)):
        assert all(0 <= share <= 1 + 1e-9 for share in (found.share, found.near, found.pairs, found.score))
        assert found.share == pytest.approx(1.0 if words_of(question) else 0.0)


def test_a_question_is_its_own_best_passage() -> None:
    question = "Which ship blocked the Suez Canal on Tuesday?"
    words = QuestionWords(question, lambda word: float(len(word)))
    assert words.overlap("", question).score == pytest.approx(1.0)
    assert words.overlap("", question.upper()).score == pytest.approx(1.0)
    assert words.overlap("", "Tuesday on Canal Suez the blocked ship which").score < 0.75
    assert words.overlap("", "Bread rose.").score == 0.0
