"""The grid of episodes: one integer describes one start completely (paper, section 1.4).

An id is decoded by mixed radix, most significant first: object, receptacle, table, position pair, yaw, start pose.
Positions are in the world frame, metres; they are the cells of a 6 x 6 grid around (-0.16, 0), and object and
receptacle never start closer than 0.070 m.
"""

import itertools
import math
from dataclasses import dataclass, replace
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
UNSEEN_YAWS = tuple(math.radians(angle) for angle in (-22.5, -67.5, -112.5, -157.5))
"""Yaws of the test of unseen positions, radians."""
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
    """Radians added to the start angles of the arm's first five joints and of its last; empty for none."""

    def instruction(self, object_name: str, receptacle_name: str) -> str:
        """The sentence that the policy hears."""
        return self.template.format(object=object_name, receptacle=receptacle_name)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeSet:
    """A finite grid of episodes: the product of its six lists."""

    name: str
    objects: tuple[int, ...]
    receptacles: tuple[int, ...]
    tables: tuple[int, ...]
    positions: tuple[tuple[Position, Position], ...]
    """(object, receptacle) pairs."""
    yaws: tuple[float, ...]
    joint_offsets: tuple[tuple[float, ...], ...] = ((),)
    """See `Episode.joint_offset`."""

    @property
    def radices(self) -> tuple[int, ...]:
        """Lengths of the digits, most significant first."""
        lists = (self.objects, self.receptacles, self.tables, self.positions, self.yaws, self.joint_offsets)
        return tuple(len(choices) for choices in lists)

    def __len__(self) -> int:
        return math.prod(self.radices)

    def digits(self, episode_id: int) -> tuple[int, ...]:
        """Positions in the six lists; raises RlvlaError for an id outside the set."""
        if not 0 <= episode_id < len(self):
            raise RlvlaError(f"episode id {episode_id} is outside the grid `{self.name}`: use 0 .. {len(self) - 1}")
        digits, rest = [], episode_id
        for radix in reversed(self.radices):
            rest, digit = divmod(rest, radix)
            digits.append(digit)
        return tuple(reversed(digits))

    def encode(self, digits: tuple[int, ...]) -> int:
        """The id of positions in the six lists; inverse of `digits`."""
        episode_id = 0
        for digit, radix in zip(digits, self.radices, strict=True):
            if not 0 <= digit < radix:
                raise RlvlaError(f"digits {digits} are outside the grid `{self.name}` of radices {self.radices}")
            episode_id = episode_id * radix + digit
        return episode_id

    def decode(self, episode_id: int) -> Episode:
        """The episode of an id; raises RlvlaError for an id outside the set."""
        what, where, table, pair, yaw, start = self.digits(episode_id)
        object_xy, receptacle_xy = self.positions[pair]
        return Episode(
            episode_id=episode_id,
            object=self.objects[what],
            receptacle=self.receptacles[where],
            table=self.tables[table],
            object_xy=object_xy,
            object_yaw=self.yaws[yaw],
            receptacle_xy=receptacle_xy,
            joint_offset=self.joint_offsets[start],
        )


def cells() -> list[Position]:
    """The 36 cells of the grid, x slowest."""
    pitch = 2 * HALF_WIDTH / (CELLS_PER_SIDE - 1)
    line = [-HALF_WIDTH + i * pitch for i in range(CELLS_PER_SIDE)]
    return [(CENTRE[0] + x, CENTRE[1] + y) for x in line for y in line]


def position_pairs(grid: list[Position]) -> tuple[tuple[Position, Position], ...]:
    """Ordered (object, receptacle) pairs of cells further apart than MIN_DISTANCE; 784 in the training grid."""
    return tuple((a, b) for a in grid for b in grid if math.dist(a, b) > MIN_DISTANCE)


def outer_cells() -> list[Position]:
    """The 28 cells of the ring around the training grid (paper, test 14)."""
    pitch = 2 * HALF_WIDTH / (CELLS_PER_SIDE - 1)
    line = [-HALF_WIDTH + i * pitch for i in range(-1, CELLS_PER_SIDE + 1)]
    rim = (line[0], line[-1])
    return [(CENTRE[0] + x, CENTRE[1] + y) for x in line for y in line if x in rim or y in rim]


def start_offsets() -> tuple[tuple[float, ...], ...]:
    """14,375 disturbed start poses (paper, test 15), the undisturbed one among them."""
    joints, wrist = (-0.15, -0.08, 0.0, 0.08, 0.15), (-0.6, -0.3, 0.0, 0.3, 0.6)
    every = itertools.product(*[joints] * 5, wrist)
    return tuple(offset for offset in every if abs(offset[1] + offset[2]) <= 0.25)


@lru_cache(maxsize=1)
def episode_sets() -> dict[str, EpisodeSet]:
    """Every set by its name. `test`: unseen objects and tables together; `single`: one object, one table;
    `unseen-positions` and `unseen-start-pose`: things of the training split where training never had them."""
    pairs = position_pairs(cells())
    unseen, unseen_tables = tuple(range(16, 25)), tuple(range(16, 21))
    train = EpisodeSet(
        name="train",
        objects=tuple(range(16)),
        receptacles=(0,),
        tables=tuple(range(16)),
        positions=pairs,
        yaws=YAWS,
    )
    sets = [
        train,
        replace(train, name="test", objects=unseen, tables=unseen_tables),
        replace(train, name="single", objects=(0,), tables=(0,)),
        replace(train, name="unseen-positions", positions=position_pairs(outer_cells()), yaws=UNSEEN_YAWS),
        replace(train, name="unseen-start-pose", joint_offsets=start_offsets()),
    ]
    return {s.name: s for s in sets}


def episode_set(name: str) -> EpisodeSet:
    """The set of this name; raises RlvlaError that lists the names there are."""
    sets = episode_sets()
    if name not in sets:
        raise RlvlaError(f"unknown episode set `{name}`: use one of {', '.join(sets)}")
    return sets[name]
