import pytest

from eval.datasets import Question
from eval.retrieval_metrics import is_gold, success_at
from index.passages import CharSpan
from index.records import StoredPassage


@pytest.mark.parametrize(
    ("k", "flags", "expected"),
    [
        (1, [True], 1.0),
        (1, [False, True], 0.0),
        (2, [False, True], 1.0),
        (5, [False, True, True], 1.0),
        (5, [False] * 5 + [True], 0.0),
        (6, [False] * 5 + [True], 1.0),
        (10, [], 0.0),
        (10, [False], 0.0),
    ],
)
def test_success_is_any_gold_among_the_first_k(k: int, flags: list[bool], expected: float) -> None:
    assert success_at(k, flags) == expected


def gold(text: str, answers: tuple[str, ...], article_id: str = "idlib") -> bool:
    passage = StoredPassage(key=1, article_id=article_id, title="33", span=CharSpan(5, 5 + len(text)), text=text)
    return is_gold(passage, Question(question_id="q", question="?", answers=answers, article_ids=("idlib", "moscow")))


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("killed 33 soldiers", ("33",)),
        ("33", ("33",)),
        ("killed (33).", ("34", "33")),
        ("cost $3.6 million", ("$3.6 million",)),
        ("in the U.S. army", ("U.S.",)),
        ("Erdoğan's party", ("Erdoğan",)),
        ("what? (sic)", ("what? (sic)",)),  # no pattern: every character stands for itself
    ],
)
def test_a_passage_of_a_gold_article_with_a_gold_text_is_gold(text: str, answers: tuple[str, ...]) -> None:
    assert gold(text, answers)
    assert gold(text, answers, "moscow")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("killed 333 soldiers", ("33",)),
        ("killed 133", ("33",)),
        ("Erdoğans", ("Erdoğan",)),
        ("killed nobody", ("33",)),
        ("in the UxSx army", ("U.S",)),
        ("killed 33", ()),
        ("THE ARMY", ("the army",)),
    ],
)
def test_a_passage_without_the_gold_text_at_word_boundaries_is_not(text: str, answers: tuple[str, ...]) -> None:
    assert not gold(text, answers)


def test_the_text_in_another_article_is_not_gold() -> None:
    assert not gold("killed 33 soldiers", ("33",), "suez")
