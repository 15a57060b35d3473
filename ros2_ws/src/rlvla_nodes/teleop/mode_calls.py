"""Sends the operator's events to the arbiter's SetMode service, and repeats the e-stop until it is answered."""

import time
from dataclasses import dataclass

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from rlvla_core.control.arbiter import Event
from rlvla_msgs.srv import SetMode
from rlvla_nodes import topics

WATCH_S = 0.05
"""How often answers are looked for, seconds."""
ESTOP_RETRY_S = 0.1
"""The e-stop is sent again after this time without an answer, seconds."""
UNANSWERED_S = 1.0
"""An event without an answer for this many seconds is reported; an e-stop again each time they pass."""
GIVE_UP_S = {False: UNANSWERED_S, True: 5.0}
"""A request is forgotten after this many seconds; one of an e-stop (True) later, because any answer confirms it."""


@dataclass
class Call:
    """A request that waits for its answer."""

    event: str
    """The event that was asked for."""
    future: Future
    """Its answer, once it is there."""
    sent_s: float
    """When it was sent, seconds of time.monotonic()."""


class ModeCalls:
    """Sends events, and logs one line about each that is refused, not answered or not sent."""

    def __init__(self, node: Node, reset_reason: str) -> None:
        self._log, self._reset_reason = node.get_logger(), reset_reason
        self._client = node.create_client(SetMode, topics.SET_MODE)
        self._service = node.resolve_service_name(topics.SET_MODE)
        self._calls: list[Call] = []
        self._estop_since: float | None = None
        self._estop_sent_s = self._estop_reported_s = 0.0
        node.create_timer(WATCH_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def estop_open(self) -> bool:
        """Whether an e-stop was sent and has not been answered yet."""
        return self._estop_since is not None

    def send(self, event: str) -> None:
        """Ask for an event at once. Raises nothing: what fails is logged."""
        now = time.monotonic()
        if event == Event.ESTOP:
            self._estop_since = self._estop_reported_s = now
            self._send(event, now)
        elif self.estop_open:
            self._log.error(f"`{event}` was not sent: the e-stop before it is not answered yet")
        elif not self._client.service_is_ready():
            self._log.error(f"`{event}` was not sent: no node offers {self._service}; start the arbiter")
        else:
            self._send(event, now)

    def _send(self, event: str, now: float) -> None:
        request = SetMode.Request(event=event, reason=self._reset_reason if event == Event.RESET else "")
        self._calls.append(Call(event, self._client.call_async(request), now))
        if event == Event.ESTOP:
            self._estop_sent_s = now

    def _watch(self) -> None:
        now = time.monotonic()
        for call in [call for call in self._calls if call.future.done()]:
            self._calls.remove(call)
            self._answered(call, now)
        for call in [call for call in self._calls if now - call.sent_s > GIVE_UP_S[call.event == Event.ESTOP]]:
            self._drop(call)
            if call.event != Event.ESTOP:
                self._log.error(
                    f"`{call.event}` was not answered within {UNANSWERED_S:g} s: look at the arbiter's mode before "
                    "you go on, it may still be carried out"
                )
        if self._estop_since is None:
            return
        if now - self._estop_reported_s > UNANSWERED_S:
            self._estop_reported_s = now
            self._log.error(
                f"E-STOP NOT CONFIRMED for {now - self._estop_since:.1f} s ({self._service}): use the "
                "hardware button; still trying"
            )
        if now - self._estop_sent_s > ESTOP_RETRY_S:
            self._send(Event.ESTOP.value, now)

    def _answered(self, call: Call, now: float) -> None:
        answer = call.future.result()
        assert answer is not None, "only asked once the future is done"
        if call.event == Event.ESTOP and self._estop_since is not None:
            took = now - self._estop_since
            self._estop_since = None
            for other in [other for other in self._calls if other.event == Event.ESTOP]:
                self._drop(other)
            if answer.success:
                self._log.warning(f"e-stop confirmed after {1e3 * took:.0f} ms")
        if not answer.success:
            self._log.error(f"`{call.event}` was refused: {answer.message or 'no reason given'}")

    def _drop(self, call: Call) -> None:
        self._calls.remove(call)
        self._client.remove_pending_request(call.future)
