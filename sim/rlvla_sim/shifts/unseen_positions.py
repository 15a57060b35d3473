"""Other places and other yaws: the ring of cells around the training grid."""

import math

from rlvla_sim.episodes import CELLS_PER_SIDE, Position, grid_line, position_pairs
from rlvla_sim.robots.spec import WORKSPACE_CENTRE
from rlvla_sim.shifts.shift import Change, Shift

UNSEEN_YAWS = tuple(math.radians(angle) for angle in (-22.5, -67.5, -112.5, -157.5))
"""Radians."""


def outer_cells() -> list[Position]:
    """The 28 cells of the ring, x slowest; world frame, metres."""
    line = grid_line(-1, CELLS_PER_SIDE)
    rim = (line[0], line[-1])
    return [(WORKSPACE_CENTRE[0] + x, WORKSPACE_CENTRE[1] + y) for x in line for y in line if x in rim or y in rim]


SHIFTS = (
    Shift(
        name="unseen-positions",
        number=14,
        axis="execution",
        summary="object and receptacle on the 28 cells around the training grid (628 pairs), at 4 other yaws",
        change=Change(positions=position_pairs(outer_cells()), yaws=UNSEEN_YAWS),
    ),
)
