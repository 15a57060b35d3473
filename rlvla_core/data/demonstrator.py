"""An expert that makes demonstrations, and what is asked of it: one process's share of a collection."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rlvla_core.data.episode import Episode
from rlvla_core.data.filter import IdleFilter, drop_idle
from rlvla_core.data.writer import DatasetWriter
from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError


class Demonstrator(Protocol):
    """An expert in its own world; one in each worker process."""

    spec: EnvSpec

    batch: int
    """How many episodes it likes to be given at once."""

    def demonstrate(self, episode_ids: list[int], seeds: list[int]) -> list[Episode]:
        """One attempt at each episode. An attempt depends on its own id and seed alone, not on its neighbours."""
        ...

    def close(self) -> None:
        """Free the world."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionPlan:
    """What to collect."""

    episodes: int
    """Successful demonstrations."""
    seed: int = 0
    """Chooses the episodes and the noise."""
    max_attempts: int = 20
    """Give up where one demonstration failed so often: the expert cannot do this world."""
    idle: IdleFilter | None = None
    """Drop idle steps; None keeps all."""
    settings: dict[str, Any]
    """JSON of everything else that decides the result (world, expert): kept as provenance, compared on resume."""

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise RlvlaError(f"episodes = {self.episodes}: collect at least one")
        if self.max_attempts < 1:
            raise RlvlaError(f"max_attempts = {self.max_attempts}: allow at least one")


def attempt(plan: CollectionPlan, num_episodes: int, index: int, number: int) -> tuple[int, int]:
    """(episode id, noise seed) of attempt `number` at demonstration `index` in a grid of `num_episodes`.

    No id comes twice before all have come once; after that the noise is another.
    """
    ids = _order(plan.seed, num_episodes, min(num_episodes, plan.episodes * plan.max_attempts))
    turn, place = divmod(index + number * plan.episodes, len(ids))
    return int(ids[place]), int(np.random.SeedSequence([plan.seed, turn]).generate_state(1)[0])


@functools.lru_cache(maxsize=1)
def _order(seed: int, num_episodes: int, size: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).choice(num_episodes, size=size, replace=False)


def collect_shard(
    demonstrator: Demonstrator, plan: CollectionPlan, shard: range, path: Path, report: Callable[[int], None]
) -> None:
    """Write the demonstrations of `shard` as a dataset of their own; `report` gets the attempts that each one took."""
    spec = demonstrator.spec
    failures = dict.fromkeys(shard, 0)
    pending = list(shard)
    ready: dict[int, Episode] = {}
    with DatasetWriter(
        path,
        fps=spec.control_hz,
        robot=spec.robot,
        camera=spec.camera.name,
        env_spec=spec,
        provenance={"attempts": 0},
    ) as writer:
        while pending:
            chosen, pending = pending[: demonstrator.batch], pending[demonstrator.batch :]
            tries = [attempt(plan, spec.num_episodes, index, failures[index]) for index in chosen]
            episodes = demonstrator.demonstrate([episode_id for episode_id, _ in tries], [seed for _, seed in tries])
            for index, episode in zip(chosen, episodes, strict=True):
                if episode.success:
                    ready[index] = episode if plan.idle is None else drop_idle(episode, plan.idle)
                    writer.provenance["attempts"] += failures[index] + 1
                    report(failures[index] + 1)
                    continue
                failures[index] += 1
                if failures[index] == plan.max_attempts:
                    raise RlvlaError(
                        f"demonstration {index} failed {plan.max_attempts} times (last: episode id "
                        f"{episode.episode_id}): the expert cannot do this world; lower its noise or give it more steps"
                    )
                pending.append(index)
            while writer.num_episodes < len(shard) and shard[writer.num_episodes] in ready:
                writer.add(ready.pop(shard[writer.num_episodes]))
