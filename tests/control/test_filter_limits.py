"""Whatever is proposed, every setpoint keeps every limit: random streams, held against a judge with its own kinematics.

The judge and the streams are those of benchmarks/safety.py, which runs a million commands; here are enough to notice.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from control_arms import NAMES, TICK, arm_of, chain_of, command, filter_of, start_of
from safety import Judge, SafetyCounts, Stream

from rlvla_core.control import plan
from rlvla_core.control.arm import Wall
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_core.control.workspace import Workspace
from rlvla_sim.robots import robot


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(5))
def test_no_output_is_beyond_a_limit(name, seed):
    """2,000 commands a stream, 20,000 in all; see KINDS for what they are."""
    judge = Judge(arm_of(name).config)
    counts = Stream(arm_of(name), judge, 1000 + seed).run(2000)
    assert counts.totals["commands"] >= 2000
    assert counts.totals["accepted"] > 1000
    assert counts.totals["ticks"] > 20_000
    assert not +counts.beyond, counts.beyond
    assert counts.totals["wrongly accepted"] == 0
    assert counts.totals["changed by a veto"] == 0
    # The streams reach what they are meant to try.
    assert {"malformed", "not_finite", "stale_observation", "stale_command", "future", "replay"} <= set(counts.vetoes)
    assert {"step_length", "step_turn", "workspace", "gripper_dwell", "singularity"} <= set(counts.clamps)
    assert counts.fraction["joint acceleration"] > 0.99
    assert counts.fraction["tcp speed"] > 0.8


def broken(monkeypatch, seed, name="widowx250s"):
    """What the judge says of a stream through a filter whose plans are not checked."""
    monkeypatch.setattr(plan.Planner, "_refusal", lambda self, start, made: None)
    judge = Judge(arm_of(name).config)
    return Stream(arm_of(name), judge, seed).run(1000).beyond


def test_the_judge_notices_a_filter_that_does_not_check_its_plans(monkeypatch):
    beyond = broken(monkeypatch, 1) + broken(monkeypatch, 2)
    assert {"workspace", "tcp speed", "tcp turn"} <= set(+beyond)


def test_the_judge_notices_each_limit():
    """Setpoints that break one limit each."""
    arm, start = arm_of("widowx250s"), start_of("widowx250s")
    judge = Judge(arm.config)

    def judged(joints, openings=None):
        counts = SafetyCounts()
        judge.judge(np.array(joints), np.full(len(joints), 0.03) if openings is None else np.array(openings), counts)
        return set(+counts.beyond)

    rest = [start] * 80
    assert judged(rest) == set()
    step = [start] * 3 + [start + 0.05] * 3
    assert {"joint speed", "joint acceleration", "joint jerk", "tcp speed", "tcp turn"} <= judged(step)
    ramp = np.linspace(0.0, 1.0, 4000)[:, None] ** 2
    waist = start + ramp * [2.0, 0, 0, 0, 0, 0]
    assert judged(waist) == {"workspace"}
    yaw = start + ramp * [0, 0, 0, 0, 0, 3.12]
    assert judged(yaw) == {"joint limit"}
    assert judged(rest, [0.03] * 40 + [0.034] * 40) == {"gripper speed"}
    assert judged(rest, [0.013] * 80) == {"gripper range"}
    there_and_back = [0.03] * 5 + [0.031] * 29 + [0.030] * 46
    assert judged(rest, there_and_back) == {"gripper dwell"}
    assert judged(rest, [0.03] * 5 + [0.031] * 30 + [0.030] * 45) == set()


@pytest.mark.parametrize(("name", "bound"), [("widowx250s", 0.11), ("panda", 0.22)])
def test_hold_comes_to_rest_at_once(name, bound):
    """From random moments of random motions: mostly within the time that the joints need at full acceleration, else
    along the running plan; never later than without the hold."""
    rng, took = np.random.default_rng(0), []
    for _ in range(150):
        safety, ticks = filter_of(name), 0
        for step in range(3):
            delta = np.array([*rng.uniform(-0.04, 0.04, 3), 0, 0, rng.uniform(-0.3, 0.3), 1.0])
            safety.propose(command(delta, step=step), 0.0)
            for _ in range(rng.integers(3, 12)):
                safety.tick()
        alone = remaining(safety)
        safety.hold(0.0)
        while safety.moving:
            safety.tick()
            ticks += 1
        assert ticks <= alone
        assert np.array_equal(safety.velocities, np.zeros(arm_of(name).dof))
        at = arm_of(name).forward(safety.joints)
        assert np.linalg.norm(at[:3, 3] - safety.target[:3, 3]) <= 1e-4
        took.append(ticks * TICK)
    assert np.mean(np.array(took) <= bound) > 0.95


def remaining(safety: SafetyFilter) -> int:
    """Ticks that the running plan still has."""
    assert safety._plan is not None
    return len(safety._plan) - safety._row


def test_a_goal_that_cannot_be_planned_is_refused_and_not_raised():
    arm, start = arm_of("widowx250s"), start_of("widowx250s")
    planner = plan.Planner(arm, Workspace(arm), TICK)
    for value, code in ((np.nan, "no_plan"), (1e300, "no_plan"), (1.5, "joint_limits"), (100.0, "too_long")):
        goal = start.copy()
        goal[4] += value
        answer = planner.move(plan.JointState.at_rest(start), goal)
        assert isinstance(answer, plan.Refused)
        assert answer.code == code
    for beyond, answer in ((0.001, plan.Refused), (0.0, plan.Plan)):
        for limit, sign in ((arm.upper, 1), (arm.lower, -1)):
            edge = start.copy()
            edge[5] = limit[5] - sign * 0.1
            goal = edge.copy()
            goal[5] = limit[5] + sign * beyond
            assert isinstance(planner.move(plan.JointState.at_rest(edge), goal), answer)


@pytest.mark.parametrize("name", NAMES)
def test_doing_nothing_ends_at_rest(name):
    """At every tick of a motion, silence leads to rest, within the longest plan."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        safety = filter_of(name)
        safety.propose(command(np.array([*rng.uniform(-0.05, 0.05, 6), 1.0])), 0.0)
        for _ in range(rng.integers(0, 10)):
            safety.tick()
        joints = [safety.tick().joints for _ in range(100)]
        assert np.array_equal(joints[-1], joints[-2])
        assert np.array_equal(safety.velocities, np.zeros(arm_of(name).dof))


@pytest.mark.parametrize(("name", "seconds"), [("widowx250s", 0.17), ("panda", 0.25)])
def test_a_step_of_40_mm_is_quick(name, seconds):
    """Any direction, from the middle of the working area."""
    rng = np.random.default_rng(2)
    for _ in range(60):
        safety, direction = filter_of(name), rng.normal(size=3)
        delta = [*(0.04 * direction / np.linalg.norm(direction)), 0, 0, 0]
        assert safety.propose(command(delta), 0.0).interventions == ()
        assert remaining(safety) * TICK <= seconds + TICK


def test_vetoes_and_clamps_are_told_as_they_are():
    """Each note has its stage's numbers, a line of text, and an empty `after` only where it is a veto."""
    safety, rng, seen = filter_of("widowx250s"), np.random.default_rng(3), Counter[str]()
    for step in range(400):
        delta = rng.normal(size=7) * [0.05, 0.05, 0.05, 0.2, 0.2, 0.4, 2.0]
        verdict = safety.propose(command(delta, step=step), 0.0)
        for note in verdict.interventions:
            seen[note.code] += 1
            assert note.text and "\n" not in note.text
            assert (note.after == ()) == (note.verdict == "veto")
            assert note.verdict == "veto" or note.before != note.after
        assert [n.verdict for n in verdict.interventions].count("veto") == (not verdict.accepted)
        for _ in range(20):
            safety.tick()
    assert len(seen) > 5
    while safety.moving:  # the last plan may be longer than the ticks of a step
        safety.tick()
    assert chain_of("widowx250s").forward(safety.joints[None])[0] == pytest.approx(safety.target, abs=2e-3)


def test_a_leaning_wall_is_kept_like_the_others():
    """A half-space across the working area, which the hand slides along."""
    config = arm_of("widowx250s").config
    post = Wall(name="camera post", normal=(-2.0, 1.0, 0.5), offset=-0.32)
    walled = replace(config, workspace=replace(config.workspace, walls=(post,)))
    arm = ArmModel(robot("widowx250s").urdf().read_text(), walled)
    counts = Stream(arm, Judge(walled), 5).run(1500)
    assert counts.totals["accepted"] > 700
    assert not +counts.beyond, counts.beyond
    safety = SafetyFilter(arm, TICK)
    safety.sync(start_of("widowx250s"), 0.03, 0.0)
    normal, moved = np.array(post.normal) / np.linalg.norm(post.normal), np.zeros(3)
    for step in range(12):
        before = safety.target[:3, 3]
        verdict = safety.propose(command([0.02, 0, 0, 0, 0, 0], step=step), 0.0)
        assert verdict.accepted
        moved = safety.target[:3, 3] - before
        for _ in range(30):
            safety.tick()
        if "workspace" in [note.code for note in verdict.interventions]:
            break
    along = np.array([0.02, 0, 0]) - normal * (normal @ [0.02, 0, 0])
    assert np.cross(moved - [0.02, 0, 0], normal) == pytest.approx(np.zeros(3), abs=1e-9)
    assert safety.propose(command([0.02, 0, 0, 0, 0, 0], step=99), 0.0).accepted
    assert safety.target[:3, 3] - before - moved == pytest.approx(along, abs=1e-8)
