"""The clipped surrogate objective, which PPO and GRPO share: they differ only in where the advantages come from."""

from dataclasses import dataclass

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning import losses
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.optimizer import Part
from rlvla_core.learning.ratio import worst_ratio_error
from rlvla_core.policy.policy import TokenScore

METRICS = ("policy_loss", "entropy", "kl", "clip_fraction")
"""What `surrogate` says for the journal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SurrogateConfig(TrainingConfig):
    """Options of the clipped surrogate."""

    clip: float = 0.2
    """ε of the policy ratio (and, in PPO, of the value change)."""
    policy_loss_scale: float = 1.0
    """1: the loss of the formula. 7: what the released code computes by summing seven equal columns."""
    entropy_coefficient: float = 0.0
    """Weight of the mean token entropy."""

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)  # super() does not work in a dataclass with slots before Python 3.14
        if not 0 < self.clip < 1:
            raise RlvlaError(f"{self.name} needs 0 < clip < 1, got clip {self.clip}")


def surrogate(
    score: TokenScore, old_logprobs: torch.Tensor, advantages: torch.Tensor, count: float, config: SurrogateConfig
) -> Part:
    """The policy's part of the loss of b steps: `score` of the taken actions now, their float32 [b] log-probabilities
    in the rollout and their advantages [b]; `count` steps are in the whole minibatch."""
    logprobs, entropies = score.logprobs.sum(-1), score.entropies.mean(-1)
    policy_losses = losses.ppo_policy_loss(logprobs, old_logprobs, advantages, clip=config.clip)
    loss = config.policy_loss_scale * policy_losses.sum() / count
    if config.entropy_coefficient:
        loss = loss - config.entropy_coefficient * entropies.sum() / count
    now = logprobs.detach()
    return Part(
        loss=loss,
        metrics={
            "policy_loss": policy_losses,
            "entropy": entropies,
            "kl": losses.approx_kl(now, old_logprobs),
            "clip_fraction": losses.clipped(now, old_logprobs, clip=config.clip),
        },
        ratio_error=worst_ratio_error(now, old_logprobs),
    )
