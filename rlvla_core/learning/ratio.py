"""Before any update the policy must be the one that played: the check that rollout and update see the same things."""

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import VLAPolicy


def worst_ratio_error(logprobs: torch.Tensor, old_logprobs: torch.Tensor) -> float:
    """Largest |ρ - 1| of float32 [b]."""
    return float((torch.exp(logprobs - old_logprobs) - 1.0).abs().max())


def check_first_ratio(error: float, policy: VLAPolicy, ranks: Ranks, iteration: int) -> float:
    """The worst of all ranks' ratio errors before the first update of an iteration.

    Raises RlvlaError where it is above 1e-3 although all weights are float32: then the rollout and the update see
    different images, prompts or weights, the commonest silent fault of such code.
    """
    worst = float(ranks.gather(torch.tensor([error])).max())
    exact = all(p.dtype == torch.float32 for p in policy.parameters())
    if exact and worst > 1e-3:
        raise RlvlaError(
            f"iteration {iteration}: before the first update the ratio must be 1, it is off by {worst:.2g}: "
            "the rollout and the update compute different log-probabilities"
        )
    return worst
