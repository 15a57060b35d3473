"""The shipped base answers questions about scenes that it was not trained on: benchmarks/base_sight.py, in small."""

import base_sight

from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_sim.config import WorldConfig
from rlvla_sim.pretraining.scenes import Scenes


def test_it_finds_the_named_thing() -> None:
    """Where the hand is not over the object anyway, half of the answers are within 1 cm in each direction, and much
    better than a guess at the mean; so are the turns that grasps need, where they need one."""
    seen = base_sight.metrics(*base_sight.answers(TINY_BASE, Scenes(WorldConfig()), 160))
    assert seen["away"] > 40 and seen["turned"] > 20
    assert seen["hand_right"] > 0.85
    assert seen["turn_rad"] < 0.6 * seen["turn_guess_rad"]
    for error, guess in zip(seen["object_mm"], seen["object_guess_mm"], strict=True):
        assert error < 10.0 and error < 0.5 * guess, seen
