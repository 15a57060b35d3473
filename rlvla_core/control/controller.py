"""Arbiter, safety filter and watchdogs of one arm put together: events and proposed motions in, setpoints out.

The controller has no clock of its own: `now` is always the caller's monotonic clock, in seconds.
"""

from collections.abc import Callable

import numpy as np

from rlvla_core.control.arbiter import MOVING, Arbiter, ArbiterConfig, Event, Mode
from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import MotionCommand, Setpoint, Verdict
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_core.control.watchdog import ClockGuard, TrackingMonitor, Watchdogs
from rlvla_core.errors import RlvlaError

LEAP_S = 1.0
"""A tick that comes this many seconds late means that the process was stopped or the machine slept."""

Changed = Callable[[Mode, Mode, str], None]
"""Function that is called with the old mode, the new mode and the reason of the change."""


class ArmController:
    """Commands one arm. Nothing is commanded before `describe`, `measured` and the event ENABLE."""

    def __init__(
        self,
        config: ArmConfig,
        tick_s: float,
        changed: Changed,
        *,
        deadmen: ArbiterConfig,
        camera_silence_s: float,
        policy_silence_s: float,
    ) -> None:
        self.config = config
        self.arbiter = Arbiter(deadmen)
        self.watchdogs = Watchdogs(
            {"joint_states": config.freshness.joint_states_s, "camera": camera_silence_s, "policy": policy_silence_s}
        )
        self.setpoint: Setpoint | None = None
        """The last setpoint; None while nothing is commanded."""
        self._tick_s, self._changed = tick_s, changed
        self._arm: ArmModel | None = None
        self._filter: SafetyFilter | None = None
        self._measured: tuple[np.ndarray, float] | None = None
        self._tracking = TrackingMonitor(config.freshness)
        self._clock = ClockGuard(LEAP_S)
        # Whether the device last said that its deadman is held. Only a new press takes over: a deadman that is still
        # held after a silence must be released first.
        self._deadman = False

    @property
    def mode(self) -> Mode:
        """The arbiter's present mode."""
        return self.arbiter.mode

    def describe(self, urdf_xml: str) -> None:
        """Take the arm's URDF; only the first one counts. Raises RlvlaError if it does not fit the configuration."""
        if self._arm is None:
            self._arm = ArmModel(urdf_xml, self.config)
            self._filter = SafetyFilter(self._arm, self._tick_s)

    def measured(self, joints: np.ndarray, opening: float, now: float) -> None:
        """Take what was measured: joint angles [d] in radians, opening of one finger in metres."""
        self._measured = (joints, opening)
        self.watchdogs.feed("joint_states", now)

    def cause(self, event: Event, now: float, reason: str = "") -> str:
        """Follow an event; returns why it is refused, or an empty string."""
        before = self.mode
        refusal = self._cannot(event, now)
        if not refusal:
            self.arbiter.handle(event, now, reason)
            refusal = self.arbiter.refusal
            self._follow(before, now)
        return refusal

    def policy(self, command: MotionCommand, epoch: int, now: float) -> Verdict | str:
        """The filter's verdict on a motion that the policy proposes, or why the policy may not move the arm."""
        reason = self.arbiter.admit(command, now, epoch)
        if reason or self._filter is None:
            return reason or "no arm"
        self.watchdogs.feed("policy", now)
        return self._filter.propose(command, now)

    def teleop(self, command: MotionCommand, epoch: int, now: float, *, deadman: bool, operator: bool) -> Verdict | str:
        """The filter's verdict on a motion that a teleop device proposes, or why the device may not move the arm.

        `deadman`: the hold-to-run switch is held. Pressing it takes over, releasing it leads to HOLD. `operator`: the
        operator's heartbeat, which lets the policy run.
        """
        if operator:
            self.arbiter.operator_seen(now)
        pressed, self._deadman = deadman and not self._deadman, deadman
        if pressed:
            refusal = self.cause(Event.TELEOP_PRESSED, now)
            if refusal:
                return refusal
        before = self.mode
        self.arbiter.teleop_seen(now, deadman)
        self._follow(before, now)
        if not deadman:
            return "the deadman is not held"
        reason = self.arbiter.admit(command, now, epoch)
        if reason or self._filter is None:
            return reason or "no arm"
        return self._filter.propose(command, now)

    def tick(self, now: float) -> Setpoint | None:
        """One tick of real time: check clock, deadmen, watchdogs and tracking, then give the next setpoint.

        None while nothing is commanded (DISABLED, ESTOP, or no description yet).
        """
        before = self.mode
        leap = self._clock.check(now)
        if leap and before in MOVING:
            self.cause(Event.FAULT, now, leap)
        before = self.mode
        self.arbiter.check(now)
        self._follow(before, now)
        self._watch(now)
        if self._filter is None or self.mode in (Mode.DISABLED, Mode.ESTOP):
            return None
        return self.advance()

    def advance(self) -> Setpoint:
        """The next setpoint of the plan without any check of time; lock-step plays a whole control period with it."""
        assert self._filter is not None
        self.setpoint = self._filter.tick()
        return self.setpoint

    def _cannot(self, event: Event, now: float) -> str:
        """Why ENABLE or CLEAR_FAULT is impossible now, or empty. Both synchronise the filter to the measured arm."""
        if (event, self.mode) not in ((Event.ENABLE, Mode.DISABLED), (Event.CLEAR_FAULT, Mode.FAULT)):
            return ""
        if self._filter is None:
            return "no robot description yet: start the arm's driver"
        if self._measured is None or self.watchdogs.stale(now, ("joint_states",)):
            return "no fresh joint states: start the arm's driver"
        try:
            self._filter.sync(*self._measured, now)
        except RlvlaError as error:
            return str(error)
        self._tracking.reset()
        return ""

    def _follow(self, before: Mode, now: float) -> None:
        """After a change of mode: stop, hold or restart the filter as the new mode demands, and report the change."""
        mode = self.mode
        if mode is before:
            return
        if self._filter is not None:
            if mode is Mode.ESTOP and self.setpoint is not None:
                # Not a smooth stop: what is commanded now is commanded for good.
                self._filter.sync(self.setpoint.joints, self.setpoint.opening, now)
            elif before in MOVING or mode in (Mode.HOLD, Mode.FAULT):
                self._filter.hold(now)
            if mode in MOVING:
                self._filter.restart(self.arbiter.active_source)
                self.watchdogs.feed("policy", now)
        if mode is Mode.DISABLED:
            self.setpoint = None
        self._changed(before, mode, self.arbiter.reasons[-1] if self.arbiter.reasons else "")

    def _watch(self, now: float) -> None:
        if self.mode not in MOVING:
            return  # nothing moves; the published state names what is silent
        names = ("joint_states", "camera", "policy") if self.mode is Mode.POLICY else ("joint_states",)
        stale = self.watchdogs.stale(now, names)
        if stale:
            # Without joint states nobody knows where the arm is: that needs a person. Camera and policy may come back.
            self.cause(Event.FAULT if stale[0].name == "joint_states" else Event.STALE, now, str(stale[0]))
        if self.setpoint is None or self._measured is None or self._arm is None:
            return
        joints, commanded = self._measured[0], self.setpoint.joints
        lost = self._tracking.check(joints, commanded, self._arm.forward(joints), self._arm.forward(commanded), now)
        if lost:
            self.cause(Event.FAULT, now, lost)
