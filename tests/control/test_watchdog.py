"""Watchdogs: silence, jumping clocks, and an arm that does not follow."""

import math
from dataclasses import replace

import numpy as np
import pytest
from control_arms import arm_of, start_of

from rlvla_core.control.watchdog import ClockGuard, TrackingMonitor, Watchdogs
from rlvla_core.errors import RlvlaError

LAGS = replace(arm_of("widowx250s").config.freshness, tracking_tcp=0.03, tracking_joint=0.3, tracking_s=0.5)


def test_silence_is_noticed_at_the_limit_and_not_before():
    dogs = Watchdogs({"observation": 0.4, "teleop": 0.15})
    assert [s.name for s in dogs.stale(5.0)] == ["observation", "teleop"]
    assert dogs.ages(5.0) == {"observation": math.inf, "teleop": math.inf}
    dogs.feed("observation", 5.0)
    dogs.feed("teleop", 5.0)
    assert dogs.stale(5.14) == ()
    (stale,) = dogs.stale(5.25)
    assert (stale.name, stale.limit) == ("teleop", 0.15)
    assert stale.age == pytest.approx(0.25)
    assert str(stale) == "teleop: 0.250 s > 0.15 s"
    assert dogs.stale(5.25, ("observation",)) == ()
    assert [s.name for s in dogs.stale(5.41)] == ["observation", "teleop"]


def test_a_sign_from_the_future_counts_as_none():
    limits = {"joint_states": arm_of("widowx250s").config.freshness.joint_states_s, "camera": 0.4, "policy": 0.45}
    dogs = Watchdogs(limits)
    for name in limits:
        dogs.feed(name, 100.0)
    assert len(dogs.stale(50.0)) == len(limits)


def test_mistakes_are_refused():
    with pytest.raises(RlvlaError, match="no watchdog `camera`: use observation"):
        Watchdogs({"observation": 0.4}).feed("camera", 0.0)
    for limit in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(RlvlaError, match="positive seconds"):
            Watchdogs({"observation": limit})


def test_a_clock_that_jumps_is_noticed_once():
    guard = ClockGuard(0.5)
    assert guard.check(100.0) is None
    assert guard.check(100.5) is None
    assert "leapt by 0.600 s" in str(guard.check(101.1))
    assert guard.check(101.1) is None
    assert "went back by 0.200 s" in str(guard.check(100.9))
    assert guard.check(101.0) is None
    assert guard.check(math.nan) is not None


def test_an_arm_that_does_not_follow_is_noticed_after_half_a_second():
    arm, start = arm_of("widowx250s"), start_of("widowx250s")

    def check(monitor, off, now):
        joints = start + np.eye(6)[5] * off
        return monitor.check(joints, start, arm.forward(joints), arm.forward(start), now)

    monitor = TrackingMonitor(LAGS)
    assert check(monitor, 0.29, 0.0) is None
    assert check(monitor, 0.31, 1.0) is None
    assert check(monitor, 0.31, 1.49) is None
    assert "0.31 rad away" in str(check(monitor, 0.31, 1.5))
    assert check(monitor, 0.0, 1.6) is None
    assert check(monitor, 0.31, 1.7) is None
    monitor.reset()
    assert check(monitor, 0.31, 2.2) is None
    assert "rad away" in str(check(monitor, 0.31, 2.7))
    assert check(monitor, math.nan, 2.8) is not None


def test_the_tool_counts_where_the_joints_are_near():
    arm, start = arm_of("widowx250s"), start_of("widowx250s")
    off = start.copy()
    off[0] += 0.15  # 45 mm at the tool
    monitor = TrackingMonitor(LAGS)
    for now in (0.0, 0.5):
        reason = monitor.check(off, start, arm.forward(off), arm.forward(start), now)
    assert reason is not None
    assert "44 mm" in reason
