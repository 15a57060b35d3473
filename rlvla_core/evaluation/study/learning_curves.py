"""Figure of the learning curves of all policies: success and loss against environment steps, updates and minutes."""

from collections.abc import Sequence

from matplotlib.ticker import EngFormatter

from rlvla_core.evaluation.study.curves import Curve
from rlvla_core.evaluation.study.figure_style import legend_above, looks, new_figure, png, tidy
from rlvla_core.runs.plots import running_mean

_SUCCESS = ("success_at_end", "success at the last step\nof training episodes [%]", 100.0)
_LOSS = ("loss", "training loss [nats]", 1.0)
_PANELS = (
    (("env_steps", "environment steps"), _SUCCESS),
    (("minutes", "wall time [minutes]"), _SUCCESS),
    (("iteration", "updates"), _LOSS),
    (("minutes", "wall time [minutes]"), _LOSS),
)


def learning_curves(curves: Sequence[Curve], methods: Sequence[str]) -> bytes | None:
    """PNG of the panels that have data; None if no panel has. A method has one colour, each training seed is a line.

    methods: all methods of the study, which give the colours. Pale lines are the values of the journal, strong lines
    their running mean over a tenth of the run.
    """
    panels = [(x, y) for x, y in _PANELS if any(len(curve.points(x[0], y[0])[0]) for curve in curves)]
    if not panels:
        return None
    rows = -(-len(panels) // 2)
    figure = new_figure(0.6 + 3.0 * rows)
    cells = figure.subplots(rows, 2, squeeze=False).ravel()
    styles = looks(methods)
    shown = dict.fromkeys(
        curve.policy.method for curve in curves if any(len(curve.points(x[0], y[0])[0]) for x, y in panels)
    )
    for method in shown:
        cells[0].plot([], [], color=styles[method].colour, linestyle=styles[method].dashes, label=method)
    for axis, ((x_key, x_label), (y_key, y_label, scale)) in zip(cells, panels, strict=False):
        for curve in curves:
            x, y = curve.points(x_key, y_key)
            look = styles[curve.policy.method]
            if len(x):
                smooth = running_mean(scale * y, 2 * (len(y) // 20) + 1)
                axis.plot(x, scale * y, color=look.colour, alpha=0.2, linewidth=0.7)
                axis.plot(x, smooth, color=look.colour, linestyle=look.dashes, linewidth=1.5)
        axis.set_xlabel(x_label, fontsize=9)
        axis.set_ylabel(y_label, fontsize=9)
        axis.set_ylim(0, 100 if y_key.startswith("success") else None)
        axis.set_xlim(0, None)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        tidy(axis)
    for axis in cells[len(panels) :]:
        axis.set_visible(False)
    legend_above(figure, cells[0])
    return png(figure)
