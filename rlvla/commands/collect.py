"""`rlvla collect`: record demonstrations of the scripted expert."""

import contextlib
import functools
import os
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from rlvla_core.data.collection import CollectionCounts, collect
from rlvla_core.data.demonstrator import CollectionPlan
from rlvla_core.data.episode import Episode
from rlvla_core.data.filter import IdleFilter
from rlvla_core.data.metadata import Metadata
from rlvla_core.evaluation.statistics import wilson
from rlvla_core.runs.progress import Progress, format_seconds
from rlvla_sim.config import WorldConfig
from rlvla_sim.expert import ExpertConfig, collect_episodes
from rlvla_sim.vec_env import CpuVecEnv

BATCH = 8
"""Most environments that a worker steps together; their inverse kinematics is solved in one batch."""


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Record successful demonstrations of a scripted expert in the simulator, for `rlvla train sft`.

    Reads no files (but the paper's assets, if they are chosen). Writes a dataset in LeRobot v3 layout with its action
    statistics into --directory. The same seed and number of episodes give the same dataset, whatever the number of
    processes.
    """

    directory: Path = Path("data/demonstrations")
    """Directory of the new dataset; until it is complete, its finished parts are in DIRECTORY.parts."""
    episodes: int = 400
    """Number of successful demonstrations to record."""
    sim: WorldConfig = field(default_factory=WorldConfig)
    """The simulated world."""
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    """Motion and noise of the scripted expert."""
    filter_idle: bool = True
    """Drop steps in which the arm hardly moves: a policy that imitates them may stop moving."""
    idle: IdleFilter = field(default_factory=lambda: IdleFilter(position=0.003, rotation=0.02))
    """Limits up to which a step counts as idle, less than a tenth of the expert's longest step. The paper's limits,
    0.01 m and 0.06 rad, would also drop the fine approach, because this expert slows down towards its waypoints."""
    seed: int = 0
    """Seed of the episodes and of the expert's noise."""
    processes: int = 0
    """Number of worker processes, each with its own environments; 0 = one per core."""
    resume: bool = False
    """Continue an interrupted collection from DIRECTORY.parts."""

    def run(self) -> int:
        """Record the demonstrations and print a summary; returns the exit code.

        Raises RlvlaError for a user's mistake.
        """
        plan = CollectionPlan(
            episodes=self.episodes,
            seed=self.seed,
            idle=self.idle if self.filter_idle else None,
            settings={"world": asdict(self.sim), "expert": asdict(self.expert)},
        )
        processes = self.processes or len(os.sched_getaffinity(0))
        console = Console(soft_wrap=True)
        begin = time.monotonic()
        shown: list[Progress] = []
        with contextlib.ExitStack() as stack:

            def show(counts: CollectionCounts) -> None:
                if not shown:  # first called when all checks have passed
                    done = counts.demonstrations
                    progress = Progress(
                        "Demonstrations", total=self.episodes, unit="demos", done=done, plain_seconds=10.0
                    )
                    shown.append(stack.enter_context(progress))
                    if done:
                        progress.note(f"continuing after {done} finished demonstrations")
                else:
                    shown[0].update(
                        counts.demonstrations,
                        **{"expert succeeds in": f"{counts.demonstrations / counts.attempts:.0%}"},
                    )

            collect(
                functools.partial(SimDemonstrator, self.sim, self.expert),
                plan,
                self.directory,
                processes=processes,
                resume=self.resume,
                on_progress=show,
            )
        console.print(summary(self.directory, time.monotonic() - begin))
        return 0


def summary(directory: Path, seconds: float) -> Table:
    """Table about a collected dataset; `seconds` is the time that this start of the command took."""
    metadata = Metadata.read(directory)
    episodes, attempts = len(metadata.starts) - 1, metadata.provenance["attempts"]
    low, high = wilson(episodes, attempts)
    bytes_on_disk = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    table = Table(show_header=False, title="Demonstrations", title_justify="left")
    table.add_row("episodes", f"{episodes:,}")
    table.add_row("frames", f"{metadata.num_frames:,} ({metadata.num_frames / episodes:.1f} per episode)")
    table.add_row("instructions", f"{len(metadata.tasks)}, e.g. `{metadata.tasks[0]}`")
    table.add_row(
        "expert succeeded in",
        f"{episodes / attempts:.1%} of {attempts:,} attempts (95 % interval {low:.1%} .. {high:.1%})",
    )
    table.add_row("time", format_seconds(seconds))
    table.add_row("size", f"{bytes_on_disk / 2**20:.1f} MiB")
    table.add_row("dataset", str(directory.resolve()))
    return table


class SimDemonstrator:
    """The scripted expert and its environments in a worker process."""

    batch = BATCH

    def __init__(self, world: WorldConfig, expert: ExpertConfig) -> None:
        self._world, self._expert = world, expert
        self._environments: dict[int, CpuVecEnv] = {}
        self.spec = self._environment(1).spec

    def demonstrate(self, episode_ids: list[int], seeds: list[int]) -> list[Episode]:
        """Play one attempt for each (episode id, noise seed) pair; returns the episodes in the same order.

        Attempts with the same seed are played together, in groups of 8, 4, 2 or 1 environments, which are kept.
        """
        episodes: dict[int, Episode] = {}
        places: dict[int, list[int]] = defaultdict(list)
        for place, seed in enumerate(seeds):
            places[seed].append(place)
        for seed, waiting in places.items():
            while waiting:
                size = 1 << (min(len(waiting), BATCH).bit_length() - 1)
                chosen, waiting = waiting[:size], waiting[size:]
                ids = torch.tensor([episode_ids[place] for place in chosen])
                found = collect_episodes(self._environment(size), ids, self._expert, seed=seed)
                episodes.update(zip(chosen, found, strict=True))
        return [episodes[place] for place in range(len(seeds))]

    def _environment(self, size: int) -> CpuVecEnv:
        if size not in self._environments:
            self._environments[size] = CpuVecEnv(self._world, size)
        return self._environments[size]

    def close(self) -> None:
        """Close the environments."""
        for environment in self._environments.values():
            environment.close()
