"""A second receptacle on the table: only the instruction says which one is meant.

As released, these tests also show the five table images that training never did.
"""

from rlvla_sim.episodes import DistractorRule
from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.shifts.triples import far_receptacle_triples
from rlvla_sim.shifts.unseen_receptacles import UNSEEN_RECEPTACLES

ALL_TABLES = tuple(range(21))


def second_of(ring: tuple[int, ...]) -> DistractorRule:
    """Any other receptacle of the ring."""
    return DistractorRule(kind="receptacle", ring=ring, steps=tuple(range(1, len(ring))))


SHIFTS = (
    Shift(
        name="distractor-receptacle",
        number=12,
        axis="semantics",
        summary="one of the 16 unseen receptacles stands beside the plate of training, which is the target",
        change=Change(distractor_rule=second_of((0, *UNSEEN_RECEPTACLES)), positions=far_receptacle_triples()),
        as_released=Change(tables=ALL_TABLES),
    ),
    Shift(
        name="multi-receptacle",
        number=13,
        axis="semantics",
        summary="two of the 16 unseen receptacles",
        change=Change(
            receptacles=UNSEEN_RECEPTACLES,
            distractor_rule=second_of(UNSEEN_RECEPTACLES),
            positions=far_receptacle_triples(),
        ),
        as_released=Change(tables=ALL_TABLES),
    ),
)
