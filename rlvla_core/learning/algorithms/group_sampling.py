"""Groups of neighbouring environments that play one start: the episodes that GRPO and DPO compare."""

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks


def check_groups(config: TrainingConfig, ranks: Ranks) -> None:
    """Raise RlvlaError unless every rank holds whole groups of `config.envs_per_start` environments."""
    group = config.envs_per_start
    mine = ranks.per_rank(config.num_envs, "environments")
    if mine % group:
        raise RlvlaError(
            f"{config.name}.group {group} does not divide a rank's {mine} environments, and a group lies within one "
            f"rank: make {config.name}.num_envs a multiple of {group * ranks.size}"
        )


def count_true(flags: torch.Tensor, ranks: Ranks) -> tuple[int, float]:
    """(number, fraction) of the True ones among the `flags` bool [G] of all ranks."""
    found, count = ranks.sum(torch.tensor([float(flags.sum()), float(len(flags))], dtype=torch.float64)).tolist()
    return int(found), found / count
