"""The stage score of the paper."""

import itertools

import pytest

from rlvla_sim.reward import stage_score


def test_returns_lie_between_0_and_1_2() -> None:
    scores = [stage_score(*flags) for flags in itertools.product((False, True), repeat=3)]
    assert min(scores) == 0.0
    assert max(scores) == pytest.approx(1.2)


def test_success_counts_only_for_an_object_that_was_grasped() -> None:
    assert stage_score(False, False, True) == 0.0
    assert stage_score(True, False, True) == pytest.approx(1.1)


def test_leaving_the_receptacle_costs_one() -> None:
    assert stage_score(True, True, False) - stage_score(True, True, True) == pytest.approx(-1.0)
