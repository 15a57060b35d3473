"""What every device says, whatever it is: axes, the two hold-to-run switches, and what was pressed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

EVENTS = ("enable", "disable", "start", "hold", "estop", "reset", "clear_fault")
"""Events that a person may cause; the arbiter's SetMode knows them by these names."""
REST = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One look at the device."""

    stamp_s: float
    """When the device was in this state: seconds of the ROS clock."""
    axes: tuple[float, ...] = REST
    """Six of -1..1 in the base frame: forward, left, up, roll about forward, pitch about left, yaw about up."""
    deadman: bool = False
    """The hold-to-run switch of teleoperation."""
    enable: bool = False
    """The operator watches and lets the policy run."""
    gripper_presses: int = 0
    """Presses of the gripper button since the reading before; each one turns open into closed or back."""
    events: tuple[str, ...] = ()
    """Of EVENTS, pressed since the reading before."""


class PolledDevice(Protocol):
    """A device that the node itself asks. Joy comes as messages instead."""

    def poll(self, stamp_s: float) -> Reading:
        """How it is now, without waiting. Raises RlvlaError once the device is gone."""
        ...

    def close(self) -> None:
        """Give the device back, as it was found; may be called twice."""
        ...


def shape(axes: Sequence[float], dead_zone: float) -> tuple[float, ...]:
    """Axes without the noise of a stick at rest: zero up to `dead_zone`, then from zero to one without a step."""
    return tuple(_shape(min(1.0, max(-1.0, axis)), dead_zone) for axis in axes)


def _shape(axis: float, dead_zone: float) -> float:
    beyond = (abs(axis) - dead_zone) / (1.0 - dead_zone)
    if beyond <= 0:
        return 0.0
    return beyond if axis > 0 else -beyond
