"""Rates of a method in a test or a group of tests, with the two sources of doubt kept apart.

The *interval* says how far the rate of these trained policies may lie from the one over all episodes: it comes from
the finite number of episodes. The *seed rates* say how far training again would move it: their spread is shown beside
the interval and never mixed into it, since two or three training seeds are too few for an interval of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlvla_core.evaluation.statistics import clustered_wilson, combined_interval
from rlvla_core.evaluation.study.folder import Study
from rlvla_core.evaluation.study.records import StudyPlan

HEADLINE = "success_at_end"
"""The metric that counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """One rate: the mean over training seeds of the (weighted) mean over tests."""

    rate: float
    low: float
    """95 % interval over episodes."""
    high: float
    tests: int
    n: int
    """Episodes of each test that each training seed ran."""
    successes: int
    """Summed over tests and training seeds."""
    seed_rates: Mapping[int, float]
    """Training seed -> its own rate; only seeds that have every test."""
    absent: tuple[int, ...]
    """Training seeds of the plan that are not in the mean."""

    @property
    def spread(self) -> float | None:
        """Largest minus smallest seed rate; None for one seed."""
        return max(self.seed_rates.values()) - min(self.seed_rates.values()) if len(self.seed_rates) > 1 else None


def axis_weights(plan: StudyPlan, axis: str) -> dict[str, float]:
    """Test -> weight in the mean of an axis: every test counts alike."""
    tests = plan.tests_of(axis)
    return {test.name: 1 / len(tests) for test in tests}


def ood_weights(plan: StudyPlan) -> dict[str, float]:
    """Test -> weight in the mean of all out-of-distribution axes: every axis counts alike, as in RLinf and FAN."""
    return {test: weight / len(plan.axes) for axis in plan.axes for test, weight in axis_weights(plan, axis).items()}


def complete_seeds(study: Study, method: str, tests: Mapping[str, float], temperature: float, metric: str) -> list[int]:
    """Training seeds of a method that have all these tests."""
    return [
        seed
        for seed in study.plan.seeds(method)
        if all(study.outcomes(method, seed, test, temperature, metric) is not None for test in tests)
    ]


def estimate(
    study: Study, method: str, weights: Mapping[str, float], temperature: float, metric: str = HEADLINE
) -> Estimate | None:
    """Rate of a method over tests with weights that sum to 1; None where no training seed has them all.

    The interval: all training seeds meet the same episodes, and tests may share theirs too, so outcomes of one episode
    are a cluster (`clustered_wilson`); tests with other lists are independent of these and are joined by square and
    add (`combined_interval`). One test and one seed: Wilson's interval.
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
    shares, rates, intervals = [], [], []
    for group in groups.values():
        share = np.array([weights[test] for test in group])
        flags = len(seeds) * share.sum() ** 2 / (share**2).sum()  # Kish's count of unequally weighted flags
        clusters = np.einsum("t,tsn->n", share, np.array(list(group.values()))) / (share.sum() * len(seeds))
        clusters = np.clip(clusters, 0.0, 1.0)
        shares.append(float(share.sum()))
        rates.append(float(clusters.mean()))
        intervals.append(clustered_wilson(clusters, float(flags)))
    low, high = combined_interval(shares, rates, intervals)
    tables = {test: table for group in groups.values() for test, table in group.items()}
    return Estimate(
        rate=float(np.dot(shares, rates)),
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
