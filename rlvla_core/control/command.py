"""The data that go into the safety filter (proposed motions) and come out of it (setpoints, and what was changed)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

SOURCES = ("policy", "teleop")
"""Who may propose motions."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MotionCommand:
    """A motion that a policy or a teleop device proposes. All times are seconds of one monotonic clock."""

    source: str
    """Who proposes it: `policy` or `teleop`."""
    step: int
    """Number that counts up; one that is not above the last accepted one of the same source is refused as a replay."""
    delta: Any
    """float [7]: Δxyz [m], Δrotation [rad] (XYZ Euler), base frame, on the previous commanded pose; gripper +1 open ..
    -1 closed. It comes from outside and may be anything: the filter checks type, shape and values."""
    observed_at: float
    """When the image was taken, or the device was read, that this command answers."""
    issued_at: float
    """When the source sent this command."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervention:
    """What one stage of the filter changed in a command, or why it refused the command."""

    code: str
    """Stable reason code; docs/reference/control.md lists them."""
    verdict: Literal["clamp", "veto"]
    """clamp: less of the command was taken. veto: the command was refused."""
    before: tuple[float, ...]
    """Values that the stage was given."""
    after: tuple[float, ...]
    """Values that the stage passed on; empty after a veto."""
    text: str
    """One line for a person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The filter's answer to a command."""

    accepted: bool
    """Whether the running plan was replaced."""
    interventions: tuple[Intervention, ...] = field(default=())
    """Everything that was changed or refused, in the order of the stages; a veto comes last."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Setpoint:
    """Where the arm and its fingers are commanded to be at one tick."""

    joints: np.ndarray
    """Joint angles [d], radians."""
    velocities: np.ndarray
    """Joint speeds [d], radians per second."""
    opening: float
    """How far each finger is open, metres."""
    moving: bool
    """Whether arm or fingers go on moving after this setpoint."""
