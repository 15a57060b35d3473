"""`rlvla collect`: let the scripted expert write demonstrations."""

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

WORLDS = 8
"""Most worlds that a worker steps together: their inverse kinematics is solved in one go."""


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Let the scripted expert write successful demonstrations: a LeRobot v3 dataset, with action statistics.

    The same seed and number of episodes give the same dataset, whatever the number of processes.
    """

    directory: Path = Path("data/demonstrations")
    """The new dataset. What is finished before the end lies beside it, in DIRECTORY.parts."""
    episodes: int = 400
    """How many successful demonstrations."""
    sim: WorldConfig = field(default_factory=WorldConfig)
    """The put-X-on-Y world."""
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    """How the expert moves, and how its hand trembles."""
    filter_idle: bool = True
    """Leave out steps that hardly move: a policy that learns them stands still."""
    idle: IdleFilter = field(default_factory=lambda: IdleFilter(position=0.003, rotation=0.02))
    """What counts as idle: less than a tenth of the expert's longest step. The paper's 0.01 m and 0.06 rad would
    also drop the fine approach, because this expert slows down towards its waypoints."""
    seed: int = 0
    """Chooses the episodes and the noise."""
    processes: int = 0
    """Worker processes, each with its own worlds; 0: one a core."""
    resume: bool = False
    """Go on where an interrupted collection stopped."""

    def run(self) -> int:
        """Collect, then print a summary and the path. Raises RlvlaError for anything that the user can mend."""
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
                        progress.note(f"{done} demonstrations were finished before: going on")
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
    """What was collected, the last part of it in this many seconds."""
    metadata = Metadata.read(directory)
    episodes, attempts = len(metadata.starts) - 1, metadata.provenance["attempts"]
    low, high = wilson(episodes, attempts)
    bytes_on_disk = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    table = Table(show_header=False, title="Demonstrations", title_justify="left")
    table.add_row("episodes", f"{episodes:,}")
    table.add_row("frames", f"{metadata.num_frames:,} ({metadata.num_frames / episodes:.1f} an episode)")
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
    """The expert in the put-X-on-Y world, for a worker process."""

    batch = WORLDS

    def __init__(self, world: WorldConfig, expert: ExpertConfig) -> None:
        self._world, self._expert = world, expert
        self._environments: dict[int, CpuVecEnv] = {}
        self.spec = self._environment(1).spec

    def demonstrate(self, episode_ids: list[int], seeds: list[int]) -> list[Episode]:
        """Attempts with one seed are played together, in groups of 8, 4, 2, 1 worlds (each kept for the next call)."""
        episodes: dict[int, Episode] = {}
        places: dict[int, list[int]] = defaultdict(list)
        for place, seed in enumerate(seeds):
            places[seed].append(place)
        for seed, waiting in places.items():
            while waiting:
                size = 1 << (min(len(waiting), WORLDS).bit_length() - 1)
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
        """Free the worlds."""
        for environment in self._environments.values():
            environment.close()
