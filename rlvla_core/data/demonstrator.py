"""The expert that makes demonstrations, the plan of a collection, and what one worker process does for it."""

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
    """An expert in its own environments; there is one in each worker process."""

    spec: EnvSpec
    """The environments that it acts in."""

    batch: int
    """How many episodes one call of `demonstrate` is best given."""

    def demonstrate(self, episode_ids: list[int], seeds: list[int]) -> list[Episode]:
        """One attempt at each episode, successful or not, in that order.

        An attempt must depend on its own episode id and noise seed alone, not on its neighbours in the lists.
        """
        ...

    def close(self) -> None:
        """Close the environments."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionPlan:
    """What a collection is to contain. Raises RlvlaError for fewer than one episode or attempt."""

    episodes: int
    """Number of successful demonstrations to collect."""
    seed: int = 0
    """Seed that chooses the episodes and the expert's noise."""
    max_attempts: int = 20
    """The collection ends with an error when one demonstration has failed so often: the expert cannot do the task."""
    idle: IdleFilter | None = None
    """Thresholds below which a step counts as idle and is dropped; None keeps all steps."""
    settings: dict[str, Any]
    """JSON of everything else that decides the result (world, expert): kept as provenance, compared on resume."""

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise RlvlaError(f"episodes = {self.episodes}: collect at least one")
        if self.max_attempts < 1:
            raise RlvlaError(f"max_attempts = {self.max_attempts}: allow at least one")


def attempt(plan: CollectionPlan, num_episodes: int, index: int, number: int) -> tuple[int, int]:
    """(episode id, noise seed) of attempt `number` at demonstration `index`, ids being 0 .. num_episodes - 1.

    No id is used twice before all have been used once; when an id comes again, its noise seed is another one.
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
    """Write the demonstrations of `shard` (their indices in the plan) as a dataset of their own at `path`.

    report: called after each demonstration with the number of attempts that it took.
    Raises RlvlaError when a demonstration has failed `plan.max_attempts` times.
    """
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
                        f"{episode.episode_id}): the expert cannot do this task; lower its noise or give it more steps"
                    )
                pending.append(index)
            while writer.num_episodes < len(shard) and shard[writer.num_episodes] in ready:
                writer.add(ready.pop(shard[writer.num_episodes]))
