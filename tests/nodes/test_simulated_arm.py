"""The simulated arm by its driver's protocol: it follows, its clock is the simulated time, a jump moves nothing."""

import inspect

import numpy as np
import pytest

from rlvla_core.errors import RlvlaError
from rlvla_nodes.drivers.driver import ArmDriver
from rlvla_nodes.drivers.simulated import MAX_LAG_S, SimulatedArm
from rlvla_sim.robots import robot


@pytest.fixture(scope="module")
def connected() -> SimulatedArm:
    arm = SimulatedArm(
        robot="widowx250s",
        image_width=64,
        image_height=64,
        view="whole",
        assets="procedural",
        episode_set="train",
        max_steps=0,
        max_jump_rad=0.3,
    )
    arm.connect()
    return arm


@pytest.fixture
def arm(connected: SimulatedArm) -> SimulatedArm:
    """At the start of an episode, at time 100 of the caller's clock."""
    connected.reset(5, 100.0)
    return connected


def test_it_keeps_the_protocol(arm: SimulatedArm) -> None:
    driver: ArmDriver = arm
    for name, method in vars(ArmDriver).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            assert inspect.signature(method).parameters == inspect.signature(getattr(type(arm), name)).parameters, name
    assert driver.joint_names == robot("widowx250s").arm_joints
    assert driver.faults() == ()


def test_it_follows_a_setpoint_in_real_time_and_stops_where_it_is(arm: SimulatedArm) -> None:
    before = arm.read()
    goal = before.joints + np.linspace(-0.1, 0.1, 6)
    arm.send(goal, np.zeros(6), 0.02)
    for tick in range(1, 201):
        arm.keep_up(100.0 + 0.01 * tick)
    after = arm.read()
    assert np.abs(after.joints - goal).max() < 0.02
    assert after.opening == pytest.approx(0.02, abs=0.003) and before.opening > 0.03
    assert after.clock_s - before.clock_s == pytest.approx(2.0, abs=0.01)
    arm.send(goal - 0.2, np.zeros(6), 0.02)
    arm.keep_up(102.2)
    arm.stop()
    here = arm.read().joints
    arm.keep_up(102.6)
    assert np.abs(here - goal).max() > 0.03
    assert np.abs(arm.sim_robot.target[0] - here).max() == 0.0


def test_one_period_of_lock_step_is_one_control_period(arm: SimulatedArm) -> None:
    before, points = arm.read(), 20
    joints = before.joints + np.linspace(0.0, 0.05, points)[:, None]
    arm.play(joints, np.full(points, before.opening), 0.01)
    assert arm.read().clock_s - before.clock_s == pytest.approx(0.2)
    assert np.array_equal(arm.sim_robot.target[0], joints[-1])


@pytest.mark.parametrize(("change", "line"), [(0.4, "jumps by 0.400 rad"), (float("nan"), "not finite")])
def test_a_target_that_jumps_moves_nothing(arm: SimulatedArm, change: float, line: str) -> None:
    target = arm.sim_robot.target[0].copy()
    with pytest.raises(RlvlaError, match=line):
        arm.send(target + change, np.zeros(6), 0.02)
    with pytest.raises(RlvlaError, match=line):
        arm.play(np.array([target, target + change]), np.array([0.02, 0.02]), 0.01)
    assert np.array_equal(arm.sim_robot.target[0], target)


def test_a_lag_is_counted_and_not_made_up_for(arm: SimulatedArm) -> None:
    before, late = arm.read().clock_s, arm.late_s
    arm.keep_up(100.0 + 2 * MAX_LAG_S)
    assert arm.read().clock_s == before
    assert arm.late_s - late == pytest.approx(2 * MAX_LAG_S, abs=0.01)
    arm.keep_up(100.1 + 2 * MAX_LAG_S)
    assert arm.read().clock_s - before == pytest.approx(0.1, abs=0.02)
