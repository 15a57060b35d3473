"""The numbers of `rlvla demo`, `rlvla study` and experiments/ppo_vs_warmup.py: what is shown is what was measured."""

from dataclasses import replace
from typing import Any

from rlvla_core.learning.algorithms.dpo import DpoConfig
from rlvla_core.learning.algorithms.grpo import GrpoConfig
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.algorithms.sft import SftConfig
from rlvla_sim.config import WorldConfig

WORLD = WorldConfig(max_steps=40)
"""Demonstrations, learning and measurement happen in this world: half the paper's time limit, since the expert needs
about 26 steps and minutes are better spent on more episodes than on longer ones."""
DEMONSTRATIONS = 140
"""Of the warm-up (the paper's number)."""
EVALUATION_SEED = 4242
"""Draws the episodes on which policies are compared; no training uses it."""


def warmup_recipe(seed: int) -> SftConfig:
    """A short imitation of few demonstrations, with labels so wide that PPO has something to choose from: 12 bins
    cost the policy nothing, and PPO brings twice as much as from 4 (docs/results/ablations.md)."""
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
    """Supervised learning as far as it goes: sharper labels, more minutes."""
    return replace(warmup_recipe(seed), minutes=12.0, label_sigma=4.0)


def ppo_recipe(seed: int, minutes: float, *, num_envs: int = 128) -> PpoConfig:
    """PPO from the warm-up; 128 worlds of 40 steps are the paper's 5,120 steps an update."""
    return PpoConfig(
        **_rollouts(seed, minutes, num_envs), minibatch=640, critic="privileged", value_warmup_iterations=1
    )


def grpo_recipe(seed: int, minutes: float, *, num_envs: int = 128) -> GrpoConfig:
    """GRPO from the warm-up: the steps of PPO's update, in 16 groups of 8."""
    return GrpoConfig(**_rollouts(seed, minutes, num_envs), minibatch=640)


def dpo_recipe(seed: int, minutes: float, *, num_envs: int = 128) -> DpoConfig:
    """DPO from the warm-up: the steps of PPO's update, in 16 groups of 8; four starts a step of the optimiser."""
    return DpoConfig(**_rollouts(seed, minutes, num_envs), minibatch=4)


def _rollouts(seed: int, minutes: float, num_envs: int) -> dict[str, Any]:
    """What all have in common."""
    return {
        "seed": seed,
        "minutes": minutes,
        "iterations": 100_000,
        "num_envs": num_envs,
        "micro_batch": 80,
        "lr": 1.5e-4,
        "average_fraction": 0.25,  # helps a run as short as the demo's, does nothing for a long one (docs/results)
        "train_vision": False,
        "verify_episodes": min(64, num_envs),
        "checkpoint_every": 5,
    }
