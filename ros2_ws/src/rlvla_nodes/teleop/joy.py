"""Readings from sensor_msgs/Joy: any gamepad, and a SpaceMouse, through the drivers that ROS already has."""

import math
from collections.abc import Sequence

from rlvla_core.errors import RlvlaError
from rlvla_nodes.teleop.profile import GamepadProfile, Term
from rlvla_nodes.teleop.reading import Reading


def read_joy(
    axes: Sequence[float],
    buttons: Sequence[int],
    before: Sequence[int] | None,
    profile: GamepadProfile,
    stamp_s: float,
) -> Reading:
    """What a Joy message says, by a profile.

    `before`: the buttons of the message before, None at the first one. A button that is down in the first message was
    not pressed now, so it causes nothing; only the e-stop counts however long it has been down.
    Raises RlvlaError if the message is too short for the profile or holds an axis that is no finite number.
    """
    if len(axes) < profile.axes_needed or len(buttons) < profile.buttons_needed:
        raise RlvlaError(
            f"a Joy message of {len(axes)} axes and {len(buttons)} buttons does not fit the profile `{profile.name}`, "
            f"which needs {profile.axes_needed} and {profile.buttons_needed}: run {profile.driver}, or choose another "
            "profile of config/gamepads"
        )
    if not all(math.isfinite(axis) for axis in axes):
        raise RlvlaError(f"a Joy message has the axes {list(axes)}: every one must be a number, look at its driver")

    def down(number: int) -> bool:
        return bool(buttons[number])

    def pressed(number: int) -> bool:
        return before is not None and down(number) and not before[number]

    deadman = down(profile.deadman)
    taken_by_gripper = deadman and profile.enable == profile.gripper
    estop = profile.button_of("estop")
    return Reading(
        stamp_s=stamp_s,
        axes=tuple(sum(_value(term, axes, buttons) for term in terms) for terms in profile.directions.each()),
        deadman=deadman,
        enable=down(profile.enable) and not taken_by_gripper,
        gripper_presses=int(deadman and pressed(profile.gripper)),
        events=tuple(
            each.event
            for each in profile.events
            if pressed(each.button) or (each.button == estop and before is None and down(each.button))
        ),
    )


def _value(term: Term, axes: Sequence[float], buttons: Sequence[int]) -> float:
    return term.sign * float((axes if term.input == "axis" else buttons)[term.number])
