"""How the figures of a report look: colours and markers that colour-blind readers can tell apart, PNG as bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# M. Okabe, K. Ito, Color Universal Design, 2008; the dark ones first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", "-.", ":")

WIDTH = 9.0
"""Inches; with DPI, text of 8 points is 11 pixels high where the image is shown 900 pixels wide."""
DPI = 150


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Of one method, the same in every figure."""

    colour: str
    marker: str
    dashes: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """One look a method, by its place."""
    return {
        method: Look(
            colour=_COLOURS[i % len(_COLOURS)],
            marker=_MARKERS[i % len(_MARKERS)],
            dashes=_DASHES[i % len(_DASHES)],
        )
        for i, method in enumerate(methods)
    }


def new_figure(height: float) -> Figure:
    """An empty figure of WIDTH x height inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axis: Any, grid: str = "both") -> None:
    """Pale grid below the data, no frame above and at the right, small numbers."""
    axis.grid(axis=grid, color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def legend_above(figure: Figure, axis: Any) -> None:
    """One legend for the whole figure, in its head, for what `axis` shows."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(5, len(labels)), fontsize=9, frameon=False)


def png(figure: Figure) -> bytes:
    """The image, without date and version: equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
