"""Forest plot: every success rate with its interval, one row per test and a mean below each axis."""

from typing import Any

import numpy as np

from rlvla_core.evaluation.study.estimates import Estimate, axis_weights, estimate
from rlvla_core.evaluation.study.figure_style import legend_above, looks, new_figure, png, tidy
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import IN_DISTRIBUTION


def forest_plot(study: StudyResults, temperature: float) -> bytes | None:
    """PNG of the forest plot at one temperature; None if nothing has been measured at it.

    A marker with a bar is the mean over training seeds with its 95 % interval over episodes; vertical strokes are the
    single training seeds. Missing results have no marker.
    """
    rows: list[tuple[str, dict[str, float], bool]] = []
    for name in (IN_DISTRIBUTION, *study.plan.axes):
        tests = study.plan.tests_of(name)
        rows += [(test.title, {test.name: 1.0}, False) for test in tests]
        if len(tests) > 1:
            rows.append((f"{name}, mean of {len(tests)}", axis_weights(study.plan, name), True))
    methods = study.plan.methods
    cells = {(row, m): estimate(study, m, rows[row][1], temperature) for row in range(len(rows)) for m in methods}
    if not any(cells.values()):
        return None
    figure = new_figure(1.2 + len(rows) * (0.14 + 0.09 * len(methods)))
    axis = figure.add_subplot()
    offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
    for (method, look), offset in zip(looks(methods).items(), offsets, strict=True):
        axis.plot([], [], color=look.colour, marker=look.marker, linestyle="none", label=method)
        for row in range(len(rows)):
            if (cell := cells[row, method]) is not None:
                _draw(axis, cell, row + offset, look.colour, look.marker)
    for row, (_, _, is_mean) in enumerate(rows):
        if is_mean:
            axis.axhspan(row - 0.5, row + 0.5, color="#f0f2f4", zorder=0)
    axis.set_yticks(range(len(rows)), [title for title, _, _ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.set_xlabel("success at the last step [% of episodes]; bars: 95 % interval over episodes", fontsize=9)
    tidy(axis, "x")
    legend_above(figure, axis)
    return png(figure)


def _draw(axis: Any, cell: Estimate, y: float, colour: str, marker: str) -> None:
    axis.plot([100 * cell.low, 100 * cell.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    axis.plot(100 * cell.rate, y, color=colour, marker=marker, markersize=5)
    if len(cell.seed_rates) > 1:
        rates = [100 * rate for rate in cell.seed_rates.values()]
        axis.plot(rates, [y] * len(rates), color=colour, marker="|", markersize=9, linestyle="none")
