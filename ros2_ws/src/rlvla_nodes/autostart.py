"""Brings a simulated arm from DISABLED to READY or POLICY once after the start, as soon as everything is there."""

import time
from typing import TYPE_CHECKING

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.clock import Clock, ClockType
from rclpy.task import Future

from rlvla_core.control import Event, Mode
from rlvla_nodes import topics

if TYPE_CHECKING:
    from rlvla_nodes.arbiter_node import ArbiterNode

RETRY_S, ANSWER_S = 0.2, 1.0
STEADY_S = 2.0
"""It has arrived when the mode has lasted so long: while processes start, a camera may stumble."""


class Autostart:
    """Presses `enable` and `start` in a person's place; whoever calls `set_mode` ends that."""

    def __init__(self, node: "ArbiterNode", goal: str) -> None:
        """goal: `none`, `ready` or `policy`."""
        self.why_not = ""
        """What it waits for."""
        self._node, self._goal = node, goal
        self._policy = node.create_client(GetState, topics.POLICY_LIFECYCLE)
        self._asked: Future | None = None
        self._asked_at = 0.0
        self._arrived_at = float("inf")
        if goal == "none":
            return
        self._timer = node.create_timer(RETRY_S, self._try, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def cancel(self) -> None:
        """Leave it to the people."""
        self.why_not = ""
        if self._goal != "none":
            self._timer.cancel()

    def _try(self) -> None:
        node, now = self._node, time.monotonic()
        mode = node.controller.mode
        if mode is Mode.DISABLED:
            self.why_not = node.cause(Event.ENABLE, "autostart")
        elif self._goal == "policy" and mode in (Mode.READY, Mode.HOLD):
            self.why_not = self._missing() or node.cause(Event.START, "autostart")
        arrived = node.controller.mode is (Mode.POLICY if self._goal == "policy" else Mode.READY)
        self._arrived_at = min(self._arrived_at, now) if arrived else float("inf")
        if now - self._arrived_at > STEADY_S or node.controller.mode in (Mode.TELEOP, Mode.FAULT, Mode.ESTOP):
            self.cancel()

    def _missing(self) -> str:
        if not self._node.given.lock_step and self._node.controller.watchdogs.stale(self._node.now, ("camera",)):
            return f"waiting for a camera on {topics.CAMERA_INFO}"
        return "" if self._policy_is_active() else "waiting for the policy"

    def _policy_is_active(self) -> bool:
        """What the policy's lifecycle said of itself; asks again where it was another answer."""
        if self._asked is not None and self._asked.done():
            answer, self._asked = self._asked.result(), None
            if answer is not None and answer.current_state.id == State.PRIMARY_STATE_ACTIVE:
                return True
        # A service that has just been discovered may lose its first answer.
        lost = self._asked is not None and time.monotonic() - self._asked_at > ANSWER_S
        if (self._asked is None or lost) and self._policy.service_is_ready():
            self._asked, self._asked_at = self._policy.call_async(GetState.Request()), time.monotonic()
        return False
