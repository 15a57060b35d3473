"""What every driver of an arm can do, whatever the vendor. Radians, metres, seconds; no ROS.

The table of `rlvla_nodes.robots` names each arm's driver. A driver knows its vendor's client and nothing else: modes,
watchdogs and limits are the arbiter's, messages are the node's.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JointReading:
    """Where the arm is, as its controller measured it at one instant."""

    joints: np.ndarray
    """Joint angles [d], radians, base to tool."""
    velocities: np.ndarray
    """Joint speeds [d], radians per second."""
    opening: float
    """How far each finger is open, metres."""
    clock_s: float
    """The controller's own clock at that instant, seconds from any zero. A clock that stands still means that the
    controller is silent, however often it can be read."""


class ArmDriver(Protocol):
    """One arm and its gripper. All methods are called from one thread and return within a few milliseconds."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the arm's joints in its URDF, base to tool."""
        ...

    def connect(self) -> None:
        """Open the connection and take control; the arm does not move. May take seconds.

        Raises RlvlaError, with what to do, for an arm that is absent, is another model or has another firmware.
        """
        ...

    def read(self) -> JointReading:
        """The newest measurement. Raises RlvlaError if the connection is lost."""
        ...

    def send(self, joints: np.ndarray, velocities: np.ndarray, opening: float) -> None:
        """Follow a setpoint: joint angles [d], joint speeds [d] at that setpoint, opening of each finger.

        The speeds are zero in the last setpoint of a motion. Raises RlvlaError for a setpoint that the arm cannot
        follow without a jump; the arm then stays at the last one.
        """
        ...

    def hold(self) -> None:
        """Stay at the present pose with the motors on: what DISABLED means."""
        ...

    def stop(self) -> None:
        """Stop by the vendor's own stop, with brakes where there are any: what ESTOP means."""
        ...

    def recover(self) -> None:
        """Ask the vendor's controller to leave its fault; `faults` tells whether it did. The arm does not move."""
        ...

    def faults(self) -> tuple[str, ...]:
        """What keeps the arm from following, in the vendor's own words; empty while the arm follows.

        This is how a driver reports a fault and a recovery: a fault is over when it is gone from here, not when the
        arm answers again.
        """
        ...

    def close(self) -> None:
        """Hold, let go of the arm and close the connection; may be called twice."""
        ...
