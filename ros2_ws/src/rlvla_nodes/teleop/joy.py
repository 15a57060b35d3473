"""sensor_msgs/Joy: any gamepad, and a SpaceMouse, through the drivers that ROS already has."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rlvla_core.errors import RlvlaError
from rlvla_nodes.teleop.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Term:
    """A part of one direction: an axis of the message, or a button that counts as a stick pushed to its end."""

    axis: int | None = None
    """Number in Joy.axes."""
    button: int | None = None
    """Number in Joy.buttons, where it is not an axis."""
    sign: float = 1.0
    """+1 or -1."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Which number of the message means what."""

    name: str
    """As in the parameter `profile`."""
    driver: str
    """The ROS node whose numbering this is."""
    directions: tuple[tuple[Term, ...], ...]
    """Six, in the order of `Reading.axes`; the terms of one are added."""
    deadman: int
    """Button."""
    enable: int
    """Button; where it is also `gripper`, it means the gripper while the deadman is held and enable otherwise."""
    gripper: int
    """Button."""
    events: Mapping[str, int] = field(default_factory=dict)
    """Event -> button."""
    keys: str
    """The map as the operator reads it."""

    @property
    def axes_needed(self) -> int:
        """Least length of Joy.axes."""
        return 1 + max(term.axis for terms in self.directions for term in terms if term.axis is not None)

    @property
    def buttons_needed(self) -> int:
        """Least length of Joy.buttons."""
        terms = [term.button for terms in self.directions for term in terms if term.button is not None]
        return 1 + max(self.deadman, self.enable, self.gripper, *self.events.values(), *terms)


def _axis(number: int, sign: float = 1.0) -> tuple[Term, ...]:
    return (Term(axis=number, sign=sign),)


GAMEPAD = Profile(
    name="gamepad",
    driver="`game_controller_node` of the package joy",
    # That node negates what SDL says: sticks are + up and left, a pulled trigger is -1 and a free one 0.
    directions=(
        _axis(1),
        _axis(0),
        _axis(3),
        (Term(button=14), Term(button=13, sign=-1.0)),
        (Term(axis=5, sign=-1.0), Term(axis=4)),
        _axis(2),
    ),
    deadman=10,
    enable=9,
    gripper=0,
    events={"estop": 1, "hold": 2, "clear_fault": 3, "reset": 4, "start": 6, "enable": 11, "disable": 12},
    keys="""\
hold  right shoulder (RB)   deadman: the arm follows the sticks
hold  left shoulder (LB)    operator enable: I watch, the policy may run
      left stick            forward, back, left, right
      right stick           up, down; yaw
      triggers LT, RT       pitch back, forward
      cross left, right     roll
press A                     gripper, while the deadman is held
press B                     E-STOP
press X                     hold
press START                 start the policy
press cross up, down        enable, disable the arm
press Y                     clear a fault
press BACK                  reset after an e-stop""",
)

SPACEMOUSE = Profile(
    name="spacemouse",
    driver="`spacenav_node` of the package spacenav, with full_scale 350 and /joy remapped to /spacenav/joy",
    directions=tuple(_axis(number) for number in range(6)),
    deadman=0,
    enable=1,
    gripper=1,
    keys="""\
hold  left button           deadman: the arm follows the cap in all six directions
press right button          gripper, while the deadman is held
hold  right button          operator enable without the deadman: I watch, the policy may run
no buttons are left for start, hold and e-stop: call arbiter/set_mode, or use another device for them""",
)

PROFILES = {profile.name: profile for profile in (GAMEPAD, SPACEMOUSE)}


def read_joy(
    axes: Sequence[float], buttons: Sequence[int], before: Sequence[int] | None, profile: Profile, stamp_s: float
) -> Reading:
    """What a Joy message says.

    `before`: the buttons of the message before, None at the first one. A button that is down in the first message was
    not pressed now, so it causes nothing; only the e-stop does not ask how long it has been down.
    Raises RlvlaError where the message is too short for the profile or holds an axis that is no number.
    """
    if len(axes) < profile.axes_needed or len(buttons) < profile.buttons_needed:
        others = ", ".join(name for name in PROFILES if name != profile.name)
        raise RlvlaError(
            f"a Joy message of {len(axes)} axes and {len(buttons)} buttons does not fit the profile `{profile.name}`, "
            f"which needs {profile.axes_needed} and {profile.buttons_needed}: run {profile.driver}, or choose profile "
            f"{others}"
        )
    if not all(math.isfinite(axis) for axis in axes):
        raise RlvlaError(f"a Joy message has the axes {list(axes)}: every one must be a number, look at its driver")

    def down(number: int) -> bool:
        return bool(buttons[number])

    def pressed(number: int) -> bool:
        return before is not None and down(number) and not before[number]

    deadman = down(profile.deadman)
    taken_by_gripper = deadman and profile.enable == profile.gripper
    estop = profile.events.get("estop")
    return Reading(
        stamp_s=stamp_s,
        axes=tuple(sum(_value(term, axes, buttons) for term in terms) for terms in profile.directions),
        deadman=deadman,
        enable=down(profile.enable) and not taken_by_gripper,
        gripper_presses=int(deadman and pressed(profile.gripper)),
        events=tuple(
            event
            for event, number in profile.events.items()
            if pressed(number) or (number == estop and before is None and down(number))
        ),
    )


def _value(term: Term, axes: Sequence[float], buttons: Sequence[int]) -> float:
    if term.axis is not None:
        return term.sign * axes[term.axis]
    return term.sign * float(buttons[term.button or 0])
