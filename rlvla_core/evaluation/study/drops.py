"""Generalisation drop: how much success rate an axis of shifts costs, with a bootstrap over episodes."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlvla_core.evaluation.study.estimates import HEADLINE, axis_weights, complete_seeds
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import IN_DISTRIBUTION

DRAWS = 2000
"""Number of bootstrap resamples."""
BOOTSTRAP_SEED = 20250519
"""Seed of the resamples; fixed, so that equal results give equal intervals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisDrop:
    """Mean success rate of the tests of an axis minus that in distribution; negative where the shift costs success."""

    axis: str
    """Name of the axis."""
    in_distribution: float
    """Success rate in distribution, 0 .. 1, mean over training seeds."""
    out_of_distribution: float
    """Mean success rate of the tests of the axis, 0 .. 1, over the same training seeds."""
    absolute: float
    """out_of_distribution - in_distribution, -1 .. 1."""
    absolute95: tuple[float, float]
    """95 % interval of `absolute`."""
    relative: float | None
    """`absolute` divided by `in_distribution`; None where that is 0."""
    relative95: tuple[float, float] | None
    """95 % interval of `relative`; None where a resample has no success in distribution."""
    seed_drops: Mapping[int, float]
    """Training seed -> `absolute` of this seed alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodDrops:
    """The drops of one method at one temperature, for all axes."""

    method: str
    """Name of the method."""
    temperature: float
    """Sampling temperature of the action tokens; 0 = greedy."""
    axes: tuple[AxisDrop, ...]
    """Drops of the axes whose tests are complete, in the order of the plan."""
    order: tuple[str, ...]
    """Names of the axes from the largest drop to the smallest; empty unless all axes have the same training seeds."""
    order_fraction: float
    """Fraction of the bootstrap resamples that give this order."""


def method_drops(study: StudyResults, method: str, temperature: float, draws: int = DRAWS) -> MethodDrops | None:
    """Drops of a method over the training seeds whose results are complete; None if no axis is complete.

    Percentile bootstrap, 95 %: `draws` times, episodes are drawn with replacement, the same ones for all training
    seeds and all tests that run the same list, other lists apart. An episode is thereby drawn with all its outcomes:
    outcomes that training seeds share are not counted as independent. The trained policies stay fixed.
    """
    if not study.plan.tests_of(IN_DISTRIBUTION):
        return None
    found: dict[str, AxisDrop] = {}
    samples: dict[str, np.ndarray] = {}
    inside = axis_weights(study.plan, IN_DISTRIBUTION)
    for axis in study.plan.axes:
        outside = axis_weights(study.plan, axis)
        seeds = complete_seeds(study, method, {**inside, **outside}, temperature, HEADLINE)
        if not seeds:
            continue
        base = _rates(study, method, seeds, inside, temperature, draws)
        shifted = _rates(study, method, seeds, outside, temperature, draws)
        samples[axis] = (shifted - base)[:, 1:].mean(axis=0)
        found[axis] = _axis_drop(axis, seeds, base, shifted)
    if not found:
        return None
    alike = len(found) == len(study.plan.axes) and len({tuple(drop.seed_drops) for drop in found.values()}) == 1
    order = tuple(sorted(found, key=lambda axis: found[axis].absolute)) if alike else ()
    steps = np.diff([samples[axis] for axis in order], axis=0) if len(order) > 1 else np.zeros((1, draws))
    return MethodDrops(
        method=method,
        temperature=temperature,
        axes=tuple(found.values()),
        order=order,
        order_fraction=float((steps >= 0).all(axis=0).mean()),
    )


def _axis_drop(axis: str, seeds: list[int], base: np.ndarray, shifted: np.ndarray) -> AxisDrop:
    """Drop of one axis from the rates in distribution (`base`) and in its tests (`shifted`), both as from `_rates`."""
    inside, outside = base.mean(axis=0), shifted.mean(axis=0)
    absolute = outside - inside
    defined = inside > 0
    relative = np.divide(absolute, inside, out=np.zeros_like(inside), where=defined)
    return AxisDrop(
        axis=axis,
        in_distribution=float(inside[0]),
        out_of_distribution=float(outside[0]),
        absolute=float(absolute[0]),
        absolute95=_percentiles(absolute[1:]),
        relative=float(relative[0]) if defined[0] else None,
        relative95=_percentiles(relative[1:]) if defined.all() else None,
        seed_drops={seed: float(shifted[row, 0] - base[row, 0]) for row, seed in enumerate(seeds)},
    )


def _rates(
    study: StudyResults, method: str, seeds: list[int], weights: Mapping[str, float], temperature: float, draws: int
) -> np.ndarray:
    """Weighted mean rate over tests, float [seeds, 1 + draws]; column 0 is measured, the others are resamples."""
    rates = np.zeros((len(seeds), 1 + draws))
    for row, seed in enumerate(seeds):
        for test, weight in weights.items():
            result = study.result(method, seed, test, temperature)
            assert result is not None
            flags = result.outcomes(HEADLINE).astype(np.float64)
            rates[row] += weight * np.concatenate([[flags.mean()], _resamples(result.episodes.ids, draws) @ flags])
    return rates


@functools.lru_cache(maxsize=32)
def _resamples(ids: tuple[int, ...], draws: int) -> np.ndarray:
    """Weight of each episode in each resample, float32 [draws, n]; depends on the list alone."""
    generator = np.random.default_rng(np.random.SeedSequence([BOOTSTRAP_SEED, *ids]))
    n = len(ids)
    return (generator.multinomial(n, np.full(n, 1 / n), size=draws) / n).astype(np.float32)


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
