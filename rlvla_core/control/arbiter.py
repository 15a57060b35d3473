"""Decides who may move the arm now: a table of modes and events, and the clocks of the deadman switches.

    DISABLED -> READY -> POLICY, TELEOP -> HOLD -> POLICY, TELEOP        FAULT and ESTOP from anywhere, both latched

When the teleop deadman is released or falls silent, the mode becomes HOLD, never POLICY: that takes the event `start`.
An event that the present mode does not allow is refused and recorded, never raised: a person may press anything.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, IntEnum

from rlvla_core.control.command import MotionCommand


class Mode(IntEnum):
    """What the arm is allowed to do now; the numbers are those of rlvla_msgs/ArbiterState."""

    DISABLED = 0
    READY = 1
    POLICY = 2
    TELEOP = 3
    HOLD = 4
    FAULT = 5
    ESTOP = 6


class Event(str, Enum):
    """What may change the mode; the values are the words of rlvla_msgs/SetMode."""

    ENABLE = "enable"
    DISABLE = "disable"
    START = "start"
    HOLD = "hold"
    TELEOP_PRESSED = "teleop_pressed"
    TELEOP_RELEASED = "teleop_released"
    ESTOP = "estop"
    RESET = "reset"
    FAULT = "fault"
    CLEAR_FAULT = "clear_fault"
    STALE = "stale"


OPERATOR_EVENTS = (
    Event.ENABLE,
    Event.DISABLE,
    Event.START,
    Event.HOLD,
    Event.ESTOP,
    Event.RESET,
    Event.CLEAR_FAULT,
)
"""Events that a person may cause, by a button or through SetMode; the others come from watchdogs and the deadman."""

SOURCE_OF_MODE = {Mode.POLICY: "policy", Mode.TELEOP: "teleop"}
"""Mode in which the arm may move -> the only source of commands that may move it."""

MOVING = tuple(SOURCE_OF_MODE)
"""Modes in which commands move the arm."""
_ENABLED = (Mode.READY, Mode.POLICY, Mode.TELEOP, Mode.HOLD)

TRANSITIONS: dict[tuple[Mode, Event], Mode] = {
    **{(mode, Event.ESTOP): Mode.ESTOP for mode in Mode},
    **{(mode, Event.FAULT): Mode.FAULT for mode in Mode if mode is not Mode.ESTOP},
    **{(mode, Event.DISABLE): Mode.DISABLED for mode in (Mode.DISABLED, *_ENABLED)},
    **{(mode, Event.HOLD): Mode.HOLD for mode in _ENABLED},
    **{(mode, Event.TELEOP_PRESSED): Mode.TELEOP for mode in _ENABLED},
    # A released deadman and a silent input ask for nothing, so no mode refuses these two events.
    **{(mode, event): mode for mode in Mode for event in (Event.TELEOP_RELEASED, Event.STALE)},
    **{(mode, Event.STALE): Mode.HOLD for mode in MOVING},
    (Mode.TELEOP, Event.TELEOP_RELEASED): Mode.HOLD,
    (Mode.DISABLED, Event.ENABLE): Mode.READY,
    (Mode.READY, Event.START): Mode.POLICY,
    (Mode.HOLD, Event.START): Mode.POLICY,
    (Mode.ESTOP, Event.RESET): Mode.DISABLED,
    # An arm that was enabled when the fault struck goes to HOLD, another to DISABLED: see Arbiter.handle.
    (Mode.FAULT, Event.CLEAR_FAULT): Mode.HOLD,
}
"""(mode, event) -> next mode; a pair that is not here is refused."""

HINTS = {
    Mode.DISABLED: "`enable` first",
    Mode.READY: "`start` for the policy, or hold the deadman for teleop",
    Mode.POLICY: "`hold` first",
    Mode.TELEOP: "let go of the deadman first",
    Mode.HOLD: "`start` for the policy, or hold the deadman for teleop",
    Mode.FAULT: "mend the cause, then `clear_fault`",
    Mode.ESTOP: "mend the cause, then `reset` with a reason",
}
"""What a person can do next in each mode; ends the text of a refusal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One event, and the modes before and after it."""

    at: float
    """When it happened, in seconds of the caller's clock."""
    event: Event
    before: Mode
    after: Mode
    reason: str
    """Why it happened, as the caller said."""
    refusal: str
    """Why the event was refused; empty if it was followed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArbiterConfig:
    """Limits of the two deadman switches: the operator's heartbeat and the teleop deadman."""

    operator_required: bool = True
    """Whether the policy may move the arm only while the operator's heartbeat comes; False in simulation only."""
    operator_s: float = 1.0
    """Longest silence of the operator's heartbeat in POLICY, seconds."""
    teleop_s: float = 0.15
    """Longest silence of the held teleop deadman, and greatest age of a teleop command, seconds."""


class Arbiter:
    """Holds the mode, and says which commands may move the arm. `now` is one monotonic clock in seconds."""

    def __init__(self, config: ArbiterConfig | None = None) -> None:
        self.config = config or ArbiterConfig()
        self.mode = Mode.DISABLED
        self.epoch = 0
        """Counts the entries into POLICY: a policy command that was begun in an older epoch is refused."""
        self.reasons: deque[str] = deque(maxlen=8)
        """Why the mode is what it is: the last events that changed it, newest last."""
        self.history: deque[Record] = deque(maxlen=256)
        """The last events, newest last, refused ones included."""
        self._entered = float("-inf")
        self._operator_at = self._teleop_at = float("-inf")
        self._faulted_from = Mode.DISABLED

    @property
    def active_source(self) -> str:
        """Source that may move the arm now: `policy`, `teleop`, or empty if none may."""
        return SOURCE_OF_MODE.get(self.mode, "")

    @property
    def refusal(self) -> str:
        """Why the last event was refused; empty if it was followed."""
        return self.history[-1].refusal if self.history else ""

    def handle(self, event: Event, now: float, reason: str = "") -> Mode:
        """Follow an event, or record why it is refused; returns the mode afterwards."""
        before = self.mode
        refusal = self._refusal(event, now, reason)
        if not refusal:
            after = TRANSITIONS[before, event]
            if event is Event.CLEAR_FAULT and self._faulted_from not in _ENABLED:
                after = Mode.DISABLED
            if event is Event.FAULT and before is not Mode.FAULT:
                self._faulted_from = before
            if event is Event.TELEOP_PRESSED:
                self._teleop_at = now
            self._enter(after, now)
            if after is not before or reason:
                self.reasons.append(f"{event.value}: {reason}" if reason else event.value)
        self.history.append(Record(at=now, event=event, before=before, after=self.mode, reason=reason, refusal=refusal))
        return self.mode

    def operator_seen(self, now: float) -> None:
        """Take note of the operator's heartbeat: somebody watches the arm and lets the policy run."""
        self._operator_at = now

    def teleop_seen(self, now: float, held: bool) -> None:
        """Take note of whether the teleop deadman is held: that keeps TELEOP or ends it.

        Only `handle(TELEOP_PRESSED)` starts TELEOP.
        """
        if held:
            self._teleop_at = now
        elif self.mode is Mode.TELEOP:
            self.handle(Event.TELEOP_RELEASED, now)

    def check(self, now: float) -> Mode:
        """Go to HOLD if the deadman of the present mode is silent; to be called at every tick. Returns the mode."""
        silence = self._silence(now)
        return self.handle(Event.STALE, now, silence) if silence else self.mode

    def admit(self, command: MotionCommand, now: float, epoch: int) -> str | None:
        """Why this command may not move the arm, or None if it may. `epoch` is the newest that its source had seen."""
        if command.source != self.active_source:
            return f"{command.source} may not move the arm in {self.mode.name}: {HINTS[self.mode]}"
        silence = self._silence(now)
        if silence:
            return silence
        if self.mode is Mode.POLICY:
            if epoch != self.epoch:
                return f"the command is of epoch {epoch}, now is {self.epoch}: start from a new observation"
            if not command.observed_at >= self._entered:
                return "the command answers an observation from before the policy was started"
        elif not 0.0 <= now - command.issued_at <= self.config.teleop_s:
            return f"the teleop command is {now - command.issued_at:.3f} s old, limit {self.config.teleop_s} s"
        return None

    def _enter(self, mode: Mode, now: float) -> None:
        if mode is not self.mode:
            self.mode, self._entered = mode, now
            self.epoch += mode is Mode.POLICY

    def _refusal(self, event: Event, now: float, reason: str) -> str:
        if (self.mode, event) not in TRANSITIONS:
            return f"`{event.value}` is not possible in {self.mode.name}: {HINTS[self.mode]}"
        if event is Event.RESET and not reason.strip():
            return "`reset` needs a reason: say what caused the stop and that it is mended"
        if event is Event.START and not self._operator_present(now):
            return f"`start` needs the operator's heartbeat within {self.config.operator_s} s: hold the enable switch"
        return ""

    def _operator_present(self, now: float) -> bool:
        return not self.config.operator_required or 0.0 <= now - self._operator_at <= self.config.operator_s

    def _silence(self, now: float) -> str:
        """Which deadman of the present mode is silent, as a sentence; empty if none is."""
        if self.mode is Mode.TELEOP and not 0.0 <= now - self._teleop_at <= self.config.teleop_s:
            return f"the teleop deadman has been silent for more than {self.config.teleop_s} s"
        if self.mode is Mode.POLICY and not self._operator_present(now):
            return f"the operator's heartbeat has been silent for more than {self.config.operator_s} s"
        return ""
