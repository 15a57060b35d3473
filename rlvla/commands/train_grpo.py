"""`rlvla train grpo`: fine-tune a policy bundle by group-relative policy optimisation."""

from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.train_in_world import TrainInWorld
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.grpo import GrpoConfig, GrpoLearner
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True)
class TrainGrpo(TrainInWorld):
    """Fine-tune a policy in simulation with GRPO: episodes of one start are compared with each other, without a critic.

    Reads the policy bundle --policy; writes a run directory with a new bundle, which is loaded again to check that it
    acts as the trained policy.
    """

    directory: Path = Path("runs/grpo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, and the trained bundle as `policy`."""
    grpo: GrpoConfig = field(default_factory=GrpoConfig)
    """Options of GRPO."""

    @property
    def algorithm(self) -> GrpoConfig:
        return self.grpo

    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> GrpoLearner:
        return GrpoLearner(policy, self.grpo, ranks)
