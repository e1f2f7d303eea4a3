"""A run as one HTML file for people: scores, and every wrong answer. It needs no network."""

from collections.abc import Sequence
from html import escape

from eval.answer_metrics import best_over_golds, f1
from eval.runs import PredictedQuestion
from eval.scores import COLUMNS, Estimate, RunScores

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:84rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}
table{border-collapse:collapse;margin:.5rem 0 2rem;display:block;overflow-x:auto}
th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:right}td{white-space:nowrap}
th:first-child,td:first-child{text-align:left}
small{color:#666;display:block}
li{margin:.6rem 0}.given{background:#fde2e2}.gold{background:#e0f2e0}
"""


def report(name: str, predicted: Sequence[PredictedQuestion], scores: RunScores) -> str:
    """The page, in HTML."""
    tables = "".join(_table(title, groups) for title, groups in _tables(scores))
    wrong = [p for p in predicted if _f1(p, scores.min_confidence) == 0]
    wrong.sort(key=lambda p: -(p.confidences[0] if p.confidences else 0.0))
    items = "".join(_wrong(p, scores.min_confidence) for p in wrong)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Quoth: {escape(name)}</title><style>{_STYLE}</style><h1>{escape(name)}</h1>"
        f"<p>{len(predicted)} questions, answered at confidence ≥ {scores.min_confidence:.3f}."
        f" In %, with 95 % bootstrap intervals.</p>{tables}"
        f"<h2>Wholly wrong, most confident first ({len(wrong)})</h2><ol>{items}</ol></html>\n"
    )


def _tables(scores: RunScores) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    return [
        (title, [(name, [str(group.n), *(_cell(group.values[c]) for c in COLUMNS)]) for name, group in groups.items()])
        for title, groups in scores.groups()
    ]


def _table(title: str, rows: list[tuple[str, list[str]]]) -> str:
    head = "".join(f"<th>{escape(column)}" for column in ("", "n", *COLUMNS))
    body = "".join(f"<tr><td>{escape(name)}" + "".join(f"<td>{cell}" for cell in cells) for name, cells in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}{body}</table>"


def _cell(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.mean:.1f}<small>{value.low:.1f} to {value.high:.1f}</small>"


def _wrong(p: PredictedQuestion, threshold: float) -> str:
    given = p.given(threshold) or "no answer"
    gold = " / ".join(p.question.answers) or "no answer"
    confidence = f"{p.confidences[0]:.2f}" if p.confidences else "–"
    found = "" if not p.question.is_answerable or any(p.passages_gold) else " The gold passage was not retrieved."
    return (
        f"<li>{escape(p.question.question)}<br><span class=given>{escape(given)}</span> instead of"
        f" <span class=gold>{escape(gold)}</span>"
        f"<small>{escape(p.question.question_id)}, confidence {confidence}.{found}</small>"
    )


def _f1(p: PredictedQuestion, threshold: float) -> float:
    return best_over_golds(f1, p.given(threshold), p.question.answers)
