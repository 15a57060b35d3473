"""The devices of teleoperation without ROS's help: what a Joy message, a key or a SpaceMouse report means."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rlvla_core.control.arbiter import OPERATOR_EVENTS
from rlvla_core.errors import RlvlaError
from rlvla_nodes.config_files import config_folder
from rlvla_nodes.teleop import keyboard
from rlvla_nodes.teleop.hold_to_run import HoldToRun
from rlvla_nodes.teleop.joy import read_joy
from rlvla_nodes.teleop.keyboard import Keys
from rlvla_nodes.teleop.profile import GamepadProfile, load_profile
from rlvla_nodes.teleop.reading import Reading, shape
from rlvla_nodes.teleop.spacemouse import SpaceMouse

GAMEPADS = config_folder() / "gamepads"
GAMEPAD, SPACEMOUSE = load_profile("gamepad"), load_profile("spacemouse")
FREE_AXES, FREE_BUTTONS = [0.0] * 6, [0] * 21


def buttons(*down: int, count: int = 21) -> list[int]:
    return [int(number in down) for number in range(count)]


@pytest.mark.parametrize("value", [0.0, 0.05, -0.1, 0.1])
def test_noise_inside_the_dead_zone_is_exactly_zero(value: float) -> None:
    assert shape([value], 0.1) == (0.0,)


def test_beyond_the_dead_zone_the_axis_grows_without_a_step_up_to_one() -> None:
    values = [shape([0.1 + 0.9 * step / 100], 0.1)[0] for step in range(101)]
    assert values == pytest.approx([step / 100 for step in range(101)])
    assert shape([-0.55], 0.1)[0] == pytest.approx(-0.5)
    assert shape([1.7, -3.0], 0.1) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("axes", "down", "direction", "sign"),
    [
        ({1: 1.0}, (), 0, 1),
        ({0: 1.0}, (), 1, 1),
        ({3: 1.0}, (), 2, 1),
        ({}, (14,), 3, 1),
        ({}, (13,), 3, -1),
        ({5: -1.0}, (), 4, 1),
        ({4: -1.0}, (), 4, -1),
        ({2: 1.0}, (), 5, 1),
    ],
)
def test_gamepad_directions(axes: dict[int, float], down: tuple[int, ...], direction: int, sign: int) -> None:
    reading = read_joy([axes.get(i, 0.0) for i in range(6)], buttons(*down), FREE_BUTTONS, GAMEPAD, 1.5)
    assert reading.axes == tuple(float(sign) if i == direction else 0.0 for i in range(6))
    assert reading.stamp_s == 1.5
    assert not reading.deadman


def test_a_press_is_seen_once_and_never_in_the_first_message() -> None:
    start = buttons(GAMEPAD.button_of("start"))
    assert read_joy(FREE_AXES, start, None, GAMEPAD, 0.0).events == ()
    assert read_joy(FREE_AXES, start, FREE_BUTTONS, GAMEPAD, 0.0).events == ("start",)
    assert read_joy(FREE_AXES, start, start, GAMEPAD, 0.0).events == ()
    estop = buttons(GAMEPAD.button_of("estop"))
    assert read_joy(FREE_AXES, estop, None, GAMEPAD, 0.0).events == ("estop",)


def test_every_event_has_a_button_and_no_button_has_two_meanings() -> None:
    assert {each.event for each in GAMEPAD.events} == set(OPERATOR_EVENTS)
    turned = [term.number for terms in GAMEPAD.directions.each() for term in terms if term.input == "button"]
    used = [GAMEPAD.deadman, GAMEPAD.enable, GAMEPAD.gripper, *(each.button for each in GAMEPAD.events), *turned]
    assert len(set(used)) == len(used)
    assert set(keyboard.EVENT_KEYS.values()) == set(OPERATOR_EVENTS)
    assert not set(keyboard.EVENT_KEYS) & {*keyboard.MOTION, keyboard.DEADMAN, keyboard.ENABLE, keyboard.GRIPPER}


@pytest.mark.parametrize("path", sorted(GAMEPADS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_short_message_names_the_profile_and_what_to_do(path: Path) -> None:
    profile = load_profile(str(path))
    with pytest.raises(RlvlaError, match=rf"2 axes and 1 buttons .*`{path.stem}`.*run .*_node"):
        read_joy([0.0] * 2, [0], None, profile, 0.0)


BREAKS = [
    (lambda d: d.update(dedman=3), "unknown key `dedman`"),
    (lambda d: d.pop("gripper"), "key `gripper` is missing"),
    (lambda d: d.update(deadman="RB"), "`deadman` is 'RB': write a whole number"),
    (lambda d: d.update(deadman=-1), "negative number"),
    (lambda d: d["directions"].pop("yaw"), r"key `directions\.yaw` is missing"),
    (lambda d: d["directions"]["up"][0].update(sign=2), "sign 1 or -1"),
    (lambda d: d["directions"]["up"][0].update(input="stick"), "write input axis or button"),
    (lambda d: d["events"].append({"event": "estop", "button": 5}), "'estop': write each of enable, .* at most once"),
    (lambda d: d["events"].append({"event": "fault", "button": 5}), "'fault': write each of enable"),
    (lambda d: d.update(name="other"), "`name` is 'other', write 'mine'"),
]


@pytest.mark.parametrize(("change", "line"), BREAKS)
def test_a_broken_profile_is_refused_by_file_and_key(tmp_path: Path, change: Callable, line: str) -> None:
    data = {**yaml.safe_load((GAMEPADS / "gamepad.yaml").read_text()), "name": "mine"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    assert isinstance(load_profile("mine", tmp_path), GamepadProfile)
    change(data)
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(RlvlaError, match=line) as raised:
        load_profile(str(path))
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_an_unknown_profile_lists_those_that_there_are() -> None:
    with pytest.raises(RlvlaError, match="unknown gamepad profile 'wheel': choose one of gamepad, spacemouse"):
        load_profile("wheel")


def test_an_axis_that_is_no_number_is_refused() -> None:
    with pytest.raises(RlvlaError, match="nan"):
        read_joy([math.nan, *FREE_AXES[1:]], FREE_BUTTONS, None, GAMEPAD, 0.0)


def test_the_spacemouse_shares_its_right_button_between_gripper_and_enable() -> None:
    free, left, right, both = [0, 0], [1, 0], [0, 1], [1, 1]
    alone = read_joy(FREE_AXES, right, free, SPACEMOUSE, 0.0)
    assert alone.enable and not alone.deadman and alone.gripper_presses == 0
    grip = read_joy(FREE_AXES, both, left, SPACEMOUSE, 0.0)
    assert grip.deadman and grip.gripper_presses == 1 and not grip.enable


def operate(hold: HoldToRun, now_s: float, **reading: object) -> None:
    hold.take(Reading(stamp_s=now_s, **reading), now_s)  # type: ignore[arg-type]


def new_hold() -> HoldToRun:
    return HoldToRun(steps=(0.005, 0.005, 0.005, 0.025, 0.025, -0.025), dead_zone=0.1, silence_s=0.15)


FULL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def test_a_deadman_that_was_never_seen_free_moves_nothing() -> None:
    hold = new_hold()
    operate(hold, 1.0, deadman=True, axes=FULL)
    assert hold.must_let_go
    assert not hold.propose(1.0).deadman and not hold.propose(1.0).moves
    operate(hold, 1.05)
    operate(hold, 1.10, deadman=True, axes=FULL)
    proposal = hold.propose(1.10)
    assert proposal.deadman
    assert proposal.delta == pytest.approx((0.005, 0, 0, 0, 0, -0.025, 1.0))


def test_without_the_deadman_sticks_move_nothing() -> None:
    hold = new_hold()
    operate(hold, 1.0, axes=FULL, enable=True, gripper_presses=1)
    proposal = hold.propose(1.0)
    assert proposal.delta == (0, 0, 0, 0, 0, 0, 1.0)
    assert not proposal.deadman and proposal.enable


def test_silence_releases_and_the_button_must_be_pressed_anew() -> None:
    hold = new_hold()
    operate(hold, 1.0)
    operate(hold, 1.1, deadman=True, enable=True, axes=FULL)
    assert hold.propose(1.24).moves
    silent = hold.propose(1.26)
    assert not silent.deadman and not silent.moves and not silent.enable
    operate(hold, 1.3, deadman=True, axes=FULL)
    assert not hold.propose(1.3).deadman, "back with the button still down"
    operate(hold, 1.35)
    operate(hold, 1.4, deadman=True, axes=FULL)
    assert hold.propose(1.4).moves


def test_silence_between_two_looks_is_noticed_by_the_next_reading() -> None:
    hold = new_hold()
    operate(hold, 1.0)
    operate(hold, 1.1, deadman=True)
    operate(hold, 1.4, deadman=True, axes=FULL)
    assert not hold.propose(1.4).moves


def test_the_gripper_keeps_its_state_over_releases() -> None:
    hold = new_hold()
    operate(hold, 1.00)
    operate(hold, 1.02, deadman=True, gripper_presses=1)
    operate(hold, 1.04)
    assert hold.propose(1.04).delta[6] == -1.0
    operate(hold, 1.06, deadman=True, gripper_presses=2)
    assert hold.propose(1.06).delta[6] == -1.0


def test_a_tapped_key_stops_in_time_and_a_held_one_goes_on() -> None:
    keys = Keys()
    assert keys.read(" w", 1.0, 5.0).axes[0] == 1.0
    assert keys.read("", 1.055, 5.0).axes[0] == 1.0
    stopped = keys.read("", 1.065, 5.0)
    assert stopped.axes[0] == 0.0 and stopped.deadman
    for number in range(30):
        at = 1.5 + number / 25
        assert keys.read("w", at, 5.0).axes[0] == 1.0
        assert keys.read("", at + 0.035, 5.0).axes[0] == 1.0


def test_no_motion_before_space_and_none_after_the_deadman_ran_out() -> None:
    keys = Keys()
    assert not keys.read("wwww", 1.0, 0.0).deadman
    assert keys.read(" ", 2.0, 0.0).deadman
    assert keys.read("w", 3.0, 0.0).deadman
    assert keys.read("", 3.0 + keyboard.DEADMAN_S - 0.01, 0.0).deadman
    assert not keys.read("", 3.0 + keyboard.DEADMAN_S, 0.0).deadman
    assert not keys.read("w", 3.1 + keyboard.DEADMAN_S, 0.0).deadman


def test_space_again_is_off_at_once_and_a_held_space_does_not_blink() -> None:
    keys = Keys()
    assert keys.read(" ", 1.0, 0.0).deadman
    assert not keys.read(" ", 1.05, 0.0).deadman
    assert not any(keys.read(" ", 1.05 + number / 30, 0.0).deadman for number in range(60))
    assert keys.read(" ", 5.0, 0.0).deadman


def test_arrow_keys_are_no_letters_even_in_two_pieces() -> None:
    keys = Keys()
    keys.read(" ", 1.0, 0.0)
    assert not any(keys.read("\x1b[D\x1bOA\x1b[1;5C", 1.1, 0.0).axes)
    assert not any(keys.read("\x1b[", 1.2, 0.0).axes)
    assert not any(keys.read("D", 1.21, 0.0).axes)
    assert keys.read("D", 1.3, 0.0).axes[1] == -1.0, "with the shift lock on"


def test_event_keys_repeat_once_a_press_and_enable_bridges_the_first_repeat() -> None:
    keys = Keys()
    assert keys.read("\r", 1.0, 0.0).events == ("estop",)
    assert keys.read("\n2", 1.5, 0.0).events == ("start",)
    assert keys.read("2", 3.0, 0.0).events == ("start",)
    assert keys.read("e", 10.0, 0.0).enable
    assert keys.read("", 10.6, 0.0).enable
    assert keys.read("e", 10.66, 0.0).enable
    assert keys.read("", 10.9, 0.0).enable
    assert not keys.read("", 11.0, 0.0).enable


@dataclasses.dataclass
class State:
    """As pyspacemouse.SpaceMouseState: one object that changes."""

    t: float = -1.0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    buttons: list[int] = dataclasses.field(default_factory=lambda: [0, 0])


class Recorded:
    """A recorded stream: (t, six axes, left, right); None where no report waits; an exception where the cable goes."""

    def __init__(self, *reports: tuple[float, ...] | Exception | None) -> None:
        self.reports, self.state, self.closed = list(reports), State(), False

    def read(self) -> State:
        report = self.reports.pop(0) if self.reports else None
        if isinstance(report, Exception):
            raise report
        if report is not None:
            t, *axes, left, right = report
            for name, value in zip(("x", "y", "z", "roll", "pitch", "yaw"), axes, strict=True):
                setattr(self.state, name, value)
            self.state.t, self.state.buttons = t, [int(left), int(right)]
        return self.state

    def close(self) -> None:
        self.closed = True


def test_spacemouse_takes_what_waits_and_loses_no_press() -> None:
    reader = Recorded(
        None,
        (0.01, 0.1, 0, 0, 0, 0, 0, 1, 0),
        (0.02, 0.2, 0, 0, 0, 0, 0, 1, 1),
        (0.03, 0.3, -0.4, 0.5, 0, 0, -1.0, 1, 0),
        None,
    )
    mouse = SpaceMouse(SPACEMOUSE, reader)
    assert mouse.poll(1.0) == Reading(stamp_s=1.0), "at rest"
    reading = mouse.poll(2.0)
    assert reading.axes == (0.3, -0.4, 0.5, 0.0, 0.0, -1.0)
    assert reading.deadman and reading.gripper_presses == 1 and reading.stamp_s == 2.0
    assert mouse.poll(3.0) == dataclasses.replace(reading, stamp_s=3.0, gripper_presses=0)
    mouse.close()
    assert reader.closed


def test_a_spacemouse_that_is_unplugged_is_one_clear_line() -> None:
    mouse = SpaceMouse(SPACEMOUSE, Recorded(None, OSError("No such device")))
    mouse.poll(1.0)
    with pytest.raises(RlvlaError, match=r"gone .*No such device.*plug it in"):
        mouse.poll(2.0)


def test_without_pyspacemouse_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspacemouse", None)
    with pytest.raises(RlvlaError, match=r"pip install pyspacemouse.*spacenav_node"):
        SpaceMouse(SPACEMOUSE)
