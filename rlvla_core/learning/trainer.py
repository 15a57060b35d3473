"""The training loop of PPO, GRPO and DPO: play, learn, log, save; at the end write the policy bundle and check it."""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rlvla_core import seeds
from rlvla_core.environment import VecEnv
from rlvla_core.learning import trainer_state
from rlvla_core.learning.algorithms.learner import Learner
from rlvla_core.learning.bundle_check import save_checked_bundle
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.rollout import RolloutBatch, collect
from rlvla_core.learning.weight_copies import WeightAverage
from rlvla_core.runs import Progress, RunDirectory


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSummary:
    """Totals of a finished training run."""

    iterations: int
    """Iterations done, over all starts of the run."""
    env_steps: int
    """Environment steps played by all ranks, over all starts of the run."""
    seconds: float
    """Training time in seconds, summed over all starts of the run."""
    verified_success: float | None
    """Greedy success rate of the reloaded bundle on `verify_episodes` episodes; None where none were played."""


def train(learner: Learner, env: VecEnv, run: RunDirectory, *, provenance: dict[str, Any]) -> TrainingSummary:
    """Train `learner.policy` in place in `env`, which holds this rank's part of the `config.num_envs` environments.

    Goes on from the newest checkpoint of `run`, if there is one: on a CPU the journal is then the same, bit for bit,
    as that of a run that was never interrupted, timings apart. The bundle is written to `run.policy_dir`; with
    `config.average_fraction` it holds the mean of the weights, while `learner.policy` ends with the last ones.

    provenance: what the bundle is to record about its making. Raises RlvlaError for a loss that is not finite, and for
    a bundle that, loaded again, acts differently.
    """
    config, policy, ranks = learner.config, learner.policy, learner.ranks
    count = ranks.per_rank(config.num_envs, "environments")
    if env.num_envs != count:
        raise ValueError(f"rank {ranks.rank} got {env.num_envs} environments, not {count}")
    average = _average(learner)
    modules = learner.modules() | ({"average": average} if average else {})
    iteration, env_steps, seconds = _resume(learner, modules, run)
    if average:
        average.iterations = iteration
    start = time.perf_counter() - seconds
    with _progress(learner, iteration, seconds) as progress:
        while iteration < config.iterations and not _out_of_time(config, ranks, time.perf_counter() - start):
            iteration += 1
            began = time.perf_counter()
            batch = play(learner, env, iteration)
            played = time.perf_counter()
            metrics = learner.update(batch, iteration)
            if average:
                average.add()
            ended = time.perf_counter()
            record: dict[str, Any] = {"iteration": iteration, **_rollout_metrics(batch, ranks), **metrics}
            env_steps += int(record["steps"])
            record["env_steps"] = env_steps
            total = ended - began
            record["seconds"] = {
                "world": batch.env_seconds,
                "policy": batch.policy_seconds,
                "update": ended - played,
                "total": total,
            }
            record["steps_per_second"] = record["steps"] / total
            if ranks.is_main:
                run.journal.append(record)
                if iteration % config.checkpoint_every == 0:
                    _save(learner, modules, run, iteration, env_steps, time.perf_counter() - start)
                progress.update(
                    iteration,
                    success=f"{record['success_at_end']:.0%}",
                    steps=env_steps,
                    rate=f"{record['steps_per_second']:.0f} steps/s",
                    **{name: metrics[name] for name in learner.headline},
                )
    seconds = time.perf_counter() - start
    if ranks.is_main and iteration % config.checkpoint_every:
        _save(learner, modules, run, iteration, env_steps, seconds)
    with average.applied() if average else contextlib.nullcontext():
        success = save_checked_bundle(
            policy,
            env,
            run.policy_dir,
            episodes=config.verify_episodes,
            seed=config.seed,
            ranks=ranks,
            provenance=provenance,
        )
    return TrainingSummary(iterations=iteration, env_steps=env_steps, seconds=seconds, verified_success=success)


def _average(learner: Learner) -> WeightAverage | None:
    fraction, policy = learner.config.average_fraction, learner.policy
    return WeightAverage([*policy.backbone_parameters(), *policy.value_parameters()], fraction) if fraction else None


def play(learner: Learner, env: VecEnv, iteration: int) -> RolloutBatch:
    """Play one episode in each of this rank's environments; seed, iteration and rank alone choose starts and noise."""
    config, ranks = learner.config, learner.ranks
    first = ranks.rank * env.num_envs
    return collect(
        learner.policy,
        env,
        seeds.episode_ids(
            config.seed,
            iteration,
            first,
            env.num_envs,
            env.spec.num_episodes,
            envs_per_start=config.envs_per_start,
        ),
        temperature=config.temperature,
        generator=seeds.generator(config.seed, "sample", iteration, ranks.rank, device=learner.policy.device),
    )


def _save(
    learner: Learner,
    modules: dict[str, nn.Module],
    run: RunDirectory,
    iteration: int,
    env_steps: int,
    seconds: float,
) -> None:
    tensors, state = trainer_state.take(modules, learner.optimizer.adamw)
    state |= {"updates": learner.optimizer.updates, "env_steps": env_steps, "seconds": seconds}
    run.checkpoints.save(iteration, tensors, state)


def _resume(learner: Learner, modules: dict[str, nn.Module], run: RunDirectory) -> tuple[int, int, float]:
    """Load the newest checkpoint, if any. Returns (iterations, environment steps, seconds) done so far, as every rank
    reads them from the same checkpoint."""
    checkpoint = run.checkpoints.latest()
    iteration = checkpoint.step if checkpoint is not None else 0
    env_steps, seconds = 0, 0.0
    if checkpoint is not None:
        trainer_state.restore(modules, learner.optimizer.adamw, checkpoint.tensors, checkpoint.state)
        learner.optimizer.updates = checkpoint.state["updates"]
        env_steps, seconds = checkpoint.state["env_steps"], checkpoint.state["seconds"]
    if learner.ranks.is_main:
        run.journal.truncate_after("iteration", iteration)
    learner.ranks.barrier()  # before rank 0 can write a newer checkpoint that another rank would then load
    return iteration, env_steps, seconds


def _out_of_time(config: TrainingConfig, ranks: Ranks, seconds: float) -> bool:
    return config.minutes > 0 and ranks.any(seconds > 60.0 * config.minutes)


def _rollout_metrics(batch: RolloutBatch, ranks: Ranks) -> dict[str, float]:
    """Metrics of the rollout for the journal: means over the episodes of all ranks."""
    episodes = len(batch.instructions)
    sums = torch.stack(
        [
            torch.tensor(float(episodes), dtype=torch.float64),
            batch.valid.sum().cpu().double(),
            batch.success_at_end.sum().cpu().double(),
            batch.success_once.sum().cpu().double(),
            batch.rewards.sum().cpu().double(),
        ]
    )
    count, steps, at_end, once, rewards = ranks.sum(sums).tolist()
    return {
        "episodes": int(count),
        "steps": int(steps),
        "success_at_end": at_end / count,
        "success_once": once / count,
        "return": rewards / count,
        "episode_length": steps / count,
    }


def _progress(learner: Learner, done: int, seconds: float) -> Any:
    if not learner.ranks.is_main:
        return contextlib.nullcontext()
    config = learner.config
    minutes = config.minutes or None
    return Progress(
        learner.title,
        total=config.iterations,
        unit="iterations",
        minutes=minutes,
        done=done,
        elapsed_seconds=seconds,
    )
