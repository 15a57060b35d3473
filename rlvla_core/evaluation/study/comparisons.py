"""PPO against every other method, episode by episode."""

from dataclasses import dataclass

from rlvla_core.evaluation.report import MetricComparison, compare
from rlvla_core.evaluation.statistics import holm
from rlvla_core.evaluation.study.estimates import HEADLINE
from rlvla_core.evaluation.study.folder import Study
from rlvla_core.evaluation.study.records import TestInfo

REFERENCE = "ppo"
"""The method that the others are compared with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedRow:
    """The reference and a candidate of the same training seed, in the same episodes of one test."""

    candidate: str
    training_seed: int
    test: TestInfo
    temperature: float
    comparison: MetricComparison
    """`before` is the candidate, `after` the reference; a positive difference says that the reference is better."""
    holm_p: float
    """McNemar's p-value, adjusted for the number of tests of this candidate, seed and temperature."""
    family: int
    """That number."""


def candidates(study: Study) -> list[str]:
    """The other methods, in order; none where the study has no reference."""
    methods = study.plan.methods
    return [method for method in methods if method != REFERENCE] if REFERENCE in methods else []


def shared_seeds(study: Study, candidate: str) -> list[int]:
    """Training seeds that both have: pairs are made seed by seed, never across seeds."""
    return [seed for seed in study.plan.seeds(REFERENCE) if seed in study.plan.seeds(candidate)]


def paired_rows(study: Study, candidate: str, temperature: float) -> list[PairedRow]:
    """One row for each training seed and test that both have measured, in the order of the plan."""
    rows: list[PairedRow] = []
    for seed in shared_seeds(study, candidate):
        pairs: list[tuple[TestInfo, MetricComparison]] = []
        for test in study.plan.tests:
            before, after = (study.result(method, seed, test.name, temperature) for method in (candidate, REFERENCE))
            if before is not None and after is not None:
                found = compare(before, after, names=(candidate, REFERENCE)).metrics
                pairs.append((test, next(row for row in found if row.metric == HEADLINE)))
        adjusted = holm([comparison.p_value for _, comparison in pairs])
        rows += [
            PairedRow(
                candidate=candidate,
                training_seed=seed,
                test=test,
                temperature=temperature,
                comparison=comparison,
                holm_p=p_value,
                family=len(pairs),
            )
            for (test, comparison), p_value in zip(pairs, adjusted, strict=True)
        ]
    return rows
