"""`rlvla train ppo`: improve a policy bundle by proximal policy optimisation."""

from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.train_in_world import TrainInWorld
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True)
class TrainPpo(TrainInWorld):
    """Improve a policy by PPO in a world, and write a bundle that was loaded again and checked."""

    directory: Path = Path("runs/ppo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, bundle."""
    ppo: PpoConfig = field(default_factory=PpoConfig)
    """The algorithm."""

    @property
    def algorithm(self) -> PpoConfig:
        return self.ppo

    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> PpoLearner:
        return PpoLearner(policy, self.ppo, ranks, state_dim=spec.state_dim)
