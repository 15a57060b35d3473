"""The arbiter: modes and events against a table written down here, deadmen by their clocks, and random storms."""

import pytest
import safety_modes
from control_arms import command

from rlvla_core.control.arbiter import Arbiter, ArbiterConfig, Event, Mode

TABLE = """
                  DISABLED  READY     POLICY    TELEOP    HOLD      FAULT     ESTOP
enable            READY     -         -         -         -         -         -
disable           DISABLED  DISABLED  DISABLED  DISABLED  DISABLED  -         -
start             -         POLICY    -         -         POLICY    -         -
hold              -         HOLD      HOLD      HOLD      HOLD      -         -
teleop_pressed    -         TELEOP    TELEOP    TELEOP    TELEOP    -         -
teleop_released   DISABLED  READY     POLICY    HOLD      HOLD      FAULT     ESTOP
estop             ESTOP     ESTOP     ESTOP     ESTOP     ESTOP     ESTOP     ESTOP
reset             -         -         -         -         -         -         DISABLED
fault             FAULT     FAULT     FAULT     FAULT     FAULT     FAULT     -
clear_fault       -         -         -         -         -         HOLD      -
stale             DISABLED  READY     HOLD      HOLD      HOLD      FAULT     ESTOP
"""
"""Event by mode; `-` is refused and changes nothing."""


def table():
    header, *rows = [line.split() for line in TABLE.strip().splitlines()]
    return {(mode, row[0]): after for row in rows for mode, after in zip(header, row[1:], strict=True)}


PATHS = {
    "DISABLED": [],
    "READY": ["enable"],
    "POLICY": ["enable", "start"],
    "TELEOP": ["enable", "teleop_pressed"],
    "HOLD": ["enable", "hold"],
    "FAULT": ["enable", "fault"],
    "ESTOP": ["estop"],
}


def arbiter_in(mode, **config):
    """In a mode, at time 10, with an operator who was seen just now."""
    arbiter = Arbiter(ArbiterConfig(**config))
    arbiter.operator_seen(10.0)
    for event in PATHS[mode]:
        arbiter.handle(Event(event), 10.0)
    assert arbiter.mode is Mode[mode]
    return arbiter


def test_the_table_is_complete():
    assert set(table()) == {(mode.name, event.value) for mode in Mode for event in Event}


@pytest.mark.parametrize(("mode", "event"), list(table()))
def test_every_event_in_every_mode(mode, event):
    arbiter, expected = arbiter_in(mode), table()[mode, event]
    after = arbiter.handle(Event(event), 10.1, "mended")
    assert after is arbiter.mode
    if expected == "-":
        assert after is Mode[mode]
        assert f"`{event}` is not possible in {mode}" in arbiter.refusal
        assert arbiter.history[-1].refusal == arbiter.refusal
    else:
        assert after is Mode[expected]
        assert arbiter.refusal == ""
        assert arbiter.reasons[-1] == f"{event}: mended"
    assert arbiter.active_source == {"POLICY": "policy", "TELEOP": "teleop"}.get(arbiter.mode.name, "")


@pytest.mark.parametrize("reason", ["", " ", "\n"])
def test_estop_needs_a_reason_to_be_reset(reason):
    arbiter = arbiter_in("ESTOP")
    assert arbiter.handle(Event.RESET, 10.1, reason) is Mode.ESTOP
    assert "needs a reason" in arbiter.refusal


@pytest.mark.parametrize(("mode", "after"), [("DISABLED", "DISABLED"), ("READY", "HOLD"), ("TELEOP", "HOLD")])
def test_a_cleared_fault_leads_to_hold_only_if_the_arm_was_enabled(mode, after):
    arbiter = arbiter_in(mode)
    arbiter.handle(Event.FAULT, 10.1, "driver lost")
    arbiter.handle(Event.FAULT, 10.2, "camera lost")
    assert arbiter.handle(Event.CLEAR_FAULT, 10.3) is Mode[after]


def test_the_policy_moves_in_its_own_epoch_with_what_it_saw_since():
    arbiter = arbiter_in("POLICY")
    assert arbiter.epoch == 1
    assert arbiter.admit(command([0] * 6, now=10.0), 10.0, 1) is None
    assert "before the policy was started" in str(arbiter.admit(command([0] * 6, now=10.2, observed_at=9.99), 10.2, 1))
    arbiter.handle(Event.HOLD, 10.3)
    assert "may not move the arm in HOLD" in str(arbiter.admit(command([0] * 6, now=10.3), 10.3, 1))
    arbiter.handle(Event.START, 10.4)
    assert arbiter.epoch == 2
    assert "epoch 1, now is 2" in str(arbiter.admit(command([0] * 6, now=10.5), 10.5, 1))
    assert "epoch 3, now is 2" in str(arbiter.admit(command([0] * 6, now=10.5), 10.5, 3))
    assert arbiter.admit(command([0] * 6, now=10.5), 10.5, 2) is None
    assert "teleop may not" in str(arbiter.admit(command([0] * 6, now=10.5, source="teleop"), 10.5, 2))


def test_the_operators_silence_holds_the_policy_and_start_needs_him():
    arbiter = arbiter_in("POLICY")
    assert arbiter.check(11.0) is Mode.POLICY
    fresh = command([0] * 6, now=11.01)
    assert "heartbeat" in str(arbiter.admit(fresh, 11.01, 1))
    assert arbiter.check(11.01) is Mode.HOLD
    assert "heartbeat" in arbiter.reasons[-1]
    assert arbiter.handle(Event.START, 11.02) is Mode.HOLD
    assert "heartbeat" in arbiter.refusal
    arbiter.operator_seen(11.1)
    assert arbiter.handle(Event.START, 11.1) is Mode.POLICY
    alone = arbiter_in("POLICY", operator_required=False)
    assert alone.check(1e6) is Mode.POLICY


def test_teleop_lives_by_its_deadman():
    arbiter = arbiter_in("TELEOP")
    teleop = {"source": "teleop"}
    assert arbiter.admit(command([0] * 6, now=10.14, **teleop), 10.14, 0) is None
    assert "silent" in str(arbiter.admit(command([0] * 6, now=10.16, **teleop), 10.16, 0))
    arbiter.teleop_seen(10.15, held=True)
    assert arbiter.check(10.29) is Mode.TELEOP
    assert "old" in str(arbiter.admit(command([0] * 6, now=10.1, **teleop), 10.29, 0))
    assert "old" in str(arbiter.admit(command([0] * 6, now=10.4, **teleop), 10.29, 0))
    assert arbiter.check(10.31) is Mode.HOLD
    # A device that is held when nobody asked for teleop starts nothing.
    arbiter.teleop_seen(10.32, held=True)
    assert arbiter.mode is Mode.HOLD
    arbiter.handle(Event.TELEOP_PRESSED, 10.33)
    arbiter.teleop_seen(10.34, held=False)
    assert arbiter.mode is Mode.HOLD


def test_letting_go_never_gives_the_arm_back_to_the_policy():
    arbiter = arbiter_in("POLICY")
    assert arbiter.handle(Event.TELEOP_PRESSED, 10.1) is Mode.TELEOP
    assert arbiter.handle(Event.TELEOP_RELEASED, 10.2) is Mode.HOLD
    assert arbiter.admit(command([0] * 6, now=10.2), 10.2, 1) is not None
    assert arbiter.handle(Event.START, 10.3) is Mode.POLICY
    assert arbiter.epoch == 2


def test_no_storm_of_events_leads_where_it_must_not():
    """100,000 random sequences of events and commands; the judge knows nothing of the table."""
    counts = safety_modes.mode_storm(100_000, seed=7, length=6)
    assert counts["unsafe"] == 0
    assert counts["transitions"] > 100_000
    assert min(counts["policy admitted"], counts["teleop admitted"]) > 300


@pytest.mark.parametrize(
    ("pair", "wrong"),
    [
        ((Mode.TELEOP, Event.TELEOP_RELEASED), Mode.POLICY),
        ((Mode.ESTOP, Event.ENABLE), Mode.READY),
        ((Mode.HOLD, Event.STALE), Mode.POLICY),
        ((Mode.FAULT, Event.DISABLE), Mode.DISABLED),
        ((Mode.POLICY, Event.ESTOP), Mode.HOLD),
        ((Mode.TELEOP, Event.HOLD), Mode.TELEOP),
        ((Mode.DISABLED, Event.TELEOP_PRESSED), Mode.TELEOP),
    ],
)
def test_the_storm_notices_a_wrong_table(pair, wrong, monkeypatch):
    from rlvla_core.control import arbiter

    monkeypatch.setitem(arbiter.TRANSITIONS, pair, wrong)
    assert safety_modes.mode_storm(3000, seed=8)["unsafe"] > 0
