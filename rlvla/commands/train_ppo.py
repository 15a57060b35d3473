"""`rlvla train ppo`: fine-tune a policy bundle by proximal policy optimisation."""

from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.train_in_world import TrainInWorld
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True)
class TrainPpo(TrainInWorld):
    """Fine-tune a policy in simulation by reinforcement learning with PPO (proximal policy optimisation).

    Reads the policy bundle --policy; writes a run directory with a new bundle, which is loaded again to check that it
    acts as the trained policy.
    """

    directory: Path = Path("runs/ppo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, and the trained bundle as `policy`."""
    ppo: PpoConfig = field(default_factory=PpoConfig)
    """Options of PPO."""

    @property
    def algorithm(self) -> PpoConfig:
        return self.ppo

    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> PpoLearner:
        return PpoLearner(policy, self.ppo, ranks, state_dim=spec.state_dim)
