"""A SpaceMouse on this machine without a ROS driver, through the optional package pyspacemouse."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from rlvla_core.errors import RlvlaError
from rlvla_nodes.teleop.joy import read_joy
from rlvla_nodes.teleop.profile import GamepadProfile
from rlvla_nodes.teleop.reading import Reading

MAX_REPORTS = 100
"""Most reports that one poll takes; a device sends about a hundred a second."""


class State(Protocol):
    """pyspacemouse.SpaceMouseState in its ROS convention: x forward, y left, z up, rotations about these, -1..1."""

    t: float
    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float
    buttons: Sequence[int]


class Reader(Protocol):
    """The part of pyspacemouse.SpaceMouseDevice that is used."""

    def read(self) -> State:
        """Take one report if one waits, and return the state; its `t` stays as it was if none waited."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


class SpaceMouse:
    """A SpaceMouse as a teleop device: six axes and two buttons."""

    def __init__(self, profile: GamepadProfile, reader: Reader | None = None) -> None:
        """`profile`: meaning of axes and buttons. `reader`: an open device; None opens the first one that is found."""
        self._profile = profile
        self._reader = reader or _open()
        self._before: list[int] | None = None
        self._t = -1.0

    def poll(self, stamp_s: float) -> Reading:
        """The newest reading. Presses between two polls are not lost, because reports are taken one by one."""
        presses = 0
        for _ in range(MAX_REPORTS):
            try:
                state = self._reader.read()
            # easyhid raises HIDException, the kernel OSError; both mean that the cable is out.
            except Exception as error:
                raise RlvlaError(f"the SpaceMouse is gone ({error}): plug it in and start the node again") from error
            # The reader gives the same object every time, so its numbers are copied now.
            axes = (state.x, state.y, state.z, state.roll, state.pitch, state.yaw)
            buttons = list(state.buttons)
            reading = read_joy(axes, buttons, self._before, self._profile, stamp_s)
            self._before = buttons
            presses += reading.gripper_presses
            if state.t == self._t:
                break
            self._t = state.t
        return dataclasses.replace(reading, gripper_presses=presses)

    def close(self) -> None:
        """Give the device back."""
        self._reader.close()


def _open() -> Reader:
    try:
        import pyspacemouse
    # Without the system's libhidapi the import fails with an error of cffi.
    except Exception as error:
        raise RlvlaError(
            f"no SpaceMouse without pyspacemouse ({error}): `pip install pyspacemouse` and the system's libhidapi, or "
            "run spacenav_node and choose `device:=joy profile:=spacemouse`"
        ) from error
    try:
        return pyspacemouse.open(axis_convention=pyspacemouse.AxisConvention.ROS)
    except Exception as error:
        raise RlvlaError(
            f"no SpaceMouse could be opened ({error}): plug it in and give this user the right to read it (a udev "
            "rule), or run spacenav_node and choose `device:=joy profile:=spacemouse`"
        ) from error
