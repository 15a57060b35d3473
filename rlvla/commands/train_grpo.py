"""`rlvla train grpo`: improve a policy bundle by group-relative policy optimisation."""

from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.train_in_world import TrainInWorld
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.grpo import GrpoConfig, GrpoLearner
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True)
class TrainGrpo(TrainInWorld):
    """Improve a policy by GRPO in a world: episodes of one start are compared with each other, without a critic."""

    directory: Path = Path("runs/grpo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, bundle."""
    grpo: GrpoConfig = field(default_factory=GrpoConfig)
    """The algorithm."""

    @property
    def algorithm(self) -> GrpoConfig:
        return self.grpo

    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> GrpoLearner:
        return GrpoLearner(policy, self.grpo, ranks)
