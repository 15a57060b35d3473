"""The clipped surrogate objective of PPO, which GRPO shares: they differ only in where the advantages come from."""

from dataclasses import dataclass

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning import losses
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.optimizer import MicroBatchLoss, worst_ratio_error
from rlvla_core.policy.policy import TokenScore


@dataclass(frozen=True, kw_only=True, slots=True)
class SurrogateConfig(TrainingConfig):
    """Options of the clipped surrogate objective, on top of those of every algorithm."""

    clip: float = 0.2
    """Clip range ε: the probability ratio of an action counts only within 1 ± ε (in PPO, the change of a value within
    ± ε, too)."""
    policy_loss_scale: float = 1.0
    """Factor of the policy loss. 1 = the published formula; 7 = the paper's released code, which sums seven equal
    columns."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus (mean entropy per action token, nats); 0 = none, as in the paper."""

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)  # super() does not work in a dataclass with slots before Python 3.14
        self.check_at_least(0, "policy_loss_scale", "entropy_coefficient")
        if not 0 < self.clip < 1:
            raise RlvlaError(f"{self.name} needs 0 < clip < 1, got clip {self.clip}")


def surrogate(
    score: TokenScore, old_logprobs: torch.Tensor, advantages: torch.Tensor, count: float, config: SurrogateConfig
) -> MicroBatchLoss:
    """The policy's loss on a micro-batch of b steps.

    score: what the policy says now about the actions taken. old_logprobs, advantages: float32 [b], the actions'
    log-probabilities in the rollout and their advantages. count: steps in the whole minibatch, over all ranks.
    """
    logprobs, entropies = score.logprobs.sum(-1), score.entropies.mean(-1)
    policy_losses = losses.ppo_policy_loss(logprobs, old_logprobs, advantages, clip=config.clip)
    loss = config.policy_loss_scale * policy_losses.sum() / count
    if config.entropy_coefficient:
        loss = loss - config.entropy_coefficient * entropies.sum() / count
    now = logprobs.detach()
    return MicroBatchLoss(
        loss=loss,
        metrics={
            "policy_loss": policy_losses,
            "entropy": entropies,
            "kl": losses.approx_kl(now, old_logprobs),
            "clip_fraction": losses.clipped(now, old_logprobs, clip=config.clip),
        },
        ratio_error=worst_ratio_error(now, old_logprobs),
    )
