"""The grid of episodes: one integer describes one start completely (paper, section 1.4).

An id is decoded by mixed radix, most significant first: object, receptacle, table, position pair, yaw. Positions are in
the world frame, metres; they are the cells of a 6 x 6 grid around (-0.16, 0), and object and receptacle never start
closer than 0.070 m.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from rlvla_core.errors import RlvlaError

CENTRE = (-0.16, 0.0)
"""Middle of the workspace, world frame, metres."""
HALF_WIDTH = 0.075
CELLS_PER_SIDE = 6
MIN_DISTANCE = 0.070
"""Object and receptacle start further apart than this, metres."""
YAWS = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
"""Start yaws of the object, radians."""
TEMPLATE = "put {object} on {receptacle}"

Position = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """Everything that a start depends on."""

    episode_id: int
    """Index in the set that it came from."""
    object: int
    """Index in the catalogue's objects."""
    receptacle: int
    """Index in the catalogue's receptacles."""
    table: int
    """Index in the catalogue's tables."""
    object_xy: Position
    """Metres, world frame."""
    object_yaw: float
    """Radians about the vertical, from the object's resting pose."""
    receptacle_xy: Position
    """Metres, world frame."""
    template: str = TEMPLATE
    """Sentence with `{object}` and `{receptacle}`."""
    joint_offset: tuple[float, ...] = ()
    """Radians added to the arm's start angles; empty for none."""

    def instruction(self, object_name: str, receptacle_name: str) -> str:
        """The sentence that the policy hears."""
        return self.template.format(object=object_name, receptacle=receptacle_name)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeSet:
    """A finite grid of episodes: the product of its five lists."""

    name: str
    objects: tuple[int, ...]
    receptacles: tuple[int, ...]
    tables: tuple[int, ...]
    positions: tuple[tuple[Position, Position], ...]
    """(object, receptacle) pairs."""
    yaws: tuple[float, ...]

    @property
    def radices(self) -> tuple[int, int, int, int, int]:
        """Lengths of the digits, most significant first."""
        return len(self.objects), len(self.receptacles), len(self.tables), len(self.positions), len(self.yaws)

    def __len__(self) -> int:
        return math.prod(self.radices)

    def digits(self, episode_id: int) -> tuple[int, ...]:
        """Positions in the five lists; raises RlvlaError for an id outside the set."""
        if not 0 <= episode_id < len(self):
            raise RlvlaError(f"episode id {episode_id} is outside the grid `{self.name}`: use 0 .. {len(self) - 1}")
        digits, rest = [], episode_id
        for radix in reversed(self.radices):
            rest, digit = divmod(rest, radix)
            digits.append(digit)
        return tuple(reversed(digits))

    def encode(self, digits: tuple[int, ...]) -> int:
        """The id of positions in the five lists; inverse of `digits`."""
        episode_id = 0
        for digit, radix in zip(digits, self.radices, strict=True):
            if not 0 <= digit < radix:
                raise RlvlaError(f"digits {digits} are outside the grid `{self.name}` of radices {self.radices}")
            episode_id = episode_id * radix + digit
        return episode_id

    def decode(self, episode_id: int) -> Episode:
        """The episode of an id; raises RlvlaError for an id outside the set."""
        what, where, table, pair, yaw = self.digits(episode_id)
        object_xy, receptacle_xy = self.positions[pair]
        return Episode(
            episode_id=episode_id,
            object=self.objects[what],
            receptacle=self.receptacles[where],
            table=self.tables[table],
            object_xy=object_xy,
            object_yaw=self.yaws[yaw],
            receptacle_xy=receptacle_xy,
        )


def cells() -> list[Position]:
    """The 36 cells of the grid, x slowest."""
    pitch = 2 * HALF_WIDTH / (CELLS_PER_SIDE - 1)
    line = [-HALF_WIDTH + i * pitch for i in range(CELLS_PER_SIDE)]
    return [(CENTRE[0] + x, CENTRE[1] + y) for x in line for y in line]


def position_pairs() -> tuple[tuple[Position, Position], ...]:
    """Ordered (object, receptacle) pairs of cells further apart than MIN_DISTANCE: 784."""
    grid = cells()
    return tuple((a, b) for a in grid for b in grid if math.dist(a, b) > MIN_DISTANCE)


@lru_cache(maxsize=1)
def episode_sets() -> dict[str, EpisodeSet]:
    """Every set by its name: `train`, `test` (unseen objects and tables together) and `single`."""
    pairs = position_pairs()
    train, unseen = tuple(range(16)), tuple(range(16, 25))
    tables, unseen_tables = tuple(range(16)), tuple(range(16, 21))
    sets = [
        EpisodeSet(name="train", objects=train, receptacles=(0,), tables=tables, positions=pairs, yaws=YAWS),
        EpisodeSet(name="test", objects=unseen, receptacles=(0,), tables=unseen_tables, positions=pairs, yaws=YAWS),
        EpisodeSet(name="single", objects=(0,), receptacles=(0,), tables=(0,), positions=pairs, yaws=YAWS),
    ]
    return {s.name: s for s in sets}


def episode_set(name: str) -> EpisodeSet:
    """The set of this name; raises RlvlaError that lists the names there are."""
    sets = episode_sets()
    if name not in sets:
        raise RlvlaError(f"unknown episode set `{name}`: use one of {', '.join(sets)}")
    return sets[name]
