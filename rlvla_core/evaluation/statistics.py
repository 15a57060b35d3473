"""Confidence intervals and significance tests for success rates; rates are fractions 0 .. 1, differences -1 .. 1."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import special

from rlvla_core.errors import RlvlaError

Outcomes = Sequence[bool] | np.ndarray | torch.Tensor
"""One success flag per episode, [n]."""


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (low, high) of a rate (E. B. Wilson, JASA 22, 1927; without continuity correction).

    It lies inside 0 .. 1 for 0 and n successes, too. Raises RlvlaError for n < 1 or successes outside 0..n.
    """
    _check_counts(successes, n)
    return _score_interval(successes / n, n, _z(confidence))


def clustered_wilson(rates: np.ndarray, flags: float = 1.0, confidence: float = 0.95) -> tuple[float, float]:
    """Interval (low, high) of the mean of n cluster rates, each the mean of `flags` success flags of one cluster.

    rates: float [n] in 0 .. 1.

    For correlated flags, such as the outcomes of several policies in the same episode: Wilson's interval with the
    effective number of flags p (1 - p) / Var(mean), Kish's design effect (L. Kish, Survey Sampling, 1965; on Wilson's
    interval: C. Franco et al., Journal of Survey Statistics and Methodology 7, 2019, 334-364). That number lies
    between n (the flags of a cluster always agree) and n * flags (they are independent; never more, though negatively
    correlated flags would allow it). With one flag per cluster the result is that of `wilson`. At a mean of 0 or 1 the
    variance cannot be estimated and n is taken. Raises RlvlaError for anything that is not a list of rates.
    """
    values = np.asarray(rates, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or values.min() < 0 or values.max() > 1 or flags < 1:
        raise RlvlaError(
            f"clusters need rates between 0 and 1 of 1 flag or more, got {list(values.shape)} of {flags:g}"
        )
    n, rate = values.size, float(values.mean())
    variance = float(values.var()) / n
    at_an_end = rate * (1 - rate) < 1e-12
    effective = n if at_an_end else rate * (1 - rate) / max(variance, rate * (1 - rate) / (n * flags))
    return _score_interval(rate, effective, _z(confidence))


def combined_interval(
    weights: Sequence[float], rates: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Interval (low, high) of sum(weights * rates) of independent samples, from the interval of each rate.

    Square-and-add of the distances to the limits (MOVER; G. Y. Zou, A. Donner, Statistics in Medicine 27, 2008,
    1693-1702). With weights -1 and 1 and Wilson's intervals this is Newcombe's hybrid score interval of a difference
    (R. G. Newcombe, Statistics in Medicine 17, 1998, 873-890, method 10).
    """
    total, down, up = 0.0, 0.0, 0.0
    for weight, rate, limits in zip(weights, rates, intervals, strict=True):
        low, high = sorted(weight * limit for limit in limits)
        total += weight * rate
        down += (weight * rate - low) ** 2
        up += (high - weight * rate) ** 2
    return total - math.sqrt(down), total + math.sqrt(up)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for multiple tests, in the given order (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    Step-down: the i-th smallest of m is multiplied by m - i + 1, made at least as large as the one before it and at
    most 1. Rejecting those <= 0.05 keeps the chance of any false rejection below 5 %, whatever their dependence.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def mcnemar(a: Outcomes, b: Outcomes) -> float:
    """Exact two-sided p-value of McNemar's test for equal success rates of `a` and `b` in the same n episodes.

    The binomial test at 1/2 of the discordant pairs (Q. McNemar, Psychometrika 12, 1947); 1 without such pairs.
    """
    _, only_a, only_b, _ = paired_counts(a, b)
    return min(1.0, 2.0 * float(special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def paired_difference(a: Outcomes, b: Outcomes, confidence: float = 0.95) -> tuple[float, float, float]:
    """rate(b) - rate(a) over the same n episodes, with its interval: (difference, low, high). Positive: b is better.

    Newcombe's square-and-add interval for paired data with the corrected correlation (R. G. Newcombe, Statistics in
    Medicine 17, 1998, 2635-2650, method 10): Wilson limits of the two rates, joined by the phi coefficient.
    """
    both, only_a, only_b, neither = paired_counts(a, b)
    n = both + only_a + only_b + neither
    rate_a, rate_b = (both + only_a) / n, (both + only_b) / n
    low_a, high_a = wilson(both + only_a, n, confidence)
    low_b, high_b = wilson(both + only_b, n, confidence)
    phi = _phi(both, only_a, only_b, neither)
    down_b, up_b = rate_b - low_b, high_b - rate_b
    down_a, up_a = rate_a - low_a, high_a - rate_a
    difference = (only_b - only_a) / n
    low = difference - math.sqrt(max(0.0, down_b**2 - 2 * phi * down_b * up_a + up_a**2))
    high = difference + math.sqrt(max(0.0, up_b**2 - 2 * phi * up_b * down_a + down_a**2))
    return difference, low, high


def paired_counts(a: Outcomes, b: Outcomes) -> tuple[int, int, int, int]:
    """The 2x2 table of pairs: (both succeed, only a, only b, neither). Raises RlvlaError if lengths differ."""
    left, right = _flags(a), _flags(b)
    if left.shape != right.shape or left.size == 0:
        raise RlvlaError(f"a paired comparison needs the same episodes on both sides, got {left.size} and {right.size}")
    both = int((left & right).sum())
    only_a, only_b = int((left & ~right).sum()), int((~left & right).sum())
    return both, only_a, only_b, left.size - both - only_a - only_b


def _score_interval(rate: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a rate; n may be an effective sample size, not a whole number."""
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # Exact at the ends, where rounding would leave 1e-17.
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    high = 1.0 if rate == 1 else min(1.0, centre + half)
    return low, high


def _phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    """Newcombe's phi: the correlation of the pairs, reduced by n/2 where it is positive; 0 where it is undefined."""
    n = both + only_a + only_b + neither
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:
        return 0.0
    covariance: float = both * neither - only_a * only_b
    if covariance > 0:
        covariance = max(covariance - n / 2, 0)
    return covariance / math.sqrt(margins)


def _flags(outcomes: Outcomes) -> np.ndarray:
    plain = outcomes.detach().cpu().numpy() if isinstance(outcomes, torch.Tensor) else np.asarray(outcomes)
    if plain.ndim != 1:
        raise RlvlaError(f"outcomes must be one flag an episode, got an array of shape {list(plain.shape)}")
    return plain.astype(bool)


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise RlvlaError(f"confidence must lie between 0 and 1, got {confidence}")
    return float(special.ndtri(0.5 + confidence / 2))


def _check_counts(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise RlvlaError(f"{successes} successes in {n} episodes are no rate: need n >= 1 and 0 <= successes <= n")
