"""A small archive, and questions asked of it, for the tests of what a report is made of."""

from collections.abc import Sequence

from eval.questions import Question
from eval.run_folder import PassageInText, PassageRef, PredictedCandidate, PredictedQuestion, RankedPassage

TEXTS = {
    "suez": "The Suez Canal was closed on 23 March 2021. The Ever Given had run aground; Cairo sent tugs.",
    "lima": "Lima went to the polls on Sunday. Quito did so a week before, Cairo never.",
    "idlib": "At least 33 soldiers died near Idlib. Ankara spoke of 33, Damascus of none.",
}
PLACES = {article_id: PassageRef(article_id, 0, len(text)) for article_id, text in TEXTS.items()}
PASSAGES = {
    place: PassageInText(place=place, title=f"News from {article_id}", text=TEXTS[article_id])
    for article_id, place in PLACES.items()
}


def asked(
    question_id: str,
    golds: Sequence[str] = (),
    best: tuple[str, str, float] | None = None,
    *,
    gold_in: Sequence[str] = (),
    read: Sequence[str] = ("suez", "lima"),
    question: str = "",
    article_ids: Sequence[str] | None = None,
    question_type: str = "",
) -> PredictedQuestion:
    """A question with golds that stand in the articles `gold_in`; `best` is a text, its article and its confidence."""
    candidates = []
    if best is not None:
        text, article_id, confidence = best
        start = TEXTS[article_id].index(text)
        candidates = [
            PredictedCandidate(
                text=text, confidence=confidence, article_id=article_id, start=start, end=start + len(text),
                margin=1.0, log_probability=-1.0, retrieval_score=0.5,
            )
        ]  # fmt: skip
    passages = [
        RankedPassage(
            place=PLACES[article_id],
            retrieval_score=0.9,
            grade=int(article_id in gold_in),
            holds_answer=any(gold in TEXTS[article_id] for gold in golds),
        )
        for article_id in read
    ]
    return PredictedQuestion(
        question=Question(
            question_id=question_id,
            question=question or f"What of {question_id}?",
            answers=tuple(golds),
            article_ids=tuple(gold_in if article_ids is None else article_ids),
            type=question_type,
        ),
        candidates=tuple(candidates),
        no_answer_probability=0.1,
        passages=tuple(passages),
        gold_grades=(1,) * len(gold_in),
        gold_passages=tuple(PLACES[article_id] for article_id in gold_in),
        citation_valid=True if candidates else None,
    )


RIGHT = asked("right", ["Suez Canal"], ("Suez Canal", "suez", 0.9), gold_in=["suez"])
PARTLY = asked("partly", ["33"], ("At least 33", "idlib", 0.8), gold_in=["idlib"], read=["idlib"])
OTHER_SPAN = asked("other-span", ["23 March 2021"], ("Ever Given", "suez", 0.71), gold_in=["suez"])
OTHER_PASSAGE = asked("other-passage", ["Cairo"], ("Quito", "lima", 0.6), gold_in=["suez"])
NOT_FOUND = asked("not-found", ["Ankara"], ("Cairo", "suez", 0.55), gold_in=["idlib"])
REFUSED = asked("refused", ["Sunday"], ("Sunday", "lima", 0.12), gold_in=["lima"])
NO_CANDIDATE = asked("no-candidate", ["Quito"], gold_in=["lima"])
INVENTED = asked("invented", [], ("Ever Given", "suez", 0.95))
SILENT = asked("silent", [], ("Lima", "lima", 0.1))
ALL = [RIGHT, PARTLY, OTHER_SPAN, OTHER_PASSAGE, NOT_FOUND, REFUSED, NO_CANDIDATE, INVENTED, SILENT]
