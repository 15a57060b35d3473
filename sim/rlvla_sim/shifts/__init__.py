"""The sixteen out-of-distribution tests of the paper (section 2), each one change of the training episodes.

A shift is a module of this package with a tuple `SHIFTS`; a seventeenth is one more such file. Modules are found by
themselves, and shifts are listed in the order of their numbers. See `rlvla_sim.episode_sets.episode_set`.
"""

import pkgutil
from functools import cache
from importlib import import_module

from rlvla_core.errors import RlvlaError
from rlvla_sim.shifts.shift import Axis, Change, Shift, combine


@cache
def shifts() -> tuple[Shift, ...]:
    """All shifts in the order of their numbers: 1 .. 16 as in the paper's table, then additions.

    Raises RlvlaError where two share a name or a number.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [each for name in names for each in getattr(import_module(f"{__name__}.{name}"), "SHIFTS", ())]
    for part in ("name", "number"):
        values = [getattr(each, part) for each in found]
        if doubles := {value for value in values if values.count(value) > 1}:
            raise RlvlaError(f"two shifts have the same {part} {doubles.pop()}: give the newer one another")
    return tuple(sorted(found, key=lambda each: each.number))


__all__ = ["Axis", "Change", "Shift", "combine", "shifts"]
