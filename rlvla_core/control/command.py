"""What goes into the safety filter and what comes out."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

SOURCES = ("policy", "teleop")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Command:
    """A proposal of a policy or a teleop device. All times are of one monotonic clock, seconds."""

    source: str
    """`policy` or `teleop`."""
    step: int
    """Counts up; a number not above the last accepted one of the same source is a replay."""
    delta: Any
    """float [7]: Δxyz [m], Δrotation [rad] (XYZ Euler), base frame, on the previous commanded pose; gripper +1 open ..
    -1 closed. What comes from outside may be anything: the filter looks before it believes."""
    observed_at: float
    """When the image was taken, or the device read, that this answers."""
    issued_at: float
    """When the source sent it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervention:
    """What one stage changed, or why it refused."""

    code: str
    """Stable reason code; docs/control.md lists them."""
    verdict: Literal["clamp", "veto"]
    before: tuple[float, ...]
    """What the stage was given."""
    after: tuple[float, ...]
    """What it made of it; empty after a veto."""
    text: str
    """One line for a person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The filter's answer to a command."""

    accepted: bool
    """Whether the running plan was replaced."""
    interventions: tuple[Intervention, ...] = field(default=())
    """In the order of the stages; a veto is the last."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Setpoint:
    """What the arm is to do now."""

    joints: np.ndarray
    """Radians, [d]."""
    velocities: np.ndarray
    """Radians per second, [d]."""
    opening: float
    """Metres that each finger is open."""
    moving: bool
    """Whether the plan goes on after this point."""
