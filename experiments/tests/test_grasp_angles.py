"""experiments/grasp_angles.py: the hand's turn at its first grasp, against the turn that the expert plans."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
from grasp_angles import GROUPS, Turns, first_grasp, play
from recording_env import PlayOptions

KEPT = Path(__file__).parents[2] / "docs" / "results" / "policy-seed1"


def test_the_turn_counts_at_the_first_grasp() -> None:
    turns = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
    held = np.array([[False, True, True], [False, False, False], [True, False, True]])
    made, step = first_grasp(turns, held)
    np.testing.assert_array_equal(made, [0.2, np.nan, 0.7])
    np.testing.assert_array_equal(step, [2, np.nan, 1])


def test_a_half_circle_more_is_the_same_grasp() -> None:
    needed = np.array([1.5, 1.5, -0.7, 0.0])
    made = np.array([1.1, 1.5 - math.pi, -0.7 + 3 * math.pi, math.pi / 2])
    missed = Turns(needed=needed, made=made, grasp_step=np.ones(4), success=np.ones(4, dtype=bool)).missed
    np.testing.assert_allclose(missed, [0.4, 0.0, 0.0, math.pi / 2], atol=1e-9)


def test_groups_of_turns_are_side_by_side() -> None:
    edges = GROUPS.values()
    assert all(first[1] == second[0] for first, second in pairwise(edges))


def test_objects_that_lie_turned_need_turns() -> None:
    """In the world itself: the kept policy for three steps of eight episodes, in which nobody has grasped yet."""
    turns = play(KEPT, PlayOptions(episodes=8, temperature=0.0, max_steps=3))
    assert turns.needed.shape == turns.made.shape == turns.success.shape == (8,)
    low, high = GROUPS["none"]
    assert ((turns.needed > low) & (turns.needed <= high)).any()
    assert np.abs(turns.needed).max() > math.pi / 4 - 0.05
    assert np.isnan(turns.made).all() and np.isnan(turns.grasp_step).all()
