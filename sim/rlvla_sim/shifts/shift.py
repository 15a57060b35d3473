"""What a shift is: a name, its place in the paper's table, and what changes against training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict

from rlvla_core.errors import RlvlaError
from rlvla_sim.episodes import DistractorRule, EpisodeSet, Position, training_episodes
from rlvla_sim.texture_overlay import TextureOverlay

Axis = Literal["in-distribution", "vision", "semantics", "execution"]
AS_RELEASED = "/as-released"
"""End of the name of an episode set that repeats a mistake of the released code."""


class Change(TypedDict, total=False):
    """Fields of `EpisodeSet` that a shift replaces, with their new values."""

    objects: tuple[int, ...]
    receptacles: tuple[int, ...]
    tables: tuple[int, ...]
    positions: tuple[tuple[Position, ...], ...]
    yaws: tuple[float, ...]
    joint_offsets: tuple[tuple[float, ...], ...]
    distractor_rule: DistractorRule
    textures: tuple[int, ...]
    texture_overlay: TextureOverlay
    templates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shift:
    """One out-of-distribution test: the training episodes with one change."""

    name: str
    """Name of the test and of its episode set, in kebab case."""
    number: int
    """Number of the test in the paper's table, 1 .. 16; additions count on."""
    axis: Axis
    """What kind of generalisation the test asks for."""
    summary: str
    """What changes against training, in one line."""
    change: Change
    """Fields of the training episode set that the test replaces."""
    as_released: Change = field(default_factory=Change)
    """Mistakes of the released code, applied over `change` where `as_released` asks for them."""


def combine(shifts: Sequence[Shift], *, as_released: bool = False) -> EpisodeSet:
    """The training episode set with all these changes, named `a+b` in the order of the shifts' numbers.

    `as_released`: with the mistakes of the released code; where there are any, the name ends in `/as-released`, so that
    ids of the two sets are never taken for one another. Raises RlvlaError for shifts that change the same thing.
    """
    name, whole = "", Change()
    for shift in sorted(shifts, key=lambda each: each.number):
        change: Change = {**shift.change, **(shift.as_released if as_released else Change())}
        if both := whole.keys() & change.keys():
            raise RlvlaError(f"`{shift.name}` and `{name}` both change {', '.join(sorted(both))}: use one of them")
        whole, name = {**whole, **change}, f"{name}+{shift.name}" if name else shift.name
    if as_released and any(shift.as_released for shift in shifts):
        name += AS_RELEASED
    return replace(training_episodes(), name=name, **whole)
