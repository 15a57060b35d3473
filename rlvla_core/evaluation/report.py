"""Evaluation results as text: every rate with its n and interval, and two policies compared episode by episode.

A percentage is never printed alone: 60 % of 10 episodes and 60 % of 1000 are different findings.
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
"""With fewer episodes, a 95 % interval is wider than 20 points over most of its range; reports then warn."""

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
    """One of METRICS."""
    n: int
    """Number of episodes."""
    before: int
    """Number of successes of the first policy."""
    after: int
    """Number of successes of the second policy."""
    only_before: int
    """Number of episodes in which only the first policy succeeds."""
    only_after: int
    """Number of episodes in which only the second policy succeeds."""
    difference: float
    """Rate of the second policy minus rate of the first, -1 .. 1."""
    low: float
    """Lower limit of the 95 % interval of the difference."""
    high: float
    """Upper limit of the 95 % interval of the difference."""
    p_value: float
    """Two-sided p-value of the exact McNemar test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Comparison of two policies on one list of episodes."""

    before: EvaluationResult
    """Result of the first policy."""
    after: EvaluationResult
    """Result of the second policy."""
    names: tuple[str, str]
    """Names of the two policies."""
    metrics: tuple[MetricComparison, ...]
    """One comparison for each metric that both results have."""

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values: counts, rates and differences with intervals, p-values; no single episodes."""
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
        """The comparison as a Markdown table, with the episode list and the statistical methods below it."""
        header = ["metric", *self.names, "difference [95 %]", "only one succeeds", "McNemar p"]
        lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
        lines += [f"| {' | '.join(cells)} |" for cells in self._cells()]
        return "\n".join([*lines, "", self.footnote(), ""])

    def to_table(self) -> Table:
        """The comparison as a table for the terminal."""
        table = _table(f"{self.footnote()}\n`only one` counts episodes in which just one of the two succeeds.")
        for heading in ("", *self.names, "difference", "only one", "p"):
            table.add_column(heading)
        for metric, *cells in self._cells():
            table.add_row(metric.replace(" ", "\n", 1), *map(_two_lines, cells))
        return table

    def footnote(self) -> str:
        """Sentence below the table: the episodes that were run and how the intervals were computed."""
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
    """Compare two results of one list episode by episode; `names` are those of the policies.

    Raises RlvlaError if the results are of different episode lists or temperatures.
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
    """Terminal table with one column per policy: success and grasp rates with n and interval, return, steps."""
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
    """The metrics of one result as a Markdown table, one row each."""
    lines = ["| metric | " + name + " |", "| --- | --- |"]
    lines += [f"| {_NAMES[metric]} | {_rate_cell(result, metric)} |" for metric in result.metrics()]
    lines.append(f"| return, mean of n={result.n} | {result.returns.mean():.3f} |")
    return "\n".join([*lines, "", _caption(result), ""])


def format_rate(successes: int, n: int) -> str:
    """A rate as text with its 95 % Wilson interval: `41/64 = 64.1 % [51.8, 74.7]`."""
    low, high = wilson(successes, n)
    return f"{successes}/{n} = {100 * successes / n:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def format_difference(difference: float, low: float, high: float) -> str:
    """A difference of rates (fractions) as text: `+12.5 points [+1.2, +23.0]`."""
    return f"{100 * difference:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def format_p(p_value: float) -> str:
    """A p-value as text with two significant digits, `< 1e-4` for smaller ones."""
    return "< 1e-4" if p_value < 1e-4 else f"{p_value:.2g}"


def format_acting(temperature: float) -> str:
    """How actions are chosen at a temperature: `greedy`, or `sampled at T = 0.6`."""
    return "greedy" if temperature == 0 else f"sampled at T = {temperature:g}"


def describe_run(result: EvaluationResult) -> str:
    """Episode list and sampling of a result: `train x 128 (sha256 0a1b2c3d), greedy`."""
    noise = f", seed {result.seed}" if result.temperature else ""
    return f"{result.episodes.describe()}, {format_acting(result.temperature)}{noise}"


def few_episodes_note(n: int) -> str:
    """A warning sentence where n is below FEW_EPISODES, else an empty text."""
    return f" Only n={n}: a difference of 20 points may be noise." if n < FEW_EPISODES else ""


def _table(caption: str) -> Table:
    return Table(caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _two_lines(cell: str) -> str:
    """Puts the interval on a line below its estimate, so that the table fits a terminal of 80 columns."""
    return cell.replace(" [", "\n[")


def _caption(result: EvaluationResult) -> str:
    return f"{describe_run(result)}; intervals: Wilson 95 %." + few_episodes_note(result.n)


def _rate_cell(result: EvaluationResult, metric: str) -> str:
    if metric not in result.metrics():
        return "not reported"
    return format_rate(int(np.sum(result.outcomes(metric))), result.n)
