"""The object is taken away in the middle of the episode.

After step 5 it appears at a third place, more than 15 cm off and in the air, upright and with its first yaw, and falls;
the arm holds its target for 0.1 s meanwhile (`rlvla_sim.physics.MOVE_STEP` and what follows there).
"""

from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.shifts.triples import far_object_triples

SHIFTS = (
    Shift(
        name="moved-object",
        number=16,
        axis="execution",
        summary="after step 5 the object is dropped at another place, more than 15 cm away",
        change=Change(positions=far_object_triples()),
    ),
)
