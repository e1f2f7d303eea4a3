import numpy as np
import pytest

from eval.figures import Figure, answer_figures, latency_figure, loss_figure, retrieval_figure
from eval.losses import READER_MISSED, RETRIEVAL_MISSED, WRONGLY_ANSWERED, WRONGLY_REFUSED
from eval.outcomes import outcomes
from eval.run_folder import PredictedQuestion
from tests.eval.made_report import ALL, NO_CANDIDATE, NOT_FOUND, RIGHT, asked


def findings(predicted: list[PredictedQuestion], min_confidence: float = 0.5) -> list[str]:
    return [figure.finding for figure in answer_figures(predicted, outcomes(predicted, min_confidence))]


def test_the_loss_is_led_by_its_largest_cause() -> None:
    losses = {RETRIEVAL_MISSED: 0.05, READER_MISSED: 0.1, WRONGLY_REFUSED: 0.0, WRONGLY_ANSWERED: 0.25}
    figure = loss_figure(losses)
    assert figure.finding == (
        "Most is lost where the archive holds no answer and one was given: 25.0 of 40.0 points of F1."
    )
    assert "60.0" in figure.svg  # the F1 that is left
    assert loss_figure(dict.fromkeys(losses, 0.0)).finding == "Nothing was lost."


def test_what_is_found_among_the_first_k() -> None:
    second = asked("second", ["Lima"], gold_in=["lima"])  # read after "suez"
    never = asked("never", ["Ankara"], gold_in=["idlib"], read=["suez"])  # fewer were read: it stays unfound
    figure = retrieval_figure([RIGHT, second, never, asked("unanswerable")])
    assert figure is not None
    assert (
        figure.finding == "A gold passage comes first for 33.3 % of the questions, and is among the first 2 for 66.7 %."
    )
    assert "answer recall@k: a gold text, 33.3 % at 1, 66.7 % at 2" in figure.svg


def test_where_gold_passages_are_unknown_the_gold_text_is_looked_for() -> None:
    figure = retrieval_figure([asked("one", ["Cairo"]), asked("two", ["Quito"])])
    assert figure is not None
    assert (
        figure.finding == "A gold text comes first for 50.0 % of the questions, and is among the first 2 for 100.0 %."
    )
    assert "success@k" not in figure.svg
    assert retrieval_figure([asked("unanswerable")]) is None
    assert retrieval_figure([asked("nothing-read", ["Cairo"], read=[])]) is None


def test_latency_is_told_by_its_median_and_its_tail() -> None:
    total = np.arange(1.0, 101.0) * 20
    figure = latency_figure({"read_ms": total, "total_ms": total})
    assert figure.finding == "Half of the questions take up to 1,010 ms, 99 % up to 1,980 ms."


def test_risk_and_confidence_are_told_in_numbers() -> None:
    # Confidences 0.9 (right), 0.55 (wrong), and one question without a candidate.
    risk, calibration, *_ = findings([RIGHT, NOT_FOUND, NO_CANDIDATE])
    assert risk == "Of the surest half of the answers, 50.0 % are wrong; of all, 66.7 %."
    # |1 - 0.9|, |0 - 0.55| and 0 in three bins; on balance (0.9 + 0.55 - 1) / 3.
    assert calibration == "The confidence is off by 21.7 points (ECE), on balance too sure by 15.0."
    assert "too modest by 10.0" in findings([RIGHT])[1]


@pytest.mark.parametrize("predicted", [[NO_CANDIDATE], [asked("silent")], [RIGHT], ALL])
@pytest.mark.parametrize("min_confidence", [0.0, 1.0])
def test_every_run_can_be_drawn(predicted: list[PredictedQuestion], min_confidence: float) -> None:
    figures = answer_figures(predicted, outcomes(predicted, min_confidence))
    assert len(figures) == 4
    for figure in figures:
        assert isinstance(figure, Figure)
        assert "nan" not in figure.finding
        assert "nan" not in figure.svg


def test_only_groups_that_are_large_enough_are_called_best_or_worst() -> None:
    who = [asked(f"who-{i}", ["Suez"], ("Suez", "suez", 0.9), gold_in=["suez"], question="Who?") for i in range(30)]
    why = [asked(f"why-{i}", ["Cairo"], ("Suez", "suez", 0.9), gold_in=["suez"], question="Why?") for i in range(30)]
    when = [asked("when", ["Cairo"], ("Suez", "suez", 0.9), gold_in=["suez"], question="When?")]
    assert findings(who + why + when)[2] == "F1 by question word: best for “who” (100.0), worst for “why” (0.0)."
    assert findings(who + why[:29])[2] == "F1 by question word."
    figure = answer_figures(who + when, outcomes(who + when, 0.5))[2]
    assert "who 100.0 (n = 30); when 0.0 (n = 1)" in figure.svg


def test_groups_by_length_of_the_answer_are_named_in_words() -> None:
    svg = answer_figures(ALL, outcomes(ALL, 0.5))[3].svg
    # 33, Cairo, Ankara, Sunday, Quito; Suez Canal; 23 March 2021; two without an answer.
    assert "1 word 10.0 (n = 5); 2 words 100.0 (n = 1); 3–4 words 0.0 (n = 1); no answer 50.0 (n = 2)" in svg
