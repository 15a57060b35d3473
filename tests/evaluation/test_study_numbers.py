"""Means, intervals, paired tests and drops of a study against numbers worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from study_fakes import TESTS, first, make_study, plan, put, result, trained

from rlvla_core.evaluation.statistics import wilson
from rlvla_core.evaluation.study import read_study
from rlvla_core.evaluation.study.comparisons import candidates, paired_rows, shared_seeds
from rlvla_core.evaluation.study.drops import method_drops
from rlvla_core.evaluation.study.estimates import axis_weights, estimate, ood_weights
from rlvla_core.evaluation.study.folder import write_plan

COUNTS = {
    "in-distribution": 16,
    "unseen-table": 12,
    "texture-weak": 8,
    "unseen-objects": 14,
    "unseen-position": 2,
    "unseen-pose": 4,
}
"""Of 20. Means: vision 0.5, semantics 0.7, execution 0.15; drops -0.3, -0.1, -0.65."""


def table(method: str, seed: int, test: str) -> np.ndarray:
    return first(COUNTS[test])


def test_one_test_and_one_seed_is_wilson(tmp_path: Path) -> None:
    study = make_study(tmp_path, plan([trained("ppo", 0)]), table)
    found = estimate(study, "ppo", {"unseen-table": 1.0}, 0.0)
    assert found is not None and (found.successes, found.n, found.rate) == (12, 20, pytest.approx(0.6))
    assert (found.low, found.high) == pytest.approx(wilson(12, 20))
    assert found.spread is None and found.seed_rates == {0: pytest.approx(0.6)}


def test_means_of_axes_and_their_square_and_add_interval(tmp_path: Path) -> None:
    study = make_study(tmp_path, plan([trained("ppo", 0)]), table)
    vision = estimate(study, "ppo", axis_weights(study.plan, "vision"), 0.0)
    assert vision is not None and vision.rate == pytest.approx(0.5) and vision.tests == 2
    (low_a, _), (low_b, _) = wilson(12, 20), wilson(8, 20)
    assert vision.low == pytest.approx(0.5 - 0.5 * math.hypot(0.6 - low_a, 0.4 - low_b))
    assert vision.high == pytest.approx(1 - vision.low)  # 12 and 8 of 20 mirror each other
    outside = estimate(study, "ppo", ood_weights(study.plan), 0.0)
    assert outside is not None and outside.rate == pytest.approx((0.5 + 0.7 + 0.15) / 3)


def test_training_seeds_are_listed_and_not_counted_as_evidence(tmp_path: Path) -> None:
    policies = [trained("ppo", seed) for seed in (0, 1)]
    alike = make_study(tmp_path / "alike", plan(policies), lambda method, seed, test: first(10))
    found = estimate(alike, "ppo", {"unseen-table": 1.0}, 0.0)
    assert found is not None and (found.low, found.high) == pytest.approx(wilson(10, 20))
    assert found.spread == 0
    # Rates 0.4 and 0.6, mean 0.5; the episodes in which both agree are 16 of 20.
    other = make_study(tmp_path / "other", plan(policies), lambda method, seed, test: first(8 + 4 * seed))
    found = estimate(other, "ppo", {"unseen-table": 1.0}, 0.0)
    assert found is not None and found.rate == pytest.approx(0.5) and found.spread == pytest.approx(0.2)
    assert found.seed_rates == {0: pytest.approx(0.4), 1: pytest.approx(0.6)}
    # Cluster means 1, 0.5, 0 in 8, 4, 8 episodes: variance 0.2, so 20 * 0.25 / 0.2 = 25 effective flags.
    z = 1.959964
    half = z / (1 + z**2 / 25) * math.sqrt(0.25 / 25 + z**2 / (4 * 25**2))
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


def test_tests_that_share_their_episodes_are_not_independent(tmp_path: Path) -> None:
    two = tuple(test for test in TESTS if test.name in ("unseen-table", "texture-weak"))
    write_plan(tmp_path, plan([trained("ppo", 0)], tests=two))
    for test in two:
        put(tmp_path, "ppo", 0, result(test.name, first(10), ids=range(20)))
    study = read_study(tmp_path)
    found = estimate(study, "ppo", axis_weights(study.plan, "vision"), 0.0)
    assert found is not None and (found.low, found.high) == pytest.approx(wilson(10, 20))


def test_a_mean_needs_all_its_tests(tmp_path: Path) -> None:
    study = make_study(tmp_path, plan([trained("ppo", 0), trained("ppo", 1)]), table)
    (tmp_path / "results" / "ppo-1" / "texture-weak-T0.json").unlink()
    study = read_study(tmp_path)
    vision = estimate(study, "ppo", axis_weights(study.plan, "vision"), 0.0)
    assert vision is not None and (tuple(vision.seed_rates), vision.absent) == ((0,), (1,))
    both = estimate(study, "ppo", {"unseen-table": 1.0}, 0.0)
    assert both is not None and tuple(both.seed_rates) == (0, 1)
    (tmp_path / "results" / "ppo-0" / "texture-weak-T0.json").unlink()
    study = read_study(tmp_path)
    assert estimate(study, "ppo", axis_weights(study.plan, "vision"), 0.0) is None
    assert estimate(study, "ppo", axis_weights(study.plan, "execution"), 0.0) is not None
    assert method_drops(study, "ppo", 0.0) is not None
    assert estimate(study, "ppo", {"unseen-table": 1.0}, 0.0, "grasped_firmly") is None


def test_paired_rows_equal_a_worked_example(tmp_path: Path) -> None:
    wins = {"in-distribution": 8, "unseen-table": 6, "texture-weak": 5}
    policies = [trained("ppo", 0), trained("ppo", 1), trained("sft-1000", 0)]

    def success(method: str, seed: int, test: str) -> np.ndarray:
        return first(wins.get(test, 0) if method == "ppo" else 0)

    study = make_study(tmp_path, plan(policies), success)
    assert candidates(study) == ["sft-1000"] and shared_seeds(study, "sft-1000") == [0]
    rows = paired_rows(study, "sft-1000", 0.0)
    assert [row.test.name for row in rows] == [test.name for test in TESTS]
    assert {row.training_seed for row in rows} == {0} and {row.family for row in rows} == {6}
    # Only PPO succeeds in k episodes: 2 / 2^k; times 6, 5, 4 in the order of Holm.
    assert [row.comparison.p_value for row in rows] == pytest.approx([2 / 2**8, 2 / 2**6, 2 / 2**5, 1, 1, 1])
    assert [row.holm_p for row in rows] == pytest.approx([12 / 2**8, 10 / 2**6, 8 / 2**5, 1, 1, 1])
    assert rows[0].comparison.difference == pytest.approx(0.4)
    assert (rows[0].comparison.only_before, rows[0].comparison.only_after) == (0, 8)


def test_without_the_champion_nothing_is_paired(tmp_path: Path) -> None:
    study = make_study(tmp_path, plan([trained("warm-up", 0), trained("sft-1000", 0)]), table)
    assert candidates(study) == []


def test_drops_equal_a_worked_example(tmp_path: Path) -> None:
    study = make_study(tmp_path, plan([trained("ppo", 0), trained("ppo", 1)]), table)
    drops = method_drops(study, "ppo", 0.0)
    assert drops is not None and [drop.axis for drop in drops.axes] == ["vision", "semantics", "execution"]
    assert [drop.absolute for drop in drops.axes] == pytest.approx([-0.3, -0.1, -0.65])
    assert [drop.relative for drop in drops.axes] == pytest.approx([-0.375, -0.125, -0.8125])
    assert drops.order == ("execution", "vision", "semantics") and 0.8 < drops.order_fraction <= 1
    # Two seeds with equal outcomes: the doubt of one. Variance 0.8 0.2 / 20 + (0.6 0.4 + 0.4 0.6) / 20 / 4.
    low, high = drops.axes[0].absolute95
    half = 1.96 * math.sqrt(0.8 * 0.2 / 20 + (0.6 * 0.4 + 0.4 * 0.6) / 20 / 4)
    assert (low, high) == pytest.approx((-0.3 - half, -0.3 + half), abs=0.04)
    assert drops.axes[0].seed_drops == {0: pytest.approx(-0.3), 1: pytest.approx(-0.3)}
    assert method_drops(study, "ppo", 0.0) == drops


def test_a_drop_from_nothing_has_no_relative_size(tmp_path: Path) -> None:
    study = make_study(tmp_path, plan([trained("ppo", 0)]), lambda method, seed, test: first(0))
    drops = method_drops(study, "ppo", 0.0)
    assert drops is not None and drops.axes[0].relative is None and drops.axes[0].relative95 is None
    shifted = tuple(test for test in TESTS if test.axis != "in-distribution")
    alone = make_study(tmp_path / "alone", plan([trained("ppo", 0)], tests=shifted), table)
    assert method_drops(alone, "ppo", 0.0) is None
