from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from eval.outcomes import outcomes
from eval.run_folder import PassageInText, PassageRef, PredictedQuestion
from eval.wrong_answers import MarkedPassage, WrongAnswer, marked, shown_passages, wrong_answers
from tests.eval.made_report import (
    ALL,
    INVENTED,
    NO_CANDIDATE,
    NOT_FOUND,
    OTHER_PASSAGE,
    OTHER_SPAN,
    PARTLY,
    PASSAGES,
    PLACES,
    REFUSED,
    TEXTS,
    asked,
)


def listed(*predicted: PredictedQuestion, min_confidence: float = 0.5) -> list[WrongAnswer]:
    return wrong_answers(predicted, outcomes(predicted, min_confidence), PASSAGES, min_confidence)


def in_marks(passage: MarkedPassage) -> str:
    """The text with given spans in [] and gold ones in <>."""
    texts = []
    for fragment in passage.fragments:
        text = f"[{fragment.text}]" if fragment.given else fragment.text
        texts.append(f"<{text}>" if fragment.gold else text)
    return "".join(texts)


def test_wrong_answers_come_most_confident_first_with_their_causes() -> None:
    assert [(w.question_id, w.confidence, w.given, w.f1, w.cause, w.why) for w in listed(*ALL)] == [
        ("invented", 0.95, "Ever Given", 0.0, "wrongly answered", "the archive holds no answer"),
        ("partly", 0.8, "At least 33", 0.5, "reader missed", "another span of a gold passage"),
        ("other-span", 0.71, "Ever Given", 0.0, "reader missed", "another span of a gold passage"),
        ("other-passage", 0.6, "Quito", 0.0, "reader missed", "a span of another passage"),
        ("not-found", 0.55, "Cairo", 0.0, "retrieval missed", "no gold passage was read"),
        ("refused", 0.12, "", 0.0, "wrongly refused", "the best candidate was better than no answer"),
        ("no-candidate", 0.0, "", 0.0, "reader missed", "no candidate"),
    ]
    [refused] = listed(REFUSED)
    assert (refused.best, refused.golds) == ("Sunday", ("Sunday",))


def test_equally_confident_ones_are_in_the_order_of_their_ids() -> None:
    ids = [w.question_id for w in listed(*(asked(name, ["Cairo"], gold_in=["suez"]) for name in "cab"))]
    assert ids == ["a", "b", "c"]


def test_the_quoted_passage_is_shown_with_the_given_span_and_then_the_gold_one() -> None:
    [wrong] = listed(OTHER_PASSAGE)
    quoted, gold = wrong.passages
    assert (quoted.passage.place, quoted.rank, quoted.is_gold) == (PLACES["lima"], 2, False)
    # "Cairo" stands here too, but this is no gold passage: nothing in it answers the question.
    assert in_marks(quoted) == TEXTS["lima"].replace("Quito", "[Quito]")
    assert (gold.passage.place, gold.rank, gold.is_gold) == (PLACES["suez"], 1, True)
    assert in_marks(gold) == TEXTS["suez"].replace("Cairo", "<Cairo>")


def test_one_passage_is_enough_where_it_is_quoted_and_gold() -> None:
    [wrong] = listed(OTHER_SPAN)
    [shown] = wrong.passages
    assert shown.is_gold
    assert in_marks(shown) == TEXTS["suez"].replace("Ever Given", "[Ever Given]").replace(
        "23 March 2021", "<23 March 2021>"
    )


def test_spans_that_overlap_are_marked_as_both_where_they_do() -> None:
    [wrong] = listed(PARTLY)
    [shown] = wrong.passages
    assert in_marks(shown) == "[At least ]<[33]> soldiers died near Idlib. Ankara spoke of <33>, Damascus of none."


def test_a_gold_passage_that_was_not_read_is_shown_all_the_same() -> None:
    [wrong] = listed(NOT_FOUND)
    assert [(shown.passage.place.article_id, shown.rank) for shown in wrong.passages] == [("suez", 1), ("idlib", None)]


def test_without_a_candidate_the_gold_passage_is_shown_alone() -> None:
    [wrong] = listed(NO_CANDIDATE)
    assert [in_marks(shown) for shown in wrong.passages] == [TEXTS["lima"].replace("Quito", "<Quito>")]


def test_an_unanswerable_question_has_no_gold_to_mark() -> None:
    [wrong] = listed(INVENTED)
    assert [in_marks(shown) for shown in wrong.passages] == [TEXTS["suez"].replace("Ever Given", "[Ever Given]")]


def test_where_gold_articles_are_unknown_a_passage_with_a_gold_text_is_shown_as_gold() -> None:
    [wrong] = listed(asked("open", ["Ankara"], ("Quito", "lima", 0.9), read=["lima", "idlib"]))
    assert [(shown.passage.place.article_id, shown.is_gold) for shown in wrong.passages] == [
        ("lima", False),
        ("idlib", True),
    ]
    [unfound] = listed(asked("unfound", ["Ankara"], ("Quito", "lima", 0.9)))
    assert unfound.why == "no passage read holds a gold text"


def test_golds_are_marked_as_whole_words_and_taken_literally() -> None:
    place = PassageRef("sums", 0, 27)
    text = "33 of 133, 3.3 (net) and 303"
    question = asked("sums", ["33", "3.3 (net)", ""], gold_in=["suez"], read=[])
    question = PredictedQuestion(
        question=question.question,
        candidates=(),
        no_answer_probability=0.0,
        passages=(),
        gold_grades=(1,),
        gold_passages=(place,),
        citation_valid=None,
    )
    [shown] = shown_passages(question, {place: PassageInText(place=place, title="", text=text)})
    assert in_marks(shown) == "<33> of 133, <3.3 (net)> and 303"


def test_the_span_is_counted_from_the_start_of_the_passage() -> None:
    whole = asked("later", ["23 March 2021"], ("Cairo", "suez", 0.9), gold_in=["suez"])
    start = TEXTS["suez"].index("The Ever Given")
    place = PassageRef("suez", start, len(TEXTS["suez"]))
    passages = {place: PassageInText(place=place, title="", text=TEXTS["suez"][start:])}
    ranked = whole.passages[0]
    second_half = PredictedQuestion(
        question=whole.question,
        candidates=whole.candidates,
        no_answer_probability=0.0,
        passages=(type(ranked)(place=place, retrieval_score=1.0, grade=0, holds_answer=False),),
        gold_grades=(1,),
        gold_passages=(PLACES["suez"],),
        citation_valid=True,
    )
    [shown] = shown_passages(second_half, passages)  # the words of the gold passage are not at hand
    assert in_marks(shown) == "The Ever Given had run aground; [Cairo] sent tugs."


pairs = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted).map(tuple)
spans = st.lists(pairs.filter(lambda span: span[0] < span[1]), max_size=4)


@given(st.text(min_size=12, max_size=12), spans, spans)
def test_marks_are_those_of_every_character_and_no_character_is_lost(
    text: str, given_spans: list[tuple[int, int]], gold_spans: list[tuple[int, int]]
) -> None:
    fragments = marked(text, given_spans, gold_spans)
    assert "".join(fragment.text for fragment in fragments) == text
    flags = [(fragment.given, fragment.gold) for fragment in fragments for _ in fragment.text]
    assert flags == [
        (any(a <= i < b for a, b in given_spans), any(a <= i < b for a, b in gold_spans)) for i in range(len(text))
    ]
    assert all(fragment.text for fragment in fragments)
    assert all((a.given, a.gold) != (b.given, b.gold) for a, b in pairwise(fragments))
