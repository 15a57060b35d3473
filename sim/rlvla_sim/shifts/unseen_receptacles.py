"""Other places to put things on."""

from rlvla_sim.shifts.shift import Change, Shift

UNSEEN_RECEPTACLES = tuple(range(1, 17))

SHIFTS = (
    Shift(
        name="unseen-receptacles",
        number=8,
        axis="semantics",
        summary="16 receptacles that training never showed or named",
        change=Change(receptacles=UNSEEN_RECEPTACLES),
    ),
)
