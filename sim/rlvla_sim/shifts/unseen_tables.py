"""Other table images."""

from rlvla_sim.shifts.shift import Change, Shift

UNSEEN_TABLES = tuple(range(16, 21))

SHIFTS = (
    Shift(
        name="unseen-tables",
        number=1,
        axis="vision",
        summary="5 table images that training never showed",
        change=Change(tables=UNSEEN_TABLES),
    ),
)
