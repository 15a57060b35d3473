"""Other start angles of the arm."""

import itertools

from rlvla_sim.shifts.shift import Change, Shift

JOINTS = (-0.15, -0.08, 0.0, 0.08, 0.15)
"""Radians, of the first five joints."""
WRIST = (-0.6, -0.3, 0.0, 0.3, 0.6)
"""Radians, of the last joint."""
LARGEST_SUM = 0.25
"""Radians: joints two and three (shoulder and elbow) together stay within this, so that the hand keeps its height."""


def start_offsets() -> tuple[tuple[float, ...], ...]:
    """The 14,375 disturbed start poses, the undisturbed one among them."""
    every = itertools.product(*[JOINTS] * 5, WRIST)
    return tuple(offset for offset in every if abs(offset[1] + offset[2]) <= LARGEST_SUM)


SHIFTS = (
    Shift(
        name="unseen-start-pose",
        number=15,
        axis="execution",
        summary="14,375 start poses of the arm: joints off by up to 0.15 rad, the wrist by up to 0.6 rad",
        change=Change(joint_offsets=start_offsets()),
    ),
)
