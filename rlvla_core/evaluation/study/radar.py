"""Radar plot: the success rate of every method in every test, one spoke per test."""

import textwrap
from typing import Any

import numpy as np

from rlvla_core.evaluation.study.estimates import estimate
from rlvla_core.evaluation.study.figure_style import legend_above, looks, new_figure, png
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import AXES


def radar_plot(study: StudyResults, temperature: float) -> bytes | None:
    """PNG of the radar plot at one temperature; None for fewer than three tests or if nothing has been measured.

    Spokes are in the order of the axes; a line has a gap where a test is missing. Intervals are in the forest plot.
    """
    tests = [test for axis in AXES for test in study.plan.tests_of(axis)]
    cells = {
        method: [estimate(study, method, {test.name: 1.0}, temperature) for test in tests]
        for method in study.plan.methods
    }
    if len(tests) < 3 or not any(any(row) for row in cells.values()):
        return None
    figure = new_figure(7.5)
    axis: Any = figure.add_subplot(projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(tests), endpoint=False)
    for method, look in looks(study.plan.methods).items():
        rates = [np.nan if cell is None else 100 * cell.rate for cell in cells[method]]
        closed = ([*angles, angles[0]], [*rates, rates[0]])
        axis.plot(*closed, color=look.colour, linestyle=look.dashes, marker=look.marker, markersize=4, label=method)
        axis.fill(*closed, color=look.colour, alpha=0.06)
    axis.set_theta_zero_location("N")
    axis.set_theta_direction(-1)
    labels = ["\n".join(textwrap.wrap(f"{test.title} ({test.axis[0].upper()})", 18)) for test in tests]
    axis.set_xticks(angles, labels, fontsize=8)
    axis.tick_params(axis="x", pad=8)
    for angle, label in zip(angles, axis.get_xticklabels(), strict=True):
        side = np.sin(angle)
        label.set_horizontalalignment("center" if abs(side) < 0.2 else "left" if side > 0 else "right")
    axis.set_ylim(0, 100)
    axis.set_yticks([25, 50, 75, 100], ["25 %", "50 %", "75 %", "100 %"], fontsize=8)
    axis.grid(color="#d8dce0", linewidth=0.6)
    axis.set_xlabel("distance from the centre: success at the last step [% of episodes]", fontsize=9, labelpad=14)
    legend_above(figure, axis)
    return png(figure)
