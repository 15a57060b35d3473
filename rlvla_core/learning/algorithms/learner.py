"""The interface between the training loop (`trainer.train`) and an algorithm: what a learner must offer."""

from typing import Protocol

from torch import nn

from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import PolicyOptimizer
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.policy.policy import VLAPolicy


class Learner(Protocol):
    """An algorithm with its state. `trainer.train` plays rollouts, calls `update`, keeps the journal and saves."""

    title: str
    """The algorithm's name for people, e.g. `PPO`."""
    headline: tuple[str, ...]
    """Names of those metrics of `update` that the progress line shows."""
    policy: VLAPolicy
    """The policy that plays the rollouts; trained in place."""
    ranks: Ranks
    """This process's place among the training processes."""
    optimizer: PolicyOptimizer
    """Optimiser and count of updates; part of every checkpoint."""

    @property
    def config(self) -> TrainingConfig:
        """The options of the algorithm."""
        ...

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds, by the prefix of its tensor names: the policy, and what else is trained."""
        ...

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """Learn from the rollout that `policy` has just played; `iteration` counts from 1. Returns the metrics of the
        journal, the same on every rank.

        Randomness comes from `seeds` alone, and state that outlives a call lies in `modules` and `optimizer`: that
        makes a resumed run equal to one that was not interrupted.
        """
        ...
