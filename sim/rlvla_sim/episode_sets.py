"""All episode sets by their names: the training sets and the sixteen out-of-distribution tests."""

from dataclasses import replace
from functools import cache

from rlvla_core.errors import RlvlaError
from rlvla_sim.episodes import EpisodeSet, training_episodes
from rlvla_sim.shifts import combine, shifts


def set_names() -> tuple[str, ...]:
    """The names that `episode_set` knows: `train`, `test`, `single`, then the tests in the order of their numbers."""
    return ("train", "test", "single", *(shift.name for shift in shifts()))


@cache
def episode_set(name: str, as_released: bool = False) -> EpisodeSet:
    """The episode set of this name: `train`; `test`, unseen objects and tables together; `single`, one object and one
    table; a shift; or several shifts joined by `+`.

    `as_released`: with the mistakes of the paper's released code, where the shift has any; the set's name then ends in
    `/as-released`. Raises RlvlaError for an unknown name, and for shifts that exclude one another.
    """
    known = {shift.name: shift for shift in shifts()}
    if name == "train":
        return training_episodes()
    if name == "single":
        return replace(training_episodes(), name=name, objects=(0,), tables=(0,))
    if name == "test":
        return replace(combine([known["unseen-objects"], known["unseen-tables"]]), name=name)
    parts = name.split("+")
    if unknown := [part for part in parts if part not in known]:
        raise RlvlaError(f"unknown episode set `{unknown[0]}`: use one of {', '.join(set_names())}")
    return combine([known[part] for part in parts], as_released=as_released)
