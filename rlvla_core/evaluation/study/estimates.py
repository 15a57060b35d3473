"""Success rates of a method in a test or a group of tests, with two sources of uncertainty kept apart.

The *interval* comes from the finite number of episodes: it says how far the measured rate of these trained policies may
lie from their rate over all episodes. The *seed rates* say how much another training would change the rate. Their
spread is shown beside the interval and never included in it: two or three training seeds are too few for an interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlvla_core.evaluation.statistics import clustered_wilson, combined_interval
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import StudyPlan

HEADLINE = "success_at_end"
"""The metric of all tables and figures that name no other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A success rate: the mean over training seeds of the weighted mean over tests."""

    rate: float
    """The rate, 0 .. 1."""
    low: float
    """Lower limit of the 95 % interval over episodes."""
    high: float
    """Upper limit of the 95 % interval over episodes."""
    tests: int
    """Number of tests in the mean."""
    n: int
    """Number of episodes of each test and training seed."""
    successes: int
    """Number of successes, summed over tests and training seeds."""
    seed_rates: Mapping[int, float]
    """Training seed -> rate of this seed alone; only seeds that were measured in every test."""
    absent: tuple[int, ...]
    """Training seeds of the plan that are not in the mean, because a test is missing."""

    @property
    def spread(self) -> float | None:
        """Largest minus smallest of the seed rates; None for a single seed."""
        return max(self.seed_rates.values()) - min(self.seed_rates.values()) if len(self.seed_rates) > 1 else None


def axis_weights(plan: StudyPlan, axis: str) -> dict[str, float]:
    """Test -> weight in the mean of an axis; all tests have the same weight."""
    tests = plan.tests_of(axis)
    return {test.name: 1 / len(tests) for test in tests}


def ood_weights(plan: StudyPlan) -> dict[str, float]:
    """Test -> weight in the mean of the out-of-distribution axes; axes have equal weights, as in RLinf and FAN."""
    return {test: weight / len(plan.axes) for axis in plan.axes for test, weight in axis_weights(plan, axis).items()}


def complete_seeds(
    study: StudyResults, method: str, tests: Mapping[str, float], temperature: float, metric: str
) -> list[int]:
    """Training seeds of a method that were measured in all of `tests` at this temperature with this metric."""
    return [
        seed
        for seed in study.plan.seeds(method)
        if all(study.outcomes(method, seed, test, temperature, metric) is not None for test in tests)
    ]


def estimate(
    study: StudyResults, method: str, weights: Mapping[str, float], temperature: float, metric: str = HEADLINE
) -> Estimate | None:
    """Success rate of a method over tests with weights that sum to 1; None if no training seed has all of them.

    The interval: all training seeds run the same episodes, and several tests may run the same list, so the outcomes of
    one episode form a cluster (`clustered_wilson`). Tests with different lists are independent and are combined by
    `combined_interval`. For one test and one seed it is Wilson's interval.
    """
    seeds = complete_seeds(study, method, weights, temperature, metric)
    if not seeds:
        return None
    # [seeds, n] of each test, by the episodes that it runs.
    groups: dict[tuple[int, ...], dict[str, np.ndarray]] = {}
    for test in weights:
        columns = [study.outcomes(method, seed, test, temperature, metric) for seed in seeds]
        result = study.result(method, seeds[0], test, temperature)
        assert result is not None
        groups.setdefault(result.episodes.ids, {})[test] = np.array(columns, dtype=np.float64)
    totals, rates, intervals = [], [], []
    for group in groups.values():
        weight = np.array([weights[test] for test in group])
        flags = len(seeds) * weight.sum() ** 2 / (weight**2).sum()  # Kish's count of unequally weighted flags
        clusters = np.einsum("t,tsn->n", weight, np.array(list(group.values()))) / (weight.sum() * len(seeds))
        clusters = np.clip(clusters, 0.0, 1.0)
        totals.append(float(weight.sum()))
        rates.append(float(clusters.mean()))
        intervals.append(clustered_wilson(clusters, float(flags)))
    low, high = combined_interval(totals, rates, intervals)
    tables = {test: table for group in groups.values() for test, table in group.items()}
    return Estimate(
        rate=float(np.dot(totals, rates)),
        low=max(0.0, low),
        high=min(1.0, high),
        tests=len(weights),
        n=study.plan.episodes,
        successes=int(sum(table.sum() for table in tables.values())),
        seed_rates={
            seed: float(sum(weights[test] * tables[test][row].mean() for test in weights))
            for row, seed in enumerate(seeds)
        },
        absent=tuple(seed for seed in study.plan.seeds(method) if seed not in seeds),
    )
