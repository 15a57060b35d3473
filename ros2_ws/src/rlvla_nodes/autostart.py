"""Brings a simulated arm from DISABLED to READY or POLICY once after the start, as soon as everything is there."""

import time
from collections.abc import Callable
from typing import Literal

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from rlvla_core.control.arbiter import Event, Mode
from rlvla_core.control.controller import ArmController
from rlvla_nodes import topics

RETRY_S = 0.2
"""How often the next event is tried, seconds."""
ANSWER_S = 1.0
"""After this time without an answer the policy is asked for its state again, seconds."""
STEADY_S = 2.0
"""Autostart ends when the wanted mode has lasted this long: a camera may stumble while processes start. Seconds."""


class Autostart:
    """Presses `enable` and `start` in a person's place; a person's first call of `set_mode` ends it."""

    def __init__(
        self,
        node: Node,
        controller: ArmController,
        goal: Literal["none", "ready", "policy"],
        *,
        clock: Callable[[], float],
        press: Callable[[Event], str],
        needs_camera: bool,
    ) -> None:
        """`node` lends a timer and a client. `clock`: the controller's clock, seconds. `press` causes an event and
        returns why it is refused, or an empty string. `needs_camera`: wait for a camera before `start`."""
        self.why_not = ""
        """What autostart waits for; empty if for nothing."""
        self._controller, self._goal, self._needs_camera = controller, goal, needs_camera
        self._clock, self._press = clock, press
        self._policy = node.create_client(GetState, topics.POLICY_LIFECYCLE)
        self._asked: Future | None = None
        self._asked_at = 0.0
        self._arrived_at = float("inf")
        if goal != "none":
            self._timer = node.create_timer(RETRY_S, self._try, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def cancel(self) -> None:
        """End autostart: from now on only people change the mode."""
        self.why_not = ""
        if self._goal != "none":
            self._timer.cancel()

    def _try(self) -> None:
        controller, now = self._controller, time.monotonic()
        mode = controller.mode
        if mode is Mode.DISABLED:
            self.why_not = self._press(Event.ENABLE)
        elif self._goal == "policy" and mode in (Mode.READY, Mode.HOLD):
            self.why_not = self._missing() or self._press(Event.START)
        arrived = controller.mode is (Mode.POLICY if self._goal == "policy" else Mode.READY)
        self._arrived_at = min(self._arrived_at, now) if arrived else float("inf")
        if now - self._arrived_at > STEADY_S or controller.mode in (Mode.TELEOP, Mode.FAULT, Mode.ESTOP):
            self.cancel()

    def _missing(self) -> str:
        if self._needs_camera and self._controller.watchdogs.stale(self._clock(), ("camera",)):
            return f"waiting for a camera on {topics.CAMERA_INFO}"
        return "" if self._policy_is_active() else "waiting for the policy"

    def _policy_is_active(self) -> bool:
        """Whether the policy's last answer was that its lifecycle is active; asks again otherwise."""
        if self._asked is not None and self._asked.done():
            answer, self._asked = self._asked.result(), None
            if answer is not None and answer.current_state.id == State.PRIMARY_STATE_ACTIVE:
                return True
        # A service that has just been discovered may lose its first answer.
        lost = self._asked is not None and time.monotonic() - self._asked_at > ANSWER_S
        if (self._asked is None or lost) and self._policy.service_is_ready():
            self._asked, self._asked_at = self._policy.call_async(GetState.Request()), time.monotonic()
        return False
