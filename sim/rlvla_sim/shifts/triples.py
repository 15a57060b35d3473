"""Triples of cells for tests with a third place: two of the three are more than 15 cm apart.

Kept as data: 15 cm is exactly five pitches of the grid (in a line, or across a 3-4-5 triangle), so rounding decides
about 72 ordered pairs of cells. In the paper's arithmetic 20 of them count as further apart, which gives 2104 triples;
exact arithmetic gives 1896. A test derives again what does not depend on rounding.
"""

from functools import cache
from pathlib import Path

from rlvla_core.storage.json_files import read_json
from rlvla_sim.episodes import Position, cells

DATA = Path(__file__).parent.parent / "data" / "triples.json"
"""`triples`: cells (first, middle, last) as three base-36 digits, indices in `cells()`; first and last are more than
0.15 m apart, both are more than 0.07 m from the middle one."""

Triple = tuple[Position, Position, Position]


@cache
def far_object_triples() -> tuple[Triple, ...]:
    """The 2104 (object, receptacle, third place) with the third far from the object; world frame, metres."""
    return tuple((first, middle, last) for first, middle, last in _places())


@cache
def far_receptacle_triples() -> tuple[Triple, ...]:
    """The 2104 (object, receptacle, third place) with the third far from the receptacle; world frame, metres."""
    return tuple(sorted((middle, first, last) for first, middle, last in _places()))


def _places() -> list[Triple]:
    grid = cells()
    words = read_json(DATA, "install rlvla again")["triples"]
    return [(grid[int(a, 36)], grid[int(b, 36)], grid[int(c, 36)]) for a, b, c in words]
