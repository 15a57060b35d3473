"""The episodes of training: the result that all other tests are compared with."""

from rlvla_sim.shifts.shift import Change, Shift

SHIFTS = (
    Shift(
        name="in-distribution",
        number=6,
        axis="in-distribution",
        summary="nothing: the training grid itself, with the same ids as `train`",
        change=Change(),
    ),
)
