"""Paired comparisons: the reference method PPO against every other method, episode by episode."""

from dataclasses import dataclass

from rlvla_core.evaluation.report import MetricComparison, compare
from rlvla_core.evaluation.statistics import holm
from rlvla_core.evaluation.study.estimates import HEADLINE
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import TestInfo

REFERENCE = "ppo"
"""The method that all other methods are compared with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedRow:
    """Comparison of the reference and one candidate, of the same training seed, in the same episodes of one test."""

    candidate: str
    """Method that is compared with the reference."""
    training_seed: int
    """Training seed of both policies."""
    test: TestInfo
    """Test in which both were measured."""
    temperature: float
    """Sampling temperature of the action tokens; 0 = greedy."""
    comparison: MetricComparison
    """Numbers of the comparison: `before` is the candidate, `after` the reference, which is better where the difference
    is positive."""
    holm_p: float
    """p-value of McNemar's test, adjusted by Holm for the number of tests of this candidate, seed and temperature."""
    family: int
    """Number of tests that `holm_p` is adjusted for."""


def candidates(study: StudyResults) -> list[str]:
    """All methods but the reference, in the order of the plan; empty if the study has no reference."""
    methods = study.plan.methods
    return [method for method in methods if method != REFERENCE] if REFERENCE in methods else []


def shared_seeds(study: StudyResults, candidate: str) -> list[int]:
    """Training seeds that both the candidate and the reference have; only policies of one seed are paired."""
    return [seed for seed in study.plan.seeds(REFERENCE) if seed in study.plan.seeds(candidate)]


def paired_rows(study: StudyResults, candidate: str, temperature: float) -> list[PairedRow]:
    """Comparisons of a candidate with the reference: a row for each training seed and test in which both were measured,
    in the order of the plan."""
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
