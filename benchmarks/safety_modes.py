"""Fuzzes the arbiter with random events and commands, and counts wrong changes of mode and wrong admissions."""

from collections import Counter

import numpy as np

from rlvla_core.control.arbiter import Arbiter, ArbiterConfig, Event, Mode
from rlvla_core.control.command import MotionCommand


def mode_storm(sequences: int, seed: int, length: int = 12) -> Counter[str]:
    """Count transitions and admissions in random sequences of events and commands, and those of them that are unsafe.

    The judge keeps its own clocks and knows nothing of the arbiter's table.
    """
    rng = np.random.default_rng(seed)
    events, counts = list(Event), Counter[str]()
    for _ in range(sequences):
        arbiter, now = Arbiter(ArbiterConfig(operator_required=bool(rng.integers(2)))), 0.0
        operator = held = entered = -1e9
        draws = rng.random((length, 8)).tolist()
        for chance, which, pause, why, watches, grip, epoch, seen in draws:
            now += 0.3 * pause**2
            before, old_epoch = arbiter.mode, arbiter.epoch
            if watches < 0.5:
                arbiter.operator_seen(now)
                operator = now
            event = events[int(which * len(events))]
            reason = ["", "  ", "mended"][int(3 * why)]
            if chance < 0.1:
                event = Event.STALE
                arbiter.check(now)
            elif chance < 0.3:
                event = Event.TELEOP_RELEASED
                arbiter.teleop_seen(now, grip < 0.7)
                held = now if grip < 0.7 else -1e9
            else:
                if chance < 0.6:
                    event = [Event.ENABLE, Event.START, Event.TELEOP_PRESSED, Event.HOLD][int(4 * which)]
                arbiter.handle(event, now, reason)
                if event is Event.TELEOP_PRESSED:
                    held = now
                elif event is Event.TELEOP_RELEASED:
                    held = -1e9
            watched = not arbiter.config.operator_required or now - operator <= arbiter.config.operator_s
            counts["transitions"] += before is not arbiter.mode
            counts["unsafe"] += unsafe(before, event, arbiter.mode, reason, watched)
            if arbiter.mode is Mode.POLICY and before is not Mode.POLICY:
                entered = now
                counts["unsafe"] += arbiter.epoch <= old_epoch
            for source in ("policy", "teleop"):
                command = MotionCommand(
                    source=source, step=0, delta=None, observed_at=now - seen, issued_at=now - 0.3 * epoch
                )
                claimed = arbiter.epoch - int(2 * epoch)
                if arbiter.admit(command, now, claimed) is None:
                    counts[f"{source} admitted"] += 1
                    fresh = (
                        arbiter.mode is Mode.POLICY and claimed == arbiter.epoch and now - seen >= entered and watched
                    )
                    live = arbiter.mode is Mode.TELEOP and now - held <= 0.15 and 0.3 * epoch <= 0.15 + 1e-9
                    counts["unsafe"] += not (fresh if source == "policy" else live)
    return counts


def unsafe(before: Mode, event: Event, after: Mode, reason: str, watched: bool) -> bool:
    """Whether this event must not have led from one mode to the other."""
    if event is Event.ESTOP:
        return after is not Mode.ESTOP
    if event is Event.FAULT:
        return after is not (Mode.ESTOP if before is Mode.ESTOP else Mode.FAULT)
    if before is after:
        return event in (Event.HOLD, Event.DISABLE) and before in (Mode.POLICY, Mode.TELEOP)
    if before is Mode.ESTOP:
        return not (event is Event.RESET and reason.strip() and after is Mode.DISABLED)
    if before is Mode.FAULT:
        return not (event is Event.CLEAR_FAULT and after in (Mode.HOLD, Mode.DISABLED))
    if after is Mode.POLICY:
        return not (event is Event.START and before in (Mode.READY, Mode.HOLD) and watched)
    if after is Mode.TELEOP:
        return event is not Event.TELEOP_PRESSED or before is Mode.DISABLED
    return before is Mode.DISABLED and not (event is Event.ENABLE and after is Mode.READY)
