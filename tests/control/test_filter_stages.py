"""Each stage of the safety filter by its property: what is vetoed, what is clamped, and that a veto changes nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from control_arms import NAMES, TICK, arm_of, chain_of, command, filter_of, lowest_tip, settle, start_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.plan import Plan
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_core.errors import RlvlaError
from rlvla_sim.kinematics import DeltaPoseController
from rlvla_sim.robots import robot

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
numbers = st.floats(-0.03, 0.03)


def codes(verdict, kind="clamp"):
    return [note.code for note in verdict.interventions if note.verdict == kind]


def moving_filter(name="widowx250s"):
    """In the middle of a motion, with step 5 of the policy used up."""
    safety = filter_of(name)
    assert safety.propose(command([0.03, 0.01, -0.02, 0, 0, 0.2], step=5), 0.0).accepted
    for _ in range(4):
        safety.tick()
    return safety


def trace(safety):
    """What the arm does when nothing more is said."""
    return settle(safety)


BAD = {
    "malformed": [
        {"delta": [0.0] * 7},
        {"delta": None},
        {"delta": np.zeros(6)},
        {"delta": np.zeros((1, 7))},
        {"delta": np.array(["0"] * 7)},
        {"delta": np.zeros(7, dtype=complex)},
        {"delta": np.zeros(7, dtype=object)},
        {"source": "ghost"},
        {"step": 6.5},
        {"step": True},
        {"observed_at": None},
        {"issued_at": "now"},
    ],
    "not_finite": [
        {"delta": np.array([0, 0, math.nan, 0, 0, 0, 1])},
        {"delta": np.array([0, 0, 0, 0, 0, 0, math.nan])},
        {"delta": np.array([math.inf, 0, 0, 0, 0, 0, 1])},
        {"delta": np.array([0, 0, 0, 0, -math.inf, 0, 1])},
        {"observed_at": math.nan},
        {"issued_at": -math.inf},
    ],
    "future": [{"issued_at": 1.1}, {"observed_at": 1.1}],
    "stale_observation": [{"observed_at": 0.59}],
    "stale_command": [{"issued_at": 0.74}],
    "replay": [{"step": 5}, {"step": 4}, {"step": -1}],
}


@pytest.mark.parametrize(("code", "changes"), [(code, change) for code in BAD for change in BAD[code]])
def test_a_bad_command_is_vetoed_and_the_plan_goes_on(code, changes):
    expected = trace(moving_filter())
    safety, good = moving_filter(), command([0.0, 0.02, 0.02, 0, 0, 0], step=6, now=1.0)
    fields = {key: getattr(good, key) for key in ("source", "step", "delta", "observed_at", "issued_at")}
    target = safety.target
    verdict = safety.propose(type(good)(**{**fields, **changes}), 1.0)
    assert not verdict.accepted
    assert codes(verdict, "veto") == [code]
    assert verdict.interventions[-1].after == ()
    assert np.array_equal(safety.target, target)
    assert np.array_equal(trace(safety), expected)


def test_what_was_refused_would_have_been_accepted_without_its_fault():
    assert moving_filter().propose(command([0.0, 0.02, 0.02, 0, 0, 0], step=6, now=1.0), 1.0).accepted
    at_limits = {"observed_at": 0.61, "issued_at": 0.76}
    assert moving_filter().propose(command([0.0, 0.02, 0.02, 0, 0, 0], step=6, now=1.0, **at_limits), 1.0).accepted


def test_steps_are_counted_per_source_and_vetoed_steps_are_not_used_up():
    safety = moving_filter()
    assert safety.propose(command([0, 0, 0.01, 0, 0, 0], step=1, source="teleop"), 0.0).accepted
    assert codes(safety.propose(command([math.nan, 0, 0, 0, 0, 0], step=9), 0.0), "veto") == ["not_finite"]
    assert safety.propose(command([0, 0, 0.01, 0, 0, 0], step=9), 0.0).accepted
    safety.restart("policy")
    assert safety.propose(command([0, 0, 0.01, 0, 0, 0], step=0), 0.0).accepted
    assert not safety.propose(command([0, 0, 0.01, 0, 0, 0], step=1, source="teleop"), 0.0).accepted


@pytest.mark.parametrize("name", NAMES)
def test_within_the_limits_a_delta_means_what_it_means_in_the_simulator(name):
    safety, chain, rng = filter_of(name), chain_of(name), np.random.default_rng(0)
    controller = DeltaPoseController(chain, start_of(name)[None])
    for step in range(40):
        delta = np.concatenate([rng.normal(size=3) * 0.01, rng.normal(size=3) * [0.01, 0.01, 0.05], [1.0]])
        verdict = safety.propose(command(delta, step=step), 0.0)
        controller.step(np.array([0]), delta[None, :6])
        assert verdict.accepted and verdict.interventions == ()
        assert safety.target == pytest.approx(controller.targets[0], abs=1e-9)
        assert settle(safety)[-1] == pytest.approx(controller.joints[0], abs=1e-6)


@FEW
@given(st.lists(st.floats(-1e300, 1e300), min_size=6, max_size=6), st.sampled_from(NAMES))
def test_no_command_moves_the_target_further_than_one_step(delta, name):
    safety, motion = filter_of(name), arm_of(name).config.motion
    before = safety.target
    safety.propose(command(delta), 0.0)
    after = safety.target
    assert np.linalg.norm(after[:3, 3] - before[:3, 3]) <= motion.step_length + 2e-6
    cosine = 0.5 * (np.trace(after[:3, :3] @ before[:3, :3].T) - 1)
    assert math.acos(min(1.0, cosine)) <= motion.step_turn + 2e-6


@FEW
@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.08))
def test_a_long_step_keeps_its_direction(direction):
    safety = filter_of("widowx250s")
    before = safety.target[:3, 3]
    verdict = safety.propose(command([*direction, 0, 0, 0]), 0.0)
    assert "step_length" in codes(verdict)
    note = verdict.interventions[0]
    assert np.linalg.norm(note.after) == pytest.approx(0.07)
    assert np.cross(note.before, note.after) == pytest.approx(np.zeros(3), abs=1e-12)
    if codes(verdict) == ["step_length"]:
        assert safety.target[:3, 3] - before == pytest.approx(note.after, abs=1e-9)


def test_a_large_turn_keeps_its_axis_and_a_full_circle_is_no_small_turn():
    safety = filter_of("widowx250s")
    verdict = safety.propose(command([0, 0, 0, 0, 0, 1.5]), 0.0)
    assert codes(verdict) == ["step_turn"]
    assert verdict.interventions[0].after == pytest.approx((0, 0, 0.35))
    verdict = safety.propose(command([0, 0, 0, 0, 0, 2 * math.pi + 0.1], step=2), 0.0)
    assert codes(verdict) == ["step_turn"]
    assert verdict.interventions[0].after == pytest.approx((0, 0, 0.35))


def at_the_table(name):
    """As low as commands straight down bring the hand, at rest."""
    safety = filter_of(name)
    for step in range(12):
        safety.propose(command([0, 0, -0.02, 0, 0, 0], step=step), 0.0)
        settle(safety)
    safety.restart("policy")
    return safety


@pytest.mark.parametrize("name", NAMES)
def test_straight_down_ends_above_the_table(name):
    safety = at_the_table(name)
    assert lowest_tip(name, safety.joints[None]) == pytest.approx(0.001, abs=2e-4)


@FEW
@given(numbers, numbers, st.floats(-0.05, -0.002), st.sampled_from(NAMES))
def test_at_the_table_the_hand_slides_on_in_the_free_directions(x, y, down, name):
    x, y = 0.5 * x, 0.5 * y
    safety = at_the_table(name)
    before = safety.target
    verdict = safety.propose(command([x, y, down, 0, 0, 0]), 0.0)
    assert verdict.accepted
    assert "workspace" in codes(verdict)
    moved = safety.target[:3, 3] - before[:3, 3]
    assert moved == pytest.approx([x, y, 0.0], abs=5e-4)
    assert moved[:2] == pytest.approx([x, y], abs=1e-9)
    assert lowest_tip(name, settle(safety)) > -2e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("axis", "sign"), [(0, 1), (0, -1), (1, 1), (1, -1), (2, 1)])
def test_driven_into_a_wall_every_way_the_hand_stays_inside(name, axis, sign):
    """The other way across still works at the wall, and tcp and fingertips never pass it."""
    safety, arm, delta = filter_of(name), arm_of(name), np.zeros(7)
    delta[axis], delta[6], seen, joints = 0.04 * sign, 1.0, set(), []
    for step in range(25):
        verdict = safety.propose(command(delta, step=step), 0.0)
        seen |= {note.code for note in verdict.interventions}
        joints.append(settle(safety))
    assert seen & {"workspace", "reach", "singularity"}
    points = arm.points(chain_of(name).forward(np.concatenate(joints)))[:, arm.tips]
    assert (points >= np.array(arm.config.workspace.box_min) - 2e-6).all()
    assert (points <= np.array(arm.config.workspace.box_max) + 2e-6).all()
    assert safety.propose(command(-delta, step=99), 0.0).accepted


def test_a_wall_never_moves_the_arm_by_itself():
    """Measured 2 mm above the table, where goals would keep 1 mm and more: a zero command is a zero motion."""
    name = "widowx250s"
    safety = at_the_table(name)
    low = safety.joints
    low[1] += 0.002
    height = lowest_tip(name, low[None])
    assert -0.005 < height < 0.001
    safety.sync(low, 0.03, 0.0)
    assert safety.propose(command([0.0] * 6), 0.0).accepted
    assert np.array_equal(settle(safety)[-1], low)


def test_a_hand_below_the_table_may_only_rise():
    name = "widowx250s"
    safety, arm = at_the_table(name), arm_of(name)
    low = safety.joints
    while lowest_tip(name, low[None]) > -0.004:
        low[1] += 0.001
    safety.sync(low, 0.03, 0.0)
    depth = lowest_tip(name, low[None])
    for step, delta in enumerate([[0.01, 0, -0.02], [0, 0.02, -0.02], [0, 0, -0.04], [0, 0, 0.01]]):
        verdict = safety.propose(command([*delta, 0, 0, 0], step=step), 0.0)
        assert lowest_tip(name, settle(safety)) >= depth - 1e-9
    assert verdict.accepted
    assert lowest_tip(name, safety.joints[None]) > depth + 0.008
    assert arm.config.workspace.table_z == -0.0005


def test_joint_limits_are_kept_with_their_margin():
    """Yaw for ever: wrist_rotate has to stop before its limit."""
    safety, arm = filter_of("widowx250s"), arm_of("widowx250s")
    highest, seen = -math.inf, set()
    for step in range(60):
        verdict = safety.propose(command([0, 0, 0, 0, 0, -0.3], step=step), 0.0)
        seen |= {note.code for note in verdict.interventions}
        highest = max(highest, settle(safety)[:, 5].max())
    assert highest <= arm.upper[5] + 1e-6
    assert highest > arm.upper[5] - 0.5
    assert seen & {"reach", "joint_limits", "joint_step"}


def test_a_small_step_of_the_hand_must_not_ask_for_a_large_one_of_a_joint():
    """The same command where joints may change by 0.05 rad only: half or a quarter of it is taken."""
    config = arm_of("widowx250s").config
    tight = replace(config, motion=replace(config.motion, joint_step=0.05))
    safety = SafetyFilter(ArmModel(robot("widowx250s").urdf().read_text(), tight), TICK)
    safety.sync(start_of("widowx250s"), 0.03, 0.0)
    before = safety.target[:3, 3]
    assert codes(safety.propose(command([0, 0.04, 0, 0, 0, 0]), 0.0)) == ["joint_step"]
    assert np.linalg.norm(safety.target[:3, 3] - before) < 0.021
    assert 0.02 < np.abs(settle(safety)[-1] - start_of("widowx250s")).max() <= 0.05
    assert codes(safety.propose(command([0, 0, 0, 0, 0, 0.34], step=2), 0.0), "veto") == ["joint_step"]


def test_towards_a_singularity_steps_get_shorter_and_then_none_and_out_is_free():
    """Turn the WidowX's hand up until wrist_angle would be 0, where forearm and wrist roll about one line."""
    safety, arm = filter_of("widowx250s"), arm_of("widowx250s")
    seen, conditions = [], []
    for step in range(30):
        verdict = safety.propose(command([0, 0, 0.005, 0, -0.1, 0], step=step), 0.0)
        seen += [note.code for note in verdict.interventions]
        settle(safety)
        conditions.append(arm.condition(safety.joints))
    assert "singularity" in seen
    assert max(conditions) < arm.config.motion.singularity_stop
    assert max(conditions) > 0.6 * arm.config.motion.singularity_slow
    verdict = safety.propose(command([0, 0, -0.005, 0, 0.1, 0], step=99), 0.0)
    assert verdict.accepted
    assert "singularity" not in codes(verdict)


@pytest.mark.parametrize("name", NAMES)
def test_fingers_keep_their_speed_and_their_direction(name):
    safety, hand = filter_of(name), arm_of(name).config.hand
    openings = [hand.open]

    def grip(value, step, ticks):
        verdict = safety.propose(command(np.array([0, 0, 0, 0, 0, 0, value]), step=step), 0.0)
        openings.extend(safety.tick().opening for _ in range(ticks))
        return verdict

    assert grip(-1.0, 1, 10).interventions == ()
    assert codes(grip(1.0, 2, 19)) == ["gripper_dwell"]
    assert openings[-1] == pytest.approx(max(hand.closed, hand.open - 29 * TICK * hand.speed))
    assert codes(grip(1.0, 3, 2)) == ["gripper_dwell"]
    assert grip(1.0, 4, 60).interventions == ()
    assert openings[-1] == hand.open
    assert codes(grip(1.7, 5, 1)) == ["gripper_range"]
    assert np.abs(np.diff(openings)).max() <= hand.speed * TICK + 1e-12
    assert min(openings) >= hand.closed and max(openings) <= hand.open


def test_hold_stops_the_fingers_too():
    safety = filter_of("widowx250s")
    safety.propose(command(np.array([0, 0, 0, 0, 0, 0, -1.0])), 0.0)
    opening = [safety.tick().opening for _ in range(3)][-1]
    safety.hold(0.0)
    assert safety.tick().opening == opening
    assert not safety.moving


def test_sync_refuses_what_it_could_not_lead_back():
    safety, start = filter_of("widowx250s"), start_of("widowx250s")
    for joint, value, message in ((2, 1.7, "joint `elbow`"), (1, 1.2, "beyond"), (0, math.nan, "finite")):
        wrong = start.copy()
        wrong[joint] = value
        with pytest.raises(RlvlaError, match=message):
            safety.sync(wrong, 0.03, 0.0)
    with pytest.raises(RlvlaError, match="finite"):
        safety.sync(start[:5], 0.03, 0.0)
    with pytest.raises(RlvlaError, match="finite"):
        safety.sync(start, math.nan, 0.0)
    assert np.array_equal(safety.joints, start)


def test_before_sync_nothing_moves():
    safety = SafetyFilter(arm_of("widowx250s"), TICK)
    assert codes(safety.propose(command([0.0] * 6), 0.0), "veto") == ["not_synced"]
    safety.hold(0.0)
    with pytest.raises(RlvlaError, match="sync"):
        safety.tick()
    with pytest.raises(RlvlaError, match="tick_s"):
        SafetyFilter(arm_of("widowx250s"), 0.0)


def test_whoever_keeps_a_setpoint_cannot_bend_the_plan():
    safety = moving_filter()
    with pytest.raises(ValueError, match="read-only"):
        safety.tick().joints[0] = 9.0
    assert isinstance(safety._plan, Plan)
