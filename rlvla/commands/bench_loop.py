"""`rlvla bench loop`: how fast the whole training loop runs, and where the time goes."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from rlvla_core import seeds
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.distributed import Ranks, default_ranks, launch
from rlvla_core.learning.rollout import collect
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.policy import VLAPolicy
from rlvla_sim import WorldConfig, make_env

PARTS = ("world", "policy", "update")
"""Stepping and drawing; looking and deciding; learning. Together they are the loop."""


@dataclass(frozen=True, kw_only=True)
class BenchLoop:
    """Times PPO iterations: roll out one episode in every world, then update the policy. Learns nothing useful.

    The fresh policy of the preset acts at random; the cost of a step does not depend on what it does. The first
    iteration warms up and does not count. The last line is JSON.
    """

    sim: WorldConfig = field(default_factory=WorldConfig)
    """The world to train in."""
    num_envs: int = 64
    """Worlds over all ranks."""
    iterations: int = 3
    """Iterations that count."""
    preset: str = "tiny"
    """Model to time; it needs no trained weights."""
    ranks: int = 0
    """Processes; 0: one a core, at most 4."""
    seed: int = 0
    """Of the weights, the episodes and the sampling."""

    def run(self) -> int:
        """Start the ranks; rank 0 prints."""
        if self.iterations < 1:
            raise RlvlaError(f"--iterations {self.iterations}: time at least 1")
        launch(measure, (self,), ranks=self.ranks or default_ranks("cpu"))
        return 0


def measure(ranks: Ranks, options: BenchLoop) -> None:
    """One rank's part; rank 0 prints the table and the JSON line."""
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
    """One rollout and one update: this rank's seconds of each part, and its steps."""
    generator = seeds.generator(learner.config.seed, "bench", iteration, ranks.rank, device=learner.policy.device)
    ids = seeds.episode_ids(learner.config.seed, iteration, ranks.rank * count, count, env.spec.num_episodes)
    batch = collect(learner.policy, env, ids, temperature=1.0, generator=generator)
    ranks.barrier()
    started = time.perf_counter()
    learner.update(batch, iteration + 1)
    update = time.perf_counter() - started
    return {"world": batch.env_seconds, "policy": batch.policy_seconds, "update": update, "steps": batch.steps}


def report(options: BenchLoop, ranks: Ranks, seconds: dict[str, float], steps: float) -> None:
    """Print the split, then one line of JSON. `seconds` and `steps` are means over ranks."""
    total = sum(seconds.values())
    title = f"whole loop: {options.preset}, {ranks.size} ranks, {options.num_envs} worlds"
    table = Table(title=title, title_justify="left")
    for heading in ("part", "ms a step and rank", "share"):
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
