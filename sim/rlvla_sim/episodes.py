"""Episode sets: finite sets of starts, in which one integer describes one start completely (paper, section 1.4).

An id is decoded by mixed radix, most significant first: object, receptacle, distractor, texture, template, table,
places, yaw, start pose (`Digits`). Most sets have a single choice for most of them. Positions are in the world frame,
metres: the cells of a 6 x 6 grid around (-0.16, 0), and object and receptacle never start closer than 0.070 m.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_sim.robots.spec import WORKSPACE_CENTRE
from rlvla_sim.texture_overlay import TextureOverlay

HALF_WIDTH = 0.075
"""Metres from the middle of the workspace to the centre of an outermost cell, along x and y."""
CELLS_PER_SIDE = 6
MIN_DISTANCE = 0.070
"""Object and receptacle start further apart than this, metres."""
YAWS = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
"""Start yaws of the object, radians."""
TEMPLATE = "put {object} on {receptacle}"

Position = tuple[float, float]
Kind = Literal["object", "receptacle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Distractor:
    """A second body on the table, which the instruction does not name."""

    kind: Kind
    index: int
    """Index in the catalogue's objects or receptacles."""
    xy: Position
    """Metres, world frame."""
    yaw: float
    """Radians about the vertical."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeStart:
    """Everything that the start of an episode depends on."""

    episode_id: int
    """Id of the episode in the set that it came from."""
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
    """Instruction with `{object}` and `{receptacle}` in place of the names."""
    joint_offset: tuple[float, ...] = ()
    """Radians added to the start angles of the arm's first five joints and of its last; empty for none."""
    distractor: Distractor | None = None
    """The second object or receptacle of the episode, if it has one."""
    texture: int | None = None
    """Index in the catalogue's textures; blended into the images by `texture_overlay`."""
    texture_overlay: TextureOverlay | None = None
    """How `texture` is blended into the images."""
    move_to: Position | None = None
    """Where the object is put in the middle of the episode, metres, world frame."""

    def instruction(self, object_name: str, receptacle_name: str) -> str:
        """The instruction that the policy gets, with these names filled in."""
        return self.template.format(object=object_name, receptacle=receptacle_name)

    def start_joints(self, arm_start: tuple[float, ...]) -> np.ndarray:
        """Start angles of the arm, float64 [d], radians, from the robot's own `arm_start`."""
        joints = np.array(arm_start)
        if self.joint_offset:
            joints[[0, 1, 2, 3, 4, -1]] += self.joint_offset
        return joints


class Digits(NamedTuple):
    """The digits of an episode id (which choice of each list), or the radices of a set; most significant first."""

    object: int = 0
    receptacle: int = 0
    distractor: int = 0
    texture: int = 0
    template: int = 0
    table: int = 0
    places: int = 0
    yaw: int = 0
    start: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class DistractorRule:
    """Rule that chooses the distractor of an episode: the asset `steps` places after the target in a ring of assets."""

    kind: Kind
    ring: tuple[int, ...]
    """Catalogue indices; every target of the set is among them."""
    steps: tuple[int, ...]
    """Steps around the ring; one digit of the episode id chooses among them."""

    def of(self, target: int, choice: int) -> int:
        """Catalogue index of the distractor for a target with this catalogue index and this digit of the id."""
        return self.ring[(self.ring.index(target) + self.steps[choice]) % len(self.ring)]


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeSet:
    """A finite set of episodes: every combination of the choices in its lists, each with an id."""

    name: str
    objects: tuple[int, ...]
    receptacles: tuple[int, ...]
    tables: tuple[int, ...]
    positions: tuple[tuple[Position, ...], ...]
    """Places (object, receptacle) or (object, receptacle, third): the third is the distractor's place or, without a
    distractor rule, where the object is moved to in the middle of the episode."""
    yaws: tuple[float, ...]
    joint_offsets: tuple[tuple[float, ...], ...] = ((),)
    """Offsets of the start pose, see `EpisodeStart.joint_offset`."""
    distractor_rule: DistractorRule | None = None
    textures: tuple[int, ...] = ()
    """Indices in the catalogue's textures, blended in by `texture_overlay`."""
    texture_overlay: TextureOverlay | None = None
    templates: tuple[str, ...] = (TEMPLATE,)

    def __post_init__(self) -> None:
        """Raises RlvlaError where the lists do not fit one another."""
        if bool(self.textures) != (self.texture_overlay is not None):
            raise RlvlaError(f"the episode set `{self.name}` needs both textures and a texture overlay, or neither")
        if self.distractor_rule is not None:
            targets = self.objects if self.distractor_rule.kind == "object" else self.receptacles
            if not set(targets) <= set(self.distractor_rule.ring) or any(len(places) != 3 for places in self.positions):
                kind = self.distractor_rule.kind
                raise RlvlaError(f"the episode set `{self.name}` lacks a distractor for some {kind}, or a third place")

    @property
    def radices(self) -> Digits:
        """Number of choices of each digit."""
        return Digits(
            object=len(self.objects),
            receptacle=len(self.receptacles),
            distractor=len(self.distractor_rule.steps) if self.distractor_rule else 1,
            texture=len(self.textures) or 1,
            template=len(self.templates),
            table=len(self.tables),
            places=len(self.positions),
            yaw=len(self.yaws),
            start=len(self.joint_offsets),
        )

    def __len__(self) -> int:
        return math.prod(self.radices)

    def digits(self, episode_id: int) -> Digits:
        """The choices that an episode id stands for; raises RlvlaError for an id outside the set."""
        if not 0 <= episode_id < len(self):
            raise RlvlaError(
                f"episode id {episode_id} is outside the episode set `{self.name}`: use 0 .. {len(self) - 1}"
            )
        digits, rest = [], episode_id
        for radix in reversed(self.radices):
            rest, digit = divmod(rest, radix)
            digits.append(digit)
        return Digits(*reversed(digits))

    def encode(self, digits: Digits) -> int:
        """The episode id of these choices; inverse of `digits`. Raises RlvlaError for a choice outside the set's
        lists."""
        episode_id = 0
        for digit, radix in zip(digits, self.radices, strict=True):
            if not 0 <= digit < radix:
                raise RlvlaError(f"{digits} is outside the episode set `{self.name}` of radices {tuple(self.radices)}")
            episode_id = episode_id * radix + digit
        return episode_id

    def decode(self, episode_id: int) -> EpisodeStart:
        """The start of the episode with this id; raises RlvlaError for an id outside the set."""
        at = self.digits(episode_id)
        target, receptacle, yaw = self.objects[at.object], self.receptacles[at.receptacle], self.yaws[at.yaw]
        object_xy, receptacle_xy, *third = self.positions[at.places]
        distractor = None
        if self.distractor_rule is not None:
            kind = self.distractor_rule.kind
            named = target if kind == "object" else receptacle
            index = self.distractor_rule.of(named, at.distractor)
            if index != named:
                distractor = Distractor(kind=kind, index=index, xy=third[0], yaw=yaw if kind == "object" else 0.0)
            else:
                # Only as released: the second body is the target itself, which then stands at the second place alone.
                object_xy = third[0]
        return EpisodeStart(
            episode_id=episode_id,
            object=target,
            receptacle=receptacle,
            table=self.tables[at.table],
            object_xy=object_xy,
            object_yaw=yaw,
            receptacle_xy=receptacle_xy,
            template=self.templates[at.template],
            joint_offset=self.joint_offsets[at.start],
            distractor=distractor,
            texture=self.textures[at.texture] if self.textures else None,
            texture_overlay=self.texture_overlay,
            move_to=third[0] if third and self.distractor_rule is None else None,
        )


def grid_line(first: int = 0, last: int = CELLS_PER_SIDE - 1) -> list[float]:
    """Offsets from the grid's centre along one axis, metres, of cells `first` .. `last`; 0 .. 5 are the grid itself."""
    pitch = 2 * HALF_WIDTH / (CELLS_PER_SIDE - 1)
    return [-HALF_WIDTH + i * pitch for i in range(first, last + 1)]


def cells() -> list[Position]:
    """The 36 cells of the grid, x slowest."""
    line = grid_line()
    return [(WORKSPACE_CENTRE[0] + x, WORKSPACE_CENTRE[1] + y) for x in line for y in line]


def position_pairs(grid: list[Position]) -> tuple[tuple[Position, Position], ...]:
    """Ordered (object, receptacle) pairs of cells further apart than MIN_DISTANCE; 784 in the training grid."""
    return tuple((a, b) for a in grid for b in grid if math.dist(a, b) > MIN_DISTANCE)


def training_episodes() -> EpisodeSet:
    """The episode set `train`: 16 objects, one receptacle, 16 tables, 784 pairs of places, 4 yaws (802,816
    episodes)."""
    return EpisodeSet(
        name="train",
        objects=tuple(range(16)),
        receptacles=(0,),
        tables=tuple(range(16)),
        positions=position_pairs(cells()),
        yaws=YAWS,
    )
