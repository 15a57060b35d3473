"""A second object on the table: only the instruction says which one is meant.

As released, the second object of the unseen ones is sometimes the target itself (its place in the list of all objects
is taken for its place among the unseen ones): in 12.5 % of the episodes there is then no second object.
"""

from rlvla_sim.episodes import DistractorRule
from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.shifts.triples import far_object_triples
from rlvla_sim.shifts.unseen_objects import UNSEEN_OBJECTS

SEEN_OBJECTS = tuple(range(16))


def second_of(ring: tuple[int, ...], offset: int = 0) -> DistractorRule:
    """Any other object of the ring; `offset` is added to the step, as the released code does."""
    return DistractorRule(kind="object", ring=ring, steps=tuple(offset + step for step in range(1, len(ring))))


SHIFTS = (
    Shift(
        name="multi-object-seen",
        number=10,
        axis="semantics",
        summary="a second one of the 16 objects of training",
        change=Change(distractor_rule=second_of(SEEN_OBJECTS), positions=far_object_triples()),
    ),
    Shift(
        name="multi-object-unseen",
        number=11,
        axis="semantics",
        summary="two of the 9 objects that training never showed or named",
        change=Change(
            objects=UNSEEN_OBJECTS, distractor_rule=second_of(UNSEEN_OBJECTS), positions=far_object_triples()
        ),
        as_released=Change(distractor_rule=second_of(UNSEEN_OBJECTS, offset=UNSEEN_OBJECTS[0])),
    ),
)
