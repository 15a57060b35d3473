"""Intervals and tests against published numbers, axioms and simulated coverage."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.statistics import (
    clustered_wilson,
    combined_interval,
    holm,
    mcnemar,
    paired_counts,
    paired_difference,
    wilson,
)


def pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17, 1998, 857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17, 1998, 873-890, table II, method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_combined_interval_of_a_difference_equals_the_published_ones(after, before, low: float, high: float) -> None:
    rates = [successes / n for successes, n in (before, after)]
    found = combined_interval([-1, 1], rates, [wilson(*before), wilson(*after)])
    assert found == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("table", "low", "high", "p_value"),
    [
        # Airway hyper-responsiveness (Bentur et al.); M. W. Fagerland, S. Lydersen, P. Laake, Statistics in Medicine
        # 33, 2014, 2850-2875.
        ((1, 1, 7, 12), 0.026, 0.507, 0.0703),
        # D. G. Altman et al., Statistics with Confidence, 2000, table 6.2, with the columns exchanged.
        ((14, 0, 5, 22), 0.011, 0.226, 0.0625),
    ],
)
def test_paired_difference_and_mcnemar_equal_the_published_numbers(
    table: tuple[int, int, int, int], low: float, high: float, p_value: float
) -> None:
    a, b = pairs(*table)
    difference, *interval = paired_difference(a, b)
    assert difference == pytest.approx((table[2] - table[1]) / sum(table))
    assert interval == pytest.approx([low, high], abs=6e-4)
    assert mcnemar(a, b) == pytest.approx(p_value, abs=6e-5)


@settings(deadline=None)
@given(successes=st.integers(0, 300), failures=st.integers(0, 300))
def test_wilson_holds_the_rate_and_mirrors(successes: int, failures: int) -> None:
    n = successes + failures
    if n == 0:
        return
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert wilson(failures, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 40)] * 4).filter(any))
def test_paired_difference_holds_the_estimate_and_turns_with_the_arms(table: tuple[int, int, int, int]) -> None:
    a, b = pairs(*table)
    assert paired_counts(a, b) == table
    difference, low, high = paired_difference(a, b)
    assert -1 - 1e-12 <= low <= difference + 1e-12 and difference - 1e-12 <= high <= 1 + 1e-12
    assert paired_difference(b, a) == pytest.approx((-difference, -high, -low), abs=1e-12)
    assert mcnemar(a, b) == pytest.approx(mcnemar(b, a))


def coverage(draws: int, seed: int) -> tuple[float, float]:
    """Share of simulated experiments whose interval holds the truth: (Wilson of one arm, paired difference)."""
    generator = np.random.default_rng(seed)
    n, cells = 64, np.array([0.35, 0.05, 0.25, 0.35])  # both, only a, only b, neither
    hits = np.zeros(2)
    for table in generator.multinomial(n, cells, size=draws):
        a, b = pairs(*map(int, table))
        low, high = wilson(int(a.sum()), n)
        hits[0] += low <= 0.40 <= high
        _, low, high = paired_difference(a, b)
        hits[1] += low <= 0.20 <= high
    return hits[0] / draws, hits[1] / draws


def test_simulated_coverage_is_near_95_percent() -> None:
    wilson_hits, paired_hits = coverage(2000, seed=0)  # standard error 0.5 points
    assert wilson_hits == pytest.approx(0.95, abs=0.025)
    assert paired_hits == pytest.approx(0.95, abs=0.025)


def test_mcnemar_keeps_its_level_under_the_null() -> None:
    generator = np.random.default_rng(1)
    rejected = [
        mcnemar(*pairs(*map(int, t))) < 0.05 for t in generator.multinomial(64, [0.4, 0.1, 0.1, 0.4], size=1500)
    ]
    assert np.mean(rejected) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)
    assert np.mean(rejected) > 0


def test_torch_and_lists_are_outcomes_too_and_nonsense_is_refused() -> None:
    a, b = pairs(3, 2, 9, 4)
    expected = paired_difference(a, b)
    assert paired_difference(torch.tensor(a), torch.tensor(b)) == paired_difference(list(a), list(b)) == expected
    assert mcnemar([True, False], [True, False]) == 1.0
    with pytest.raises(RlvlaError, match="got 2 and 3"):
        mcnemar([True, False], [True, False, True])
    for successes, n in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(RlvlaError, match="no rate"):
            wilson(successes, n)
    with pytest.raises(RlvlaError, match="confidence"):
        wilson(1, 2, confidence=95)


def test_one_flag_a_cluster_and_clusters_that_agree_give_wilson() -> None:
    a, _ = pairs(3, 2, 9, 4)
    assert clustered_wilson(a) == pytest.approx(wilson(5, 18))
    # Two policies with equal outcomes in every episode are no more evidence than one.
    assert clustered_wilson(a, 2) == pytest.approx(wilson(5, 18))
    # Two that never agree count as independent, not as more than that.
    assert clustered_wilson(np.full(18, 0.5), 2) == pytest.approx(wilson(18, 36))
    assert clustered_wilson(np.ones(18), 2) == pytest.approx(wilson(18, 18))
    for rates, flags in ((np.array([0.5, 1.5]), 2.0), (np.array([]), 1.0), (np.array([0.5]), 0.5)):
        with pytest.raises(RlvlaError, match="clusters need rates"):
            clustered_wilson(rates, flags)


def test_clustered_wilson_covers_where_pooling_does_not() -> None:
    generator = np.random.default_rng(2)
    n, draws, hits, pooled = 100, 1000, 0, 0
    for _ in range(draws):
        # An episode is easy or hard for both policies: 0.8 * [0.9, 0.1] mixed, rate 0.5.
        difficulty = np.where(generator.random(n) < 0.5, 0.9, 0.1)
        flags = generator.random((2, n)) < difficulty
        low, high = clustered_wilson(flags.mean(axis=0), 2)
        hits += low <= 0.5 <= high
        low, high = wilson(int(flags.sum()), 2 * n)
        pooled += low <= 0.5 <= high
    assert hits / draws == pytest.approx(0.95, abs=0.025)  # standard error 0.7 points
    assert pooled / draws < 0.91


def test_combined_interval_of_one_rate_is_its_own() -> None:
    assert combined_interval([1], [0.6], [wilson(48, 80)]) == pytest.approx(wilson(48, 80))


def test_holm_equals_a_worked_example() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.8, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
