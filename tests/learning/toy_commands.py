"""`rlvla train ppo`, `grpo` and `dpo` in the toy world, which needs no simulator and is not on their command line."""

from dataclasses import dataclass

from small_world import TOY

from rlvla.commands.train_dpo import TrainDpo
from rlvla.commands.train_grpo import TrainGrpo
from rlvla.commands.train_ppo import TrainPpo
from rlvla_core.toy import ToyConfig


@dataclass(frozen=True, kw_only=True)
class InToyWorld:
    """Mixin for a training command: its environments are those of the toy world."""

    toy: ToyConfig = TOY
    """The toy world."""

    @property
    def world(self) -> ToyConfig:
        return self.toy


@dataclass(frozen=True, kw_only=True)
class ToyTrainPpo(InToyWorld, TrainPpo):
    """`rlvla train ppo` in the toy world."""


@dataclass(frozen=True, kw_only=True)
class ToyTrainGrpo(InToyWorld, TrainGrpo):
    """`rlvla train grpo` in the toy world."""


@dataclass(frozen=True, kw_only=True)
class ToyTrainDpo(InToyWorld, TrainDpo):
    """`rlvla train dpo` in the toy world."""
