"""A first grasp that misses on purpose, so that a demonstration shows how to try again.

An expert that hardly ever misses leaves no picture of a closed hand that holds nothing, and who imitates it stands
still there.
"""

import math
from dataclasses import dataclass

import numpy as np

ASIDE = (0.025, 0.045)
"""Metres to a side: less, and most things are grasped anyway."""
ABOVE = (0.0, 0.015)
"""Metres too high."""
STRAY_STEPS = (1, 6)
"""Steps, both included: where the hand may be when it notices."""


@dataclass(frozen=True, slots=True)
class Blunder:
    """How the first grasp of an episode misses."""

    offset: np.ndarray
    """What is added to the position of the planned grasp, [3], metres, base frame."""
    stray_steps: int
    """Steps that the closed, empty hand then goes towards the receptacle."""


def draw_blunder(rng: np.random.Generator) -> Blunder:
    """A blunder in a uniform direction, with the magnitudes above."""
    direction, aside, above = rng.uniform(-math.pi, math.pi), rng.uniform(*ASIDE), rng.uniform(*ABOVE)
    offset = np.array([aside * math.cos(direction), aside * math.sin(direction), above])
    return Blunder(offset, int(rng.integers(*STRAY_STEPS, endpoint=True)))
