"""Who may move the arm now: modes, the events between them, and the deadman switches. A table and a few clocks.

    DISABLED -> READY -> POLICY, TELEOP -> HOLD -> POLICY, TELEOP        FAULT and ESTOP from anywhere, both latched

Letting go of teleop, or its silence, leads to HOLD and never back to POLICY: that takes a press of `start`. Events
that a mode does not know are refused and recorded, never raised: a person must be able to press anything.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, IntEnum

from rlvla_core.control.command import Command


class Mode(IntEnum):
    """Numbers as in rlvla_msgs/ArbiterState."""

    DISABLED = 0
    READY = 1
    POLICY = 2
    TELEOP = 3
    HOLD = 4
    FAULT = 5
    ESTOP = 6


class Event(str, Enum):
    """What may happen; the values are the words of rlvla_msgs/SetMode."""

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


PRIORITY = {Event.ESTOP: 255, Event.FAULT: 200, Event.TELEOP_PRESSED: 100, Event.START: 10}
"""Who wins when several ask at once: sort events of one instant by this, highest first (twist_mux's convention)."""

SOURCES = {Mode.POLICY: "policy", Mode.TELEOP: "teleop"}
"""The modes in which the arm may move, and by whom."""

_ENABLED = (Mode.READY, Mode.POLICY, Mode.TELEOP, Mode.HOLD)
_MOVING = (Mode.POLICY, Mode.TELEOP)

TRANSITIONS: dict[tuple[Mode, Event], Mode] = {
    **{(mode, Event.ESTOP): Mode.ESTOP for mode in Mode},
    **{(mode, Event.FAULT): Mode.FAULT for mode in Mode if mode is not Mode.ESTOP},
    **{(mode, Event.DISABLE): Mode.DISABLED for mode in (Mode.DISABLED, *_ENABLED)},
    **{(mode, Event.HOLD): Mode.HOLD for mode in _ENABLED},
    **{(mode, Event.TELEOP_PRESSED): Mode.TELEOP for mode in _ENABLED},
    # Letting go and going silent ask for nothing, so no mode refuses them.
    **{(mode, event): mode for mode in Mode for event in (Event.TELEOP_RELEASED, Event.STALE)},
    **{(mode, Event.STALE): Mode.HOLD for mode in _MOVING},
    (Mode.TELEOP, Event.TELEOP_RELEASED): Mode.HOLD,
    (Mode.DISABLED, Event.ENABLE): Mode.READY,
    (Mode.READY, Event.START): Mode.POLICY,
    (Mode.HOLD, Event.START): Mode.POLICY,
    (Mode.ESTOP, Event.RESET): Mode.DISABLED,
    # An arm that was enabled when the fault struck goes to HOLD, another to DISABLED: see Arbiter.handle.
    (Mode.FAULT, Event.CLEAR_FAULT): Mode.HOLD,
}
"""(mode, event) -> next mode; a pair that is not here is refused."""

WAY_OUT = {
    Mode.DISABLED: "`enable` first",
    Mode.READY: "`start` for the policy, or hold the deadman for teleop",
    Mode.POLICY: "`hold` first",
    Mode.TELEOP: "let go of the deadman first",
    Mode.HOLD: "`start` for the policy, or hold the deadman for teleop",
    Mode.FAULT: "mend the cause, then `clear_fault`",
    Mode.ESTOP: "mend the cause, then `reset` with a reason",
}
"""What a person can do in a mode, for refusals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One event and what came of it."""

    at: float
    """Seconds, the caller's clock."""
    event: Event
    before: Mode
    after: Mode
    reason: str
    """Given by the caller."""
    refusal: str
    """Why nothing was done; empty where it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArbiterConfig:
    """The deadman switches."""

    operator_required: bool = True
    """Whether the policy needs a person's heartbeat; off in simulation only."""
    operator_s: float = 1.0
    """Longest silence of that heartbeat, seconds."""
    teleop_s: float = 0.15
    """Longest silence of the held deadman, and greatest age of a teleop command, seconds."""


class Arbiter:
    """The mode and who may move the arm. `now` is one monotonic clock in seconds."""

    def __init__(self, config: ArbiterConfig | None = None) -> None:
        self.config = config or ArbiterConfig()
        self.mode = Mode.DISABLED
        self.epoch = 0
        """Grows whenever POLICY is entered: answers to what was seen before are thrown away."""
        self.reasons: deque[str] = deque(maxlen=8)
        """Why the mode is what it is, newest last."""
        self.history: deque[Record] = deque(maxlen=256)
        """Events, newest last, refused ones too. A refusal is the newest record's `refusal`."""
        self._entered = float("-inf")
        self._operator_at = self._teleop_at = float("-inf")
        self._faulted_from = Mode.DISABLED

    @property
    def active_source(self) -> str:
        """`policy`, `teleop`, or empty where nothing may move the arm."""
        return SOURCES.get(self.mode, "")

    @property
    def refusal(self) -> str:
        """Why the last event was not followed; empty where it was."""
        return self.history[-1].refusal if self.history else ""

    def handle(self, event: Event, now: float, reason: str = "") -> Mode:
        """Follow an event, or record why not; returns the mode."""
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
        """The operator's heartbeat: somebody watches and lets the policy run."""
        self._operator_at = now

    def teleop_seen(self, now: float, held: bool) -> None:
        """A message of the teleop device. Only `handle(TELEOP_PRESSED)` starts teleop; this keeps it, or ends it."""
        if held:
            self._teleop_at = now
        elif self.mode is Mode.TELEOP:
            self.handle(Event.TELEOP_RELEASED, now)

    def check(self, now: float) -> Mode:
        """Call at every tick: HOLD where a deadman has gone silent."""
        silence = self._silence(now)
        return self.handle(Event.STALE, now, silence) if silence else self.mode

    def admit(self, command: Command, now: float, epoch: int) -> str | None:
        """None where this command may move the arm, else why not. `epoch` is the one its source had seen."""
        if command.source != self.active_source:
            return f"{command.source} may not move the arm in {self.mode.name}: {WAY_OUT[self.mode]}"
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
            return f"`{event.value}` is not possible in {self.mode.name}: {WAY_OUT[self.mode]}"
        if event is Event.RESET and not reason.strip():
            return "`reset` needs a reason: say what caused the stop and that it is mended"
        if event is Event.START and not self._operator_present(now):
            return f"`start` needs the operator's heartbeat within {self.config.operator_s} s: hold the enable switch"
        return ""

    def _operator_present(self, now: float) -> bool:
        return not self.config.operator_required or 0.0 <= now - self._operator_at <= self.config.operator_s

    def _silence(self, now: float) -> str:
        """What a person has let go of, for the present mode; empty where nothing."""
        if self.mode is Mode.TELEOP and not 0.0 <= now - self._teleop_at <= self.config.teleop_s:
            return f"the teleop deadman has been silent for more than {self.config.teleop_s} s"
        if self.mode is Mode.POLICY and not self._operator_present(now):
            return f"the operator's heartbeat has been silent for more than {self.config.operator_s} s"
        return ""
