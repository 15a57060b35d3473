"""`rlvla bench loop`: how fast PPO training runs, and how long simulation, policy and update take."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from rlvla.worlds import make_env
from rlvla_core import seeds
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.distributed import Ranks, default_ranks, launch
from rlvla_core.learning.rollout import collect
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.policy import VLAPolicy
from rlvla_sim import WorldConfig

PARTS = ("world", "policy", "update")
"""Parts of a training iteration: simulation with rendering, sampling of actions, and the gradient update."""


@dataclass(frozen=True, kw_only=True)
class BenchLoop:
    """Measure the speed of PPO training with a new, untrained policy, and print how long each part takes.

    Reads and writes no files. One iteration plays one episode in every environment and then updates the policy; the
    first iteration is not counted. Nothing useful is learned: the actions are random, which does not change the cost.
    Prints a table and, as the last line, JSON.
    """

    sim: WorldConfig = field(default_factory=WorldConfig)
    """The simulated world."""
    num_envs: int = 64
    """Number of environments, summed over all processes."""
    iterations: int = 3
    """Number of timed iterations."""
    preset: str = "tiny"
    """Model to time, e.g. `tiny`; it gets random weights."""
    ranks: int = 0
    """Number of training processes; 0 = one per core, at most 4."""
    seed: int = 0
    """Seed of weights, episodes and sampling."""

    def run(self) -> int:
        """Start the processes and measure; returns the exit code."""
        if self.iterations < 1:
            raise RlvlaError(f"--iterations {self.iterations}: use 1 or more")
        launch(measure, (self,), ranks=self.ranks or default_ranks("cpu"))
        return 0


def measure(ranks: Ranks, options: BenchLoop) -> None:
    """Measure on one rank; rank 0 prints the table and the JSON line."""
    count = ranks.per_rank(options.num_envs, "environments")
    policy = VLAPolicy.from_preset(options.preset, BRIDGE_ORIG, seed=options.seed)
    env = make_env(options.sim, count)
    config = PpoConfig(num_envs=options.num_envs, seed=options.seed, value_warmup_iterations=0)
    learner = PpoLearner(policy, config, ranks, state_dim=env.spec.state_dim)
    totals = dict.fromkeys((*PARTS, "steps"), 0.0)
    for iteration in range(options.iterations + 1):
        metrics = iterate(learner, env, ranks, count, iteration)
        if iteration:
            totals = {name: totals[name] + metrics[name] for name in totals}
    env.close()
    means = ranks.sum(torch.tensor([totals[name] for name in (*PARTS, "steps")], dtype=torch.float64)) / ranks.size
    *seconds, steps = means.tolist()
    if ranks.is_main:
        report(options, ranks, dict(zip(PARTS, seconds, strict=True)), steps)


def iterate(learner: PpoLearner, env: Any, ranks: Ranks, count: int, iteration: int) -> dict[str, float]:
    """One rollout and one update; returns this rank's seconds for each of PARTS, and its number of `steps`."""
    generator = seeds.generator(learner.config.seed, "bench", iteration, ranks.rank, device=learner.policy.device)
    ids = seeds.episode_ids(learner.config.seed, iteration, ranks.rank * count, count, env.spec.num_episodes)
    batch = collect(learner.policy, env, ids, temperature=1.0, generator=generator)
    ranks.barrier()
    started = time.perf_counter()
    learner.update(batch, iteration + 1)
    update = time.perf_counter() - started
    return {"world": batch.env_seconds, "policy": batch.policy_seconds, "update": update, "steps": batch.steps}


def report(options: BenchLoop, ranks: Ranks, seconds: dict[str, float], steps: float) -> None:
    """Print the time of each part and one line of JSON. `seconds` and `steps` are means over the ranks."""
    total = sum(seconds.values())
    title = f"training loop: {options.preset}, {ranks.size} ranks, {options.num_envs} environments"
    table = Table(title=title, title_justify="left")
    for heading in ("part", "ms per step and rank", "fraction"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for name, value in seconds.items():
        table.add_row(name, f"{1000 * value / steps:.2f}", f"{value / total:.0%}")
    Console(soft_wrap=True).print(table)
    metrics = {
        "benchmark": "loop",
        "preset": options.preset,
        "robot": options.sim.robot,
        "image": [options.sim.image_width, options.sim.image_height],
        "ranks": ranks.size,
        "num_envs": options.num_envs,
        "env_steps": round(steps * ranks.size),
        "env_steps_per_s": round(steps * ranks.size / total, 1),
        "ms_per_step_and_rank": {name: round(1000 * value / steps, 3) for name, value in seconds.items()},
    }
    print(json.dumps(metrics), flush=True)
