"""Arbiter, safety filter and watchdogs of one arm, put together: events and proposals in, setpoints out.

It has no clock: `now` is one monotonic clock in seconds, the caller's.
"""

from collections.abc import Callable

import numpy as np

from rlvla_core.control.arbiter import Arbiter, ArbiterConfig, Event, Mode
from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import Command, Setpoint, Verdict
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_core.control.watchdog import ClockGuard, TrackingMonitor, Watchdogs
from rlvla_core.errors import RlvlaError

LEAP_S = 1.0
"""A tick that comes this late means that the process was stopped or the machine slept."""
MOVING = (Mode.POLICY, Mode.TELEOP)

Changed = Callable[[Mode, Mode, str], None]
"""Called with the old mode, the new one and why."""


class ArmController:
    """What commands one arm. Nothing is commanded before `describe`, `measured` and `enable`."""

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
        """The last one; None while nothing is commanded."""
        self._tick_s, self._changed = tick_s, changed
        self._arm: ArmModel | None = None
        self._filter: SafetyFilter | None = None
        self._measured: tuple[np.ndarray, float] | None = None
        self._tracking = TrackingMonitor(config.freshness)
        self._clock = ClockGuard(LEAP_S)
        # As the device last said. Only a new press takes over: one that is still held after a silence must be let go.
        self._deadman = False

    @property
    def mode(self) -> Mode:
        return self.arbiter.mode

    def describe(self, urdf_xml: str) -> None:
        """The arm's description, once; later ones are ignored. Raises RlvlaError for one that is of another arm."""
        if self._arm is None:
            self._arm = ArmModel(urdf_xml, self.config)
            self._filter = SafetyFilter(self._arm, self._tick_s)

    def measured(self, joints: np.ndarray, opening: float, now: float) -> None:
        """Where the arm is: angles [d], opening of a finger [m]."""
        self._measured = (joints, opening)
        self.watchdogs.beat("joint_states", now)

    def cause(self, event: Event, now: float, reason: str = "") -> str:
        """Follow an event; why not, or empty."""
        before = self.mode
        refusal = self._cannot(event, now)
        if not refusal:
            self.arbiter.handle(event, now, reason)
            refusal = self.arbiter.refusal
            self._follow(before, now)
        return refusal

    def policy(self, command: Command, epoch: int, now: float) -> Verdict | str:
        """The filter's verdict on a policy's proposal, or why it may not move the arm."""
        reason = self.arbiter.admit(command, now, epoch)
        if reason or self._filter is None:
            return reason or "no arm"
        self.watchdogs.beat("policy", now)
        return self._filter.propose(command, now)

    def teleop(self, command: Command, epoch: int, now: float, *, deadman: bool, operator: bool) -> Verdict | str:
        """The same for a device. Holding its deadman takes over; letting go holds the arm."""
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
        """Real time: look after everybody, then the next setpoint; None where nothing is commanded."""
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
        """The next setpoint of the plan, whatever the time is."""
        assert self._filter is not None
        self.setpoint = self._filter.tick()
        return self.setpoint

    def _cannot(self, event: Event, now: float) -> str:
        """What the mode table does not know: enabling, and going on after a fault, begin where the arm really is."""
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
        """Let the filter do what a new mode means, and say it."""
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
                self.watchdogs.beat("policy", now)
        if mode is Mode.DISABLED:
            self.setpoint = None
        self._changed(before, mode, self.arbiter.reasons[-1] if self.arbiter.reasons else "")

    def _watch(self, now: float) -> None:
        if self.mode not in MOVING:
            return  # nothing moves; what is silent stands in the state, and `start` or the deadman will tell
        names = ("joint_states", "camera", "policy") if self.mode is Mode.POLICY else ("joint_states",)
        stale = self.watchdogs.stale(now, names)
        if stale:
            # Without joint states nobody knows where the arm is: that needs a person. The others may come back.
            self.cause(Event.FAULT if stale[0].name == "joint_states" else Event.STALE, now, str(stale[0]))
        if self.setpoint is None or self._measured is None or self._arm is None:
            return
        joints, commanded = self._measured[0], self.setpoint.joints
        lost = self._tracking.check(joints, commanded, self._arm.forward(joints), self._arm.forward(commanded), now)
        if lost:
            self.cause(Event.FAULT, now, lost)
