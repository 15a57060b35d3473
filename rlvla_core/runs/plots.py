"""The learning curves of a run as one PNG image, drawn from its journal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.journal import flat_scalars

_COLOURS = ("#1f6f8b", "#d1603d", "#5b8c5a", "#7a5c99")


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One chart of the image: some scalars of the journal over a common x axis."""

    title: str
    """Title of the chart."""
    keys: tuple[str, ...]
    """Names of scalars in the journal (nested names joined by `/`); those that no record has are left out."""
    limits: tuple[float | None, float | None] = (None, None)
    """Lower and upper end of the y axis; None: from the data."""
    stacked: bool = False
    """Draw the scalars as fractions of their sum, in stacked areas."""


PPO_PANELS = (
    Panel(title="success in training episodes", keys=("success_at_end", "success_once"), limits=(0, 1)),
    Panel(title="return", keys=("return",)),
    Panel(title="approximate KL", keys=("kl",), limits=(0, None)),
    Panel(title="clip fraction", keys=("clip_fraction",), limits=(0, None)),
    Panel(title="explained variance", keys=("explained_variance",), limits=(None, 1)),
    Panel(title="entropy of a token [nats]", keys=("entropy",), limits=(0, None)),
    Panel(title="gradient norm", keys=("gradient_norm",), limits=(0, None)),
    Panel(
        title="fraction of time",
        keys=("seconds/world", "seconds/policy", "seconds/update"),
        stacked=True,
        limits=(0, 1),
    ),
)
SFT_PANELS = (
    Panel(title="loss", keys=("loss", "holdout_loss"), limits=(0, None)),
    Panel(title="token accuracy", keys=("accuracy", "holdout_accuracy"), limits=(0, 1)),
    Panel(title="localisation loss (auxiliary)", keys=("localisation_loss",), limits=(0, None)),
    Panel(title="gradient norm", keys=("gradient_norm",), limits=(0, None)),
)


def plot_learning_curves(
    records: Sequence[dict[str, Any]],
    path: Path,
    *,
    title: str,
    panels: Sequence[Panel] = PPO_PANELS,
    x_keys: Sequence[tuple[str, str]] = (("env_steps", "environment steps"), ("minutes", "wall minutes")),
) -> Path:
    """Draw every panel against each x key into the PNG `path`, and return `path`.

    records: from `Journal.read()`. Curves are drawn raw in a pale line, and as a running mean over a tenth of the run.
    x_keys: (scalar, axis label) of each x axis; `minutes` is made from `seconds/total` (see `with_minutes`).

    Panels and x keys without data are left out. Raises RlvlaError when no record has any of the keys.
    """
    scalars = with_minutes([flat_scalars(record) for record in records])
    panels = [panel for panel in panels if any(_points(scalars, x, key) for x, _ in x_keys for key in panel.keys)]
    x_keys = [(x, label) for x, label in x_keys if any(_points(scalars, x, key) for p in panels for key in p.keys)]
    if not panels:
        names = ", ".join(x for x, _ in x_keys) or "x keys"
        raise RlvlaError(f"nothing to plot for `{title}`: no record of the journal has the curves' keys ({names})")
    columns = min(4, len(panels))
    rows_per_x = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.5 * rows_per_x * len(x_keys) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    axes = figure.subplots(rows_per_x * len(x_keys), columns, squeeze=False)
    for row, (x_key, x_label) in enumerate(x_keys):
        cells = axes[row * rows_per_x : (row + 1) * rows_per_x].ravel()
        for axis in cells[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(cells, panels, strict=False):
            _draw(axis, panel, scalars, x_key)
            axis.set_xlabel(x_label, fontsize=8)
            axis.xaxis.set_major_locator(MaxNLocator(5))
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def with_minutes(scalars: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """The records, with `minutes` (the sum of `seconds/total` so far) added to each that has `seconds/total`.

    It is a sum over the records, so the pause between a kill and the resumed run does not count.
    """
    result, minutes = [], 0.0
    for record in scalars:
        if "seconds/total" in record:
            minutes += record["seconds/total"] / 60
            record = {**record, "minutes": minutes}
        result.append(record)
    return result


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean of `values` (float [n]) over `window` (odd) neighbours, over fewer at the ends: float [n]."""
    half = window // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _points(scalars: Sequence[dict[str, float]], x_key: str, key: str) -> list[tuple[float, float]]:
    return [(record[x_key], record[key]) for record in scalars if x_key in record and key in record]


def _draw(axis: Any, panel: Panel, scalars: Sequence[dict[str, float]], x_key: str) -> None:
    axis.set_title(panel.title, fontsize=9)
    axis.tick_params(labelsize=7)
    axis.grid(color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    keys = [key for key in panel.keys if _points(scalars, x_key, key)]
    if panel.stacked:
        # Only records that have the x and at least one of the keys; a key that is missing took no time.
        rows = [record for record in scalars if x_key in record and any(key in record for key in keys)]
        parts = np.array([[record.get(key, 0.0) for record in rows] for key in keys])
        total = np.maximum(parts.sum(axis=0), 1e-12)
        x = [record[x_key] for record in rows]
        axis.stackplot(x, parts / total, labels=[key.split("/")[-1] for key in keys], colors=_COLOURS, alpha=0.85)
    for key, colour in zip([] if panel.stacked else keys, _COLOURS, strict=False):
        x_values, y_values = np.array(_points(scalars, x_key, key)).T
        smooth = running_mean(y_values, 2 * (len(y_values) // 20) + 1)
        marker = "o" if len(y_values) == 1 else None
        axis.plot(x_values, y_values, color=colour, alpha=0.3, linewidth=0.8)
        axis.plot(x_values, smooth, color=colour, linewidth=1.6, marker=marker, label=key)
    if len(keys) > 1:
        axis.legend(fontsize=7, frameon=False, loc="best")
    axis.set_ylim(*panel.limits)
