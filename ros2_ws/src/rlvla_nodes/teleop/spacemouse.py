"""A SpaceMouse on this machine without a ROS driver, through the optional package pyspacemouse."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from rlvla_core.errors import RlvlaError
from rlvla_nodes.teleop.joy import SPACEMOUSE, read_joy
from rlvla_nodes.teleop.reading import Reading

MAX_REPORTS = 100
"""Reports taken in one poll: a device sends about a hundred a second, so more than this is a stream without an end."""


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
    """What is needed of pyspacemouse.SpaceMouseDevice."""

    def read(self) -> State:
        """Take one report if one waits; the state after it. `t` stays as it was where none waited."""
        ...

    def close(self) -> None: ...


class SpaceMouse:
    """Six axes and two buttons, the same map as the Joy profile `spacemouse`."""

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = reader or _open()
        self._before: list[int] | None = None
        self._t = -1.0

    def poll(self, stamp_s: float) -> Reading:
        """The newest state. Presses between two polls are not lost: reports are taken one by one."""
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
            reading = read_joy(axes, buttons, self._before, SPACEMOUSE, stamp_s)
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
