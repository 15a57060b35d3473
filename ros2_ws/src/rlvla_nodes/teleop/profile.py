"""Gamepad profiles, read from config/gamepads/*.yaml: what each axis and button of a sensor_msgs/Joy message means."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from rlvla_core.control.arbiter import OPERATOR_EVENTS
from rlvla_core.errors import RlvlaError
from rlvla_core.storage.strict import load_yaml
from rlvla_nodes.config_files import config_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One part of a direction: an axis of the message, or a button that counts as a stick pushed to its end."""

    input: str
    """`axis` or `button`."""
    number: int
    """Place in Joy.axes or Joy.buttons, from 0."""
    sign: float
    """+1 or -1."""

    def __post_init__(self) -> None:
        if self.input not in ("axis", "button") or self.number < 0 or abs(self.sign) != 1.0:
            raise RlvlaError(f"{self}: write input axis or button, a number from 0, and sign 1 or -1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Directions:
    """The parts of each direction in the arm's base frame; the parts of one direction are added."""

    forward: tuple[Term, ...]
    """Along x."""
    left: tuple[Term, ...]
    """Along y."""
    up: tuple[Term, ...]
    """Along z."""
    roll: tuple[Term, ...]
    """About x."""
    pitch: tuple[Term, ...]
    """About y."""
    yaw: tuple[Term, ...]
    """About z."""

    def each(self) -> tuple[tuple[Term, ...], ...]:
        """The six directions in the order of `Reading.axes`."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class EventButton:
    """A button that causes one of the operator's events."""

    event: str
    """One of OPERATOR_EVENTS."""
    button: int
    """Place in Joy.buttons, from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GamepadProfile:
    """The meaning of every axis and button of one kind of device."""

    name: str
    """The profile's name: that of its file without .yaml."""
    driver: str
    """The ROS node whose numbering this is, for messages."""
    directions: Directions
    """What moves the arm."""
    deadman: int
    """Button that is held while the arm follows the device."""
    enable: int
    """Button of the operator's heartbeat. If it is also `gripper`, it means the gripper while the deadman is held."""
    gripper: int
    """Button that opens or closes the gripper."""
    events: tuple[EventButton, ...]
    """Buttons that cause events; may be empty."""
    keys: str
    """The map as the operator reads it."""

    def __post_init__(self) -> None:
        names = [each.event for each in self.events]
        for name in names:
            if name not in OPERATOR_EVENTS or names.count(name) > 1:
                raise RlvlaError(f"`events` has {name!r}: write each of {', '.join(OPERATOR_EVENTS)} at most once")
        if min(self.deadman, self.enable, self.gripper, *(each.button for each in self.events)) < 0:
            raise RlvlaError("a button has a negative number: buttons count from 0")

    @property
    def axes_needed(self) -> int:
        """Least length of Joy.axes."""
        return 1 + max((term.number for term in self._terms("axis")), default=-1)

    @property
    def buttons_needed(self) -> int:
        """Least length of Joy.buttons."""
        turned = [term.number for term in self._terms("button")]
        return 1 + max(self.deadman, self.enable, self.gripper, *(each.button for each in self.events), *turned)

    def button_of(self, event: str) -> int | None:
        """Button that causes an event; None if there is none."""
        return next((each.button for each in self.events if each.event == event), None)

    def _terms(self, kind: str) -> list[Term]:
        return [term for terms in self.directions.each() for term in terms if term.input == kind]


def load_profile(name: str, folder: Path | None = None) -> GamepadProfile:
    """The profile of that name in config/gamepads, or the one in the YAML file of that path.

    `folder`: where the profiles are; None: in the package's own configuration. Raises RlvlaError that names the file
    and the key, or lists the profiles that there are.
    """
    path = Path(name)
    if path.suffix != ".yaml":
        folder = folder or config_folder() / "gamepads"
        path = folder / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(each.stem for each in folder.glob("*.yaml")))
            raise RlvlaError(f"unknown gamepad profile {name!r}: choose one of {known}, or the path of a YAML file")
    profile = load_yaml(GamepadProfile, path)
    if profile.name != path.stem:
        raise RlvlaError(f"{path}: `name` is {profile.name!r}, write {path.stem!r} as the file is called")
    return profile
