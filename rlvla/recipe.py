"""Settings of training and evaluation that `rlvla demo`, `rlvla study` and the experiments have in common."""

from dataclasses import replace
from typing import Any

from rlvla_core.learning.algorithms.dpo import DpoConfig
from rlvla_core.learning.algorithms.grpo import GrpoConfig
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.algorithms.sft import SftConfig
from rlvla_sim.config import WorldConfig

WORLD = WorldConfig(max_steps=40)
"""World of demonstrations, training and evaluation, with half of the paper's time limit: the expert needs about 26
steps, and more episodes use the time better than longer ones."""
DEMONSTRATIONS = 140
"""Number of demonstrations of the warm-up, as in the paper."""
EVALUATION_SEED = 4242
"""Seed of the episodes on which policies are compared; no training uses it."""


def warmup_recipe(seed: int) -> SftConfig:
    """Settings of a short supervised training on few demonstrations, the warm-up that PPO starts from.

    Labels are spread over 12 bins, which leaves PPO actions to choose from: the warm-up is as good as with 4 bins, and
    PPO then gains twice as much (docs/results).
    """
    return SftConfig(
        minutes=2.0,
        epochs=1000.0,
        lr=2e-3,
        label_sigma=12.0,
        colour_jitter=0.1,
        train_vision=False,
        seed=seed,
    )


def sft_recipe(seed: int) -> SftConfig:
    """Settings of supervised training to its best success rate: the warm-up with narrower labels and more minutes."""
    return replace(warmup_recipe(seed), minutes=12.0, label_sigma=4.0)


def ppo_recipe(seed: int, minutes: float, *, num_envs: int = 128) -> PpoConfig:
    """Settings of PPO from the warm-up; 128 environments of 40 steps give the paper's 5,120 steps per update."""
    return PpoConfig(
        **_rollouts(seed, minutes, num_envs), minibatch=640, critic="privileged", value_warmup_iterations=1
    )


def grpo_recipe(seed: int, minutes: float, *, num_envs: int = 128) -> GrpoConfig:
    """Settings of GRPO from the warm-up: as many steps per update as PPO, in 16 groups of 8 episodes."""
    return GrpoConfig(**_rollouts(seed, minutes, num_envs), minibatch=640)


def dpo_recipe(seed: int, minutes: float, *, num_envs: int = 128) -> DpoConfig:
    """Settings of DPO from the warm-up: as many steps per update as PPO, in 16 groups of 8 episodes; four groups per
    optimiser step."""
    return DpoConfig(**_rollouts(seed, minutes, num_envs), minibatch=4)


def _rollouts(seed: int, minutes: float, num_envs: int) -> dict[str, Any]:
    """Options that PPO, GRPO and DPO have in common."""
    return {
        "seed": seed,
        "minutes": minutes,
        "iterations": 100_000,
        "num_envs": num_envs,
        "micro_batch": 80,
        "lr": 1.5e-4,
        "average_fraction": 0.25,  # helps runs as short as the demo's, does not change long ones (docs/results)
        "train_vision": False,
        "verify_episodes": min(64, num_envs),
        "checkpoint_every": 5,
    }
