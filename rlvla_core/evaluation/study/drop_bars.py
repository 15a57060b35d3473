"""Bar chart of the generalisation drop: one group of bars per axis, one bar per method."""

from collections.abc import Sequence

import numpy as np

from rlvla_core.evaluation.study.drops import MethodDrops
from rlvla_core.evaluation.study.figure_style import legend_above, looks, new_figure, png, tidy


def drop_bars(drops: Sequence[MethodDrops], methods: Sequence[str], axes: Sequence[str]) -> bytes | None:
    """PNG of the absolute drops in percentage points with 95 % intervals; None without drops.

    methods: all methods of the study, which give the colours. axes: names of the groups in order.
    """
    if not drops:
        return None
    figure = new_figure(4.2)
    axis = figure.add_subplot()
    width = 0.8 / len(drops)
    for i, entry in enumerate(drops):
        look = looks(methods)[entry.method]
        x = np.array([axes.index(drop.axis) for drop in entry.axes]) + (i - (len(drops) - 1) / 2) * width
        heights = 100 * np.array([drop.absolute for drop in entry.axes])
        limits = 100 * np.array([drop.absolute95 for drop in entry.axes])
        axis.bar(x, heights, 0.92 * width, color=look.colour, alpha=0.55, label=entry.method)
        axis.vlines(x, limits[:, 0], limits[:, 1], color=look.colour, linewidth=1.8)
        axis.plot(x, heights, linestyle="none", marker=look.marker, color=look.colour, markersize=5)
    axis.axhline(0, color="#1d2329", linewidth=0.8)
    axis.set_xticks(range(len(axes)), list(axes))
    axis.set_ylabel("success, axis minus in distribution\n[percentage points]", fontsize=9)
    axis.set_xlabel("axis of shifts (mean of its tests); lines: 95 % bootstrap over episodes", fontsize=9)
    tidy(axis, "y")
    axis.tick_params(axis="x", labelsize=9)
    legend_above(figure, axis)
    return png(figure)
