"""Results in words: every rate with its n and interval, two results of one episode list side by side.

A bare percentage is never printed: 60 % of 10 episodes and 60 % of 1000 are different findings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.evaluate import EvaluationResult
from rlvla_core.evaluation.statistics import mcnemar, paired_counts, paired_difference, wilson

FEW_EPISODES = 75
"""Below this, a 95 % interval is wider than 20 points over most of its range; the report says so."""

_NAMES = {
    "success_at_end": "success at end",
    "success_once": "success once",
    "grasped": "grasped",
    "grasped_firmly": "grasped firmly",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricComparison:
    """One metric of two policies over the same episodes."""

    metric: str
    n: int
    before: int
    """Successes of the first policy."""
    after: int
    """Successes of the second."""
    only_before: int
    """Episodes in which only the first succeeds."""
    only_after: int
    """Episodes in which only the second succeeds."""
    difference: float
    """Rate after minus rate before."""
    low: float
    """95 % interval of the difference."""
    high: float
    p_value: float
    """Exact McNemar, two-sided."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two results of one episode list."""

    before: EvaluationResult
    after: EvaluationResult
    names: tuple[str, str]
    metrics: tuple[MetricComparison, ...]

    def to_json(self) -> dict[str, Any]:
        """Counts, rates with Wilson intervals, differences with theirs, p-values; without the single episodes."""
        rows = {}
        for row in self.metrics:
            rows[row.metric] = {
                "n": row.n,
                "before": {"successes": row.before, "wilson95": list(wilson(row.before, row.n))},
                "after": {"successes": row.after, "wilson95": list(wilson(row.after, row.n))},
                "only_before": row.only_before,
                "only_after": row.only_after,
                "difference": row.difference,
                "difference95": [row.low, row.high],
                "mcnemar_p": row.p_value,
            }
        return {
            "names": list(self.names),
            "n": self.before.n,
            "episode_set": self.before.episodes.episode_set,
            "list_sha256": self.before.episodes.sha256,
            "temperature": self.before.temperature,
            **rows,
            "return_mean": [float(self.before.returns.mean()), float(self.after.returns.mean())],
        }

    def to_markdown(self) -> str:
        """A Markdown table with the list and the methods below it."""
        header = ["metric", *self.names, "difference [95 %]", "only one succeeds", "McNemar p"]
        lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
        lines += [f"| {' | '.join(cells)} |" for cells in self._cells()]
        return "\n".join([*lines, "", self.footnote(), ""])

    def to_table(self) -> Table:
        """The same for a terminal."""
        table = _table(f"{self.footnote()}\n`only one` counts episodes in which just one of the two succeeds.")
        for heading in ("", *self.names, "difference", "only one", "p"):
            table.add_column(heading)
        for metric, *cells in self._cells():
            table.add_row(metric.replace(" ", "\n", 1), *map(_two_lines, cells))
        return table

    def footnote(self) -> str:
        """What was run and how the intervals were made."""
        return (
            f"{describe_run(self.before)}; rates: Wilson 95 %; difference: Newcombe paired, 95 %; exact McNemar test."
            + few_episodes_note(self.before.n)
        )

    def _cells(self) -> list[list[str]]:
        return [
            [
                _NAMES[row.metric],
                format_rate(row.before, row.n),
                format_rate(row.after, row.n),
                format_difference(row.difference, row.low, row.high),
                f"{row.only_before} / {row.only_after}",
                format_p(row.p_value),
            ]
            for row in self.metrics
        ]


def compare(
    before: EvaluationResult, after: EvaluationResult, names: tuple[str, str] = ("before", "after")
) -> Comparison:
    """Pair two results episode by episode.

    Raises RlvlaError when they are of different episode lists or were sampled at different temperatures.
    """
    before.episodes.require_same(after.episodes)
    if before.temperature != after.temperature:
        raise RlvlaError(
            f"the results have temperatures {before.temperature} and {after.temperature}: evaluate both policies alike"
        )
    rows = []
    for metric in before.metrics():
        if metric not in after.metrics():
            continue
        a, b = before.outcomes(metric), after.outcomes(metric)
        _, only_before, only_after, _ = paired_counts(a, b)
        difference, low, high = paired_difference(a, b)
        rows.append(
            MetricComparison(
                metric=metric,
                n=before.n,
                before=int(np.sum(a)),
                after=int(np.sum(b)),
                only_before=only_before,
                only_after=only_after,
                difference=difference,
                low=low,
                high=high,
                p_value=mcnemar(a, b),
            )
        )
    return Comparison(before=before, after=after, names=names, metrics=tuple(rows))


def summary_table(results: Sequence[tuple[str, EvaluationResult]]) -> Table:
    """One column a policy: both success metrics, grasps, return; each rate with n and interval."""
    table = _table("\n".join(dict.fromkeys(_caption(result) for _, result in results)))
    for heading in ("", *(name for name, _ in results)):
        table.add_column(heading)
    for metric, name in _NAMES.items():
        if any(metric in result.metrics() for _, result in results):
            table.add_row(name, *(_rate_cell(result, metric) for _, result in results))
    table.add_row("return", *(f"{result.returns.mean():.3f} (mean of n={result.n})" for _, result in results))
    table.add_row("steps", *(f"{result.lengths.mean():.1f} (mean of n={result.n})" for _, result in results))
    return table


def summary_markdown(name: str, result: EvaluationResult) -> str:
    """The metrics of one result, one a row, as Markdown."""
    lines = ["| metric | " + name + " |", "| --- | --- |"]
    lines += [f"| {_NAMES[metric]} | {_rate_cell(result, metric)} |" for metric in result.metrics()]
    lines.append(f"| return, mean of n={result.n} | {result.returns.mean():.3f} |")
    return "\n".join([*lines, "", _caption(result), ""])


def format_rate(successes: int, n: int) -> str:
    """`41/64 = 64.1 % [51.8, 74.7]` with the 95 % Wilson interval."""
    low, high = wilson(successes, n)
    return f"{successes}/{n} = {100 * successes / n:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def format_difference(difference: float, low: float, high: float) -> str:
    """`+12.5 points [+1.2, +23.0]`."""
    return f"{100 * difference:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def format_p(p_value: float) -> str:
    """Two significant digits; `< 1e-4` below that."""
    return "< 1e-4" if p_value < 1e-4 else f"{p_value:.2g}"


def format_acting(temperature: float) -> str:
    """`greedy`, or `sampled at T = 0.6`."""
    return "greedy" if temperature == 0 else f"sampled at T = {temperature:g}"


def describe_run(result: EvaluationResult) -> str:
    """Episode list and way of acting: `train x 128 (sha256 0a1b2c3d), greedy`."""
    noise = f", seed {result.seed}" if result.temperature else ""
    return f"{result.episodes.describe()}, {format_acting(result.temperature)}{noise}"


def few_episodes_note(n: int) -> str:
    """A warning for small n, else nothing."""
    return f" Only n={n}: a difference of 20 points may be noise." if n < FEW_EPISODES else ""


def _table(caption: str) -> Table:
    return Table(caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _two_lines(cell: str) -> str:
    """The interval below its estimate: a terminal of 80 columns is narrow."""
    return cell.replace(" [", "\n[")


def _caption(result: EvaluationResult) -> str:
    return f"{describe_run(result)}; intervals: Wilson 95 %." + few_episodes_note(result.n)


def _rate_cell(result: EvaluationResult, metric: str) -> str:
    if metric not in result.metrics():
        return "not reported"
    return format_rate(int(np.sum(result.outcomes(metric))), result.n)
