"""Figures as SVG that is written into a page: in the page's own type and colours, and the same bytes every time.

Colours are named once here; in the page each becomes a CSS variable, so that charts follow its light and dark dress.
No plotting state is shared and no window system is asked for anything.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

INK, MUTED, RULE = "#1b1f26", "#5c6573", "#d7dce3"
MAIN, SECOND, SOFT = "#0068a8", "#c24e00", "#b9d7ec"
_CSS_NAMES = {INK: "ink", MUTED: "muted", RULE: "rule", MAIN: "main", SECOND: "second", SOFT: "soft"}

WIDTH_INCHES, HEIGHT_INCHES = 3.9, 2.9
"""At 72 units an inch fewer units than a phone is wide, so that type of 9 units is not too small there."""

_FONT = "DejaVu Sans"  # comes with matplotlib and is wide: what fits in it fits in the reader's own font
_STYLE: dict[RcKeyType, Any] = {
    "axes.edgecolor": MUTED, "axes.labelcolor": MUTED, "axes.linewidth": 0.8, "axes.labelsize": 9.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "font.family": _FONT, "font.size": 9.5, "text.color": INK, "hatch.linewidth": 0.8,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "grid.color": RULE, "grid.linewidth": 0.7,
    "text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "quoth",
}  # fmt: skip


class Chart:
    """One pair of axes, drawn inside `with drawing(): ...`."""

    def __init__(self, height_inches: float = HEIGHT_INCHES) -> None:
        self._figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
        self.axes: Axes = self._figure.subplots()

    def svg(self, name: str, description: str) -> str:
        """The `<svg>` element; `name` keeps its ids apart from those of other charts, the description is read aloud."""
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self._figure.savefig(file, format="svg", transparent=True, metadata=nothing)
        return _inline(file.getvalue(), name, description)


@contextmanager
def drawing() -> Iterator[None]:
    """Quoth's style for what is drawn and written inside."""
    with rc_context(_STYLE):
        yield


def _inline(file: str, name: str, description: str) -> str:
    svg = file[file.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The only style it brings speaks of every element of the page, not of its own.
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    opening, rest = svg.split(">", maxsplit=1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    if view_box is None:
        raise ValueError(f"matplotlib wrote an SVG without a viewBox: {opening}")
    rest = rest.replace("xlink:href=", "href=").replace(f"'{_FONT}'", "sans-serif")
    rest = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", rest)
    for colour, variable in _CSS_NAMES.items():
        rest = rest.replace(colour, f"var(--{variable}, {colour})")
    return f'<svg role="img" aria-label="{escape(description)}" {view_box[0]} width="100%">{rest}'
