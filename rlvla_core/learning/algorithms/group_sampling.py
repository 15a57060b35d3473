"""Groups of neighbouring worlds that play one start: what GRPO and DPO compare."""

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks


def check_groups(config: TrainingConfig, ranks: Ranks) -> None:
    """Raise RlvlaError unless every rank holds whole groups of `config.envs_per_start` worlds."""
    group = config.envs_per_start
    mine = ranks.share(config.num_envs, "environments")
    if mine % group:
        raise RlvlaError(
            f"{config.name}.group {group} does not divide a rank's {mine} worlds, and a group lies within one rank: "
            f"make {config.name}.worlds a multiple of {group * ranks.size}"
        )


def share_of(starts: torch.Tensor, ranks: Ranks) -> tuple[int, float]:
    """How many of bool [G] are True over all ranks, and which share of all that is."""
    found, count = ranks.sum(torch.tensor([float(starts.sum()), float(len(starts))], dtype=torch.float64)).tolist()
    return int(found), found / count
