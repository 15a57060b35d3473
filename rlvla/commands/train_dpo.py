"""`rlvla train dpo`: improve a policy bundle by trajectory-wise direct preference optimisation."""

from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.train_in_world import TrainInWorld
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.dpo import DpoConfig, DpoLearner
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True)
class TrainDpo(TrainInWorld):
    """Improve a policy by DPO in a world: of the episodes of one start, those that succeed are preferred."""

    directory: Path = Path("runs/dpo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, bundle."""
    dpo: DpoConfig = field(default_factory=DpoConfig)
    """The algorithm."""

    @property
    def algorithm(self) -> DpoConfig:
        return self.dpo

    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> DpoLearner:
        return DpoLearner(policy, self.dpo, ranks)
