"""Style of the figures of a report: colours and markers that colour-blind readers can tell apart."""

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
"""Width of figures in inches: text of 8 points is 11 pixels high where the figure is shown 900 pixels wide."""
DPI = 150
"""Resolution of figures in pixels per inch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Colour, marker and line of one method; the same in every figure."""

    colour: str
    marker: str
    dashes: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Method -> look, by the position of the method in `methods`."""
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
    """Give a plot a pale grid below the data, no frame at the top and right, and small tick labels."""
    axis.grid(axis=grid, color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def legend_above(figure: Figure, axis: Any) -> None:
    """Put one legend for the content of `axis` above the whole figure."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(5, len(labels)), fontsize=9, frameon=False)


def png(figure: Figure) -> bytes:
    """The figure as PNG without date and version, so that equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
