"""What the training loop asks of an algorithm."""

from typing import Protocol

from torch import nn

from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import Descent
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.policy.policy import VLAPolicy


class Learner(Protocol):
    """An algorithm with its state. `trainer.train` plays, calls `update`, writes down and saves."""

    title: str
    """Its name for people, e.g. `PPO`."""
    headline: tuple[str, ...]
    """Figures of `update` that the progress line shows."""
    policy: VLAPolicy
    """Trained in place; plays the rollouts."""
    ranks: Ranks
    descent: Descent
    """Optimiser and count of updates; part of every checkpoint."""

    @property
    def config(self) -> TrainingConfig: ...

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds: the policy, and what else is trained."""
        ...

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """Learn from the rollout that `policy` has just played; `iteration` counts from 1. Returns the metrics of the
        journal, the same on every rank.

        Randomness comes from `seeds` alone, and state that lasts longer than a call lies in `modules` and `descent`:
        that is what makes a resumed run equal to one that was not interrupted.
        """
        ...
