"""What every teleop device says: six axes, the two hold-to-run switches, and the events that were pressed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

REST = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Axes of a device that nobody touches."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The state of a device at one instant."""

    stamp_s: float
    """When the device was in this state: seconds of the ROS clock."""
    axes: tuple[float, ...] = REST
    """Six deflections of -1..1 in the base frame: forward, left, up, roll about forward, pitch about left, yaw about
    up."""
    deadman: bool = False
    """Whether the hold-to-run switch of teleoperation is held."""
    enable: bool = False
    """Whether the operator's enable switch is held: somebody watches and lets the policy run."""
    gripper_presses: int = 0
    """Presses of the gripper button since the reading before; each one turns open into closed or back."""
    events: tuple[str, ...] = ()
    """Events pressed since the reading before, of rlvla_core.control.arbiter.OPERATOR_EVENTS."""


class PolledDevice(Protocol):
    """A device that the node itself polls; a Joy device sends messages instead."""

    def poll(self, stamp_s: float) -> Reading:
        """The device's state now, without waiting. Raises RlvlaError once the device is gone."""
        ...

    def close(self) -> None:
        """Give the device back as it was found; may be called twice."""
        ...


def shape(axes: Sequence[float], dead_zone: float) -> tuple[float, ...]:
    """Axes without the noise of a stick at rest: zero up to `dead_zone`, then growing from 0 to 1 without a step."""
    return tuple(_shape(min(1.0, max(-1.0, axis)), dead_zone) for axis in axes)


def _shape(axis: float, dead_zone: float) -> float:
    beyond = (abs(axis) - dead_zone) / (1.0 - dead_zone)
    if beyond <= 0:
        return 0.0
    return beyond if axis > 0 else -beyond
