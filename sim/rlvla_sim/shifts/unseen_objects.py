"""Other objects to pick up."""

from rlvla_sim.shifts.shift import Change, Shift

UNSEEN_OBJECTS = tuple(range(16, 25))

SHIFTS = (
    Shift(
        name="unseen-objects",
        number=7,
        axis="semantics",
        summary="9 objects that training never showed or named",
        change=Change(objects=UNSEEN_OBJECTS),
    ),
)
