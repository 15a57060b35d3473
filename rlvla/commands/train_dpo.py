"""`rlvla train dpo`: fine-tune a policy bundle by trajectory-wise direct preference optimisation."""

from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.train_in_world import TrainInWorld
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.dpo import DpoConfig, DpoLearner
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True)
class TrainDpo(TrainInWorld):
    """Fine-tune a policy in simulation with DPO: of the episodes of one start, those that succeed are preferred.

    Reads the policy bundle --policy; writes a run directory with a new bundle, which is loaded again to check that it
    acts as the trained policy.
    """

    directory: Path = Path("runs/dpo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, and the trained bundle as `policy`."""
    dpo: DpoConfig = field(default_factory=DpoConfig)
    """Options of DPO."""

    @property
    def algorithm(self) -> DpoConfig:
        return self.dpo

    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> DpoLearner:
        return DpoLearner(policy, self.dpo, ranks)
