"""The options that PPO, GRPO and DPO share. Each algorithm inherits them and states the defaults that are its own."""

import dataclasses
import math
from dataclasses import dataclass

from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """Options of training loop, optimiser and rollouts; the defaults are the paper's for PPO, except
    `lr_warmup_updates`."""

    iterations: int = 390
    """Number of iterations; each plays one episode in every environment and then updates the policy. 390 x 5,120 steps
    are the paper's two million."""
    minutes: float = 0.0
    """Stop after the iteration in which the training time, summed over all starts of the run, passes this many minutes;
    0 = no limit."""
    num_envs: int = 64
    """Number of environments that run in parallel, over all ranks."""
    seed: int = 0
    """Seed of the episode ids, of action sampling, of shuffling and, in PPO, of a fresh critic's weights."""
    epochs: int = 1
    """Passes of the optimiser over each rollout."""
    minibatch: int = 160
    """Environment steps in one optimiser step, over all ranks and micro-batches."""
    micro_batch: int = 40
    """Environment steps in one forward and backward pass of one rank; changes memory and speed, not what is learned."""
    max_grad_norm: float = 10.0
    """Largest norm of the gradient of all trained parameters together; a larger gradient is scaled down to it."""
    lr: float = 1e-4
    """Learning rate of the policy's backbone (its LoRA adapter, or all of its parameters)."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""
    lr_warmup_updates: int = 10
    """Number of optimiser steps at the start over which the policy's learning rate rises linearly; 0 = none, as in the
    paper."""
    anneal: bool = False
    """Let all learning rates fall linearly to zero over `iterations`; the paper does not. Late in a run, when nearly
    every episode succeeds, advantages are mostly noise, and updates at the full rate can undo what was learned."""
    average_fraction: float = 0.0
    """Fraction of the iterations, counted from the end, over about which the bundle's weights are averaged; 0 = the
    weights of the last iteration. Rollouts and learning do not use the average."""
    temperature: float = 1.0
    """Sampling temperature of the action tokens in rollouts; log-probabilities stay those of temperature 1."""
    train_vision: bool = True
    """Train the vision towers, too. Otherwise their weights stay fixed, which saves their part of the backward pass."""
    checkpoint_every: int = 1
    """Number of iterations from one checkpoint to the next."""
    verify_episodes: int = 64
    """Number of greedy episodes that the bundle, loaded again, must play exactly as the trained policy; 0 = no
    check."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise RlvlaError(f"{self.name}.{field.name} must be a finite number, got {value}")
        self.check_positive("iterations", "num_envs", "epochs", "minibatch", "micro_batch", "lr", "checkpoint_every")
        self.check_positive("max_grad_norm", "temperature")
        self.check_at_least(0, "minutes", "seed", "weight_decay", "lr_warmup_updates", "verify_episodes")
        if not 0 <= self.average_fraction <= 1:
            raise RlvlaError(f"{self.name}.average_fraction must be from 0 to 1, got {self.average_fraction}")

    @property
    def name(self) -> str:
        """The algorithm's name on the command line: `ppo` for PpoConfig."""
        return type(self).__name__.removesuffix("Config").lower()

    @property
    def envs_per_start(self) -> int:
        """Number of neighbouring environments that play the same start."""
        return 1

    def check_at_least(self, least: int, *fields: str) -> None:
        """Raise RlvlaError where a named field is below `least`."""
        for field in fields:
            if getattr(self, field) < least:
                raise RlvlaError(f"{self.name}.{field} must be at least {least}, got {getattr(self, field)}")

    def check_positive(self, *fields: str) -> None:
        """Raise RlvlaError unless the named fields are above 0."""
        for field in fields:
            if getattr(self, field) <= 0:
                raise RlvlaError(f"{self.name}.{field} must be positive, got {getattr(self, field)}")
