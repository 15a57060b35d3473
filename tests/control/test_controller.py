"""Arbiter, filter and watchdogs together: one arm, one clock, no ROS."""

import numpy as np
import pytest
from control_arms import ARMS, command, start_of

from rlvla_core.control.arbiter import ArbiterConfig, Event, Mode
from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import Verdict
from rlvla_core.control.controller import ArmController
from rlvla_sim.robots import robot

TICK = 0.01
SIDE = [0.0, 0.02, 0.0, 0.0, 0.0, 0.0]


class Cell:
    """An arm that follows at once, and a clock."""

    def __init__(self, **deadmen) -> None:
        self.now, self.step = 10.0, 0
        self.changes: list[tuple[Mode, Mode, str]] = []
        self.joints = start_of("widowx250s")
        self.controller = ArmController(
            ArmConfig.from_yaml(ARMS / "widowx250s.yaml"),
            TICK,
            lambda *change: self.changes.append(change),
            deadmen=ArbiterConfig(**{"operator_required": False, **deadmen}),
            camera_silence_s=0.4,
            policy_silence_s=0.45,
        )
        self.camera = self.driver = self.follows = True

    def run(self, seconds: float) -> np.ndarray:
        """Let time pass; the joints that were commanded, [n, d]."""
        points = []
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            if self.driver:
                self.controller.measured(self.joints, 0.037, self.now)
            if self.camera:
                self.controller.watchdogs.feed("camera", self.now)
            setpoint = self.controller.tick(self.now)
            if setpoint is not None:
                points.append(setpoint.joints)
                if self.follows:
                    self.joints = setpoint.joints.copy()
        return np.array(points)

    def policy(self, delta=SIDE):
        self.step += 1
        return self.controller.policy(command(delta, self.step, self.now), self.controller.arbiter.epoch, self.now)

    def teleop(self, deadman: bool):
        self.step += 1
        given = command([0.0, 0.004, 0.0, 0.0, 0.0, 0.0], self.step, self.now, source="teleop")
        return self.controller.teleop(given, 0, self.now, deadman=deadman, operator=True)

    def cause(self, event: Event, reason: str = "") -> str:
        return self.controller.cause(event, self.now, reason)


@pytest.fixture
def cell() -> Cell:
    cell = Cell()
    cell.controller.describe(robot("widowx250s").urdf().read_text())
    cell.run(0.05)
    return cell


@pytest.fixture
def moving(cell: Cell) -> Cell:
    assert not cell.cause(Event.ENABLE)
    assert not cell.cause(Event.START)
    cell.run(0.02)
    assert isinstance(cell.policy(), Verdict)
    assert np.ptp(cell.run(0.06), axis=0).max() > 1e-3
    return cell


def test_nothing_is_commanded_before_enable():
    cell = Cell()
    assert "no robot description" in cell.cause(Event.ENABLE)
    cell.controller.describe(robot("widowx250s").urdf().read_text())
    assert "no fresh joint states" in cell.cause(Event.ENABLE)
    assert len(cell.run(0.1)) == 0
    assert cell.cause(Event.ENABLE) == ""
    assert np.ptp(cell.run(0.1), axis=0).max() == 0.0


def test_estop_freezes_the_command_at_once(moving: Cell):
    before = moving.controller.setpoint.joints.copy()
    moving.cause(Event.ESTOP, "button")
    assert np.array_equal(moving.controller.advance().joints, before)
    assert len(moving.run(0.2)) == 0
    assert "needs a reason" in moving.cause(Event.RESET)
    assert moving.cause(Event.RESET, "freed") == "" and moving.controller.mode is Mode.DISABLED


def test_a_silent_policy_or_camera_holds_and_coming_back_is_not_enough(moving: Cell):
    moving.run(0.6)
    assert moving.controller.mode is Mode.HOLD
    assert "policy" in moving.changes[-1][2]
    assert isinstance(moving.policy(), str)
    assert np.ptp(moving.run(0.2), axis=0).max() == 0.0
    assert moving.cause(Event.START) == ""
    moving.camera = False
    for _ in range(3):
        moving.run(0.2)
        moving.policy()
    assert moving.controller.mode is Mode.HOLD and "camera" in moving.changes[-1][2]


def test_answers_of_an_older_epoch_or_to_an_older_image_are_refused(moving: Cell):
    epoch = moving.controller.arbiter.epoch
    moving.cause(Event.HOLD)
    seen = moving.now
    moving.run(0.05)
    moving.cause(Event.START)
    old = moving.controller.policy(command(SIDE, 99, moving.now), epoch, moving.now)
    assert isinstance(old, str) and "epoch" in old
    late = command(SIDE, 100, moving.now, observed_at=seen)
    assert "before the policy was started" in moving.controller.policy(late, epoch + 1, moving.now)


def test_letting_go_of_the_deadman_brings_the_arm_to_rest_and_only_a_new_press_takes_over_again(moving: Cell):
    moving.teleop(deadman=False)
    for _ in range(5):
        moving.teleop(deadman=True)
        moving.run(0.05)
    assert moving.controller.mode is Mode.TELEOP
    moving.teleop(deadman=False)
    assert moving.controller.mode is Mode.HOLD
    after = moving.run(0.3)
    assert np.abs(np.diff(after[10:], axis=0)).max() == 0.0, "at rest within 100 ms"
    moving.teleop(deadman=True)
    moving.run(0.3)  # the device falls silent
    assert moving.controller.mode is Mode.HOLD
    moving.teleop(deadman=True)
    assert moving.controller.mode is Mode.HOLD, "still the same press"
    moving.teleop(deadman=False)
    moving.teleop(deadman=True)
    assert moving.controller.mode is Mode.TELEOP


def test_after_a_fault_the_command_begins_where_the_arm_is(moving: Cell):
    moving.follows = False
    for _ in range(12):
        moving.run(0.2)
        moving.policy()
    assert moving.controller.mode is Mode.FAULT
    assert "away from its command" in moving.changes[-1][2]
    assert np.abs(moving.controller.setpoint.joints - moving.joints).max() > 0.01
    assert moving.cause(Event.CLEAR_FAULT) == "" and moving.controller.mode is Mode.HOLD
    assert np.array_equal(moving.run(0.01)[0], moving.joints)


def test_lost_joint_states_and_a_stopped_process_are_faults(moving: Cell):
    moving.driver = False
    moving.run(0.25)
    assert moving.controller.mode is Mode.FAULT
    assert "no fresh joint states" in moving.cause(Event.CLEAR_FAULT)
    moving.driver = True
    moving.run(0.05)
    moving.cause(Event.CLEAR_FAULT)
    moving.cause(Event.START)
    moving.now += 5.0
    moving.run(0.02)
    assert moving.controller.mode is Mode.FAULT and "leapt" in moving.changes[-1][2]


def test_a_real_arm_needs_somebody_who_watches():
    cell = Cell(operator_required=True)
    cell.controller.describe(robot("widowx250s").urdf().read_text())
    cell.run(0.05)
    cell.cause(Event.ENABLE)
    assert "operator's heartbeat" in cell.cause(Event.START)
    cell.teleop(deadman=False)
    assert cell.cause(Event.START) == ""
    for _ in range(7):
        cell.run(0.2)
        cell.policy()
    assert cell.controller.mode is Mode.HOLD and "operator" in cell.changes[-1][2]
