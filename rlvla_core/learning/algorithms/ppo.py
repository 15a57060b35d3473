"""Proximal policy optimisation (PPO) for a vision-language-action policy: one update from one rollout.

The recipe is that of Liu et al. 2025 (arXiv 2505.19789, sections 3 and 4). Departures from textbook PPO (Schulman et
al. 2017), all of them the paper's:

- the ratio ρ is one per action: the log-probability of an action is the sum over its seven tokens;
- one pass over each rollout (`epochs` 1), without entropy bonus, KL penalty or early stop;
- advantages are standardised over the whole rollout, not over each minibatch;
- the value loss is clipped like the policy's, with a Huber loss of threshold 10 in place of the square.

Departures from the paper's released code, each on purpose:

- the policy loss is not multiplied by seven (`policy_loss_scale`);
- log-probabilities, advantages and losses are float32, not bfloat16, whose steps of 0.06 blur the ratio;
- a time limit is not a terminal: the last step bootstraps from the value after it (`time_limit_as_terminal`);
- actions are drawn from the whole distribution, without top-k 50: the ratio assumes that distribution;
- the first iterations train the critic alone (`value_warmup_iterations`), and the policy's learning rate rises
  linearly (`lr_warmup_updates`): the advantages of a fresh critic are noise.

Beside the paper's shared and separate critics there is one that reads simulator state (`critic` privileged).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from rlvla_core import seeds
from rlvla_core.errors import RlvlaError
from rlvla_core.learning import losses
from rlvla_core.learning.advantages import gae, moments_of, normalise
from rlvla_core.learning.algorithms.surrogate import SurrogateConfig, surrogate
from rlvla_core.learning.critics import Critic, PrivilegedCritic, SeparateCritic, SharedCritic
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import MeanMetrics, MicroBatchLoss, PolicyOptimizer, freeze_vision_towers
from rlvla_core.learning.rollout import Minibatch, RolloutBatch, Steps, micro_batches, minibatches
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.value_head import CriticInput


@dataclass(frozen=True, kw_only=True, slots=True)
class PpoConfig(SurrogateConfig):
    """Options of PPO; the defaults are the paper's except for the two warm-ups and the time limit."""

    gamma: float = 0.99
    """Discount γ of rewards, per control step."""
    lam: float = 0.95
    """λ of generalised advantage estimation: smaller = less variance, more of the critic's bias."""
    time_limit_as_terminal: bool = False
    """Treat the time limit as the end of the task, as the paper does, instead of bootstrapping from the value after
    it."""
    value_lr: float = 3e-3
    """Learning rate of the value head (critics `shared`, `separate`) or of the whole `privileged` critic."""
    value_warmup_iterations: int = 2
    """Number of iterations at the start that train only the critic, so that the first policy updates use meaningful
    advantages; 0 = none, as in the paper."""
    critic: Literal["shared", "separate", "privileged"] = "shared"
    """Which network estimates values. shared: the policy's own value head. separate: a copy of the backbone with its
    own head (the paper's ablation; twice the memory). privileged: a small network on simulator state. The last two
    exist in training only, never in the bundle."""
    critic_input: CriticInput = "first"
    """Hidden states that the value head reads (critics `shared`, `separate`): the one that predicts the first action
    token, the last one, or all seven (the paper's ablation). A value head trained on other states is replaced by a new
    one."""

    def __post_init__(self) -> None:
        SurrogateConfig.__post_init__(self)
        self.check_positive("value_lr")
        self.check_at_least(0, "value_warmup_iterations")
        if not (0 < self.gamma <= 1 and 0 <= self.lam <= 1):
            raise RlvlaError(f"ppo needs 0 < gamma <= 1 and 0 <= lam <= 1, got gamma {self.gamma} and lam {self.lam}")
        if self.critic == "privileged" and self.critic_input != "first":
            raise RlvlaError(
                f"ppo.critic_input {self.critic_input} has no meaning for critic `privileged`, which reads no image: "
                "leave it at first, or use critic `shared` or `separate`"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Targets:
    """What the update compares its predictions with; float32 [T·N] each, indexed like `Steps`."""

    old_values: torch.Tensor
    """The critic's values before the update."""
    advantages: torch.Tensor
    """Standardised over the valid steps of all ranks."""
    returns: torch.Tensor
    """What the values should have been: advantage + value, before standardising."""


class PpoLearner:
    """Policy, critic and optimiser of PPO; `update` learns from one rollout."""

    title = "PPO"
    """Name of the algorithm in the progress line."""
    headline: tuple[str, ...] = ("kl", "explained_variance")
    """Metrics that the progress line shows."""

    def __init__(self, policy: VLAPolicy, config: PpoConfig, ranks: Ranks, *, state_dim: int) -> None:
        """state_dim: width S of the environment's privileged state, 0 without one. Raises RlvlaError
        where the critic needs a state and there is none."""
        self.policy, self.config, self.ranks = policy, config, ranks
        freeze_vision_towers(policy, config)  # before the critic, which may copy the policy
        self.critic = _make_critic(policy, config, ranks, state_dim)
        self.optimizer = PolicyOptimizer(
            policy, config, ranks, self.critic.parameter_groups(config.lr, config.value_lr)
        )

    def modules(self) -> dict[str, nn.Module]:
        """The modules that a checkpoint holds: `policy`, and the critic where it is not part of the policy."""
        return {"policy": self.policy, **self.critic.checkpoint_modules()}

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One update of PPO from `batch`; `iteration` counts from 1. Returns the metrics of the journal.

        Raises RlvlaError for a loss or gradient that is not finite, and where rollout and update give an action
        different log-probabilities under the same weights.
        """
        config, ranks, valid = self.config, self.ranks, batch.valid
        policy_learns = iteration > config.value_warmup_iterations

        # Advantages and returns, from what the critic says about the rollout.
        values, final_values = self.critic.rollout_values(batch, ranks)
        advantages, returns = gae(
            batch.rewards,
            values,
            batch.next_values(values, final_values),
            terminated=batch.terminated,
            truncated=batch.truncated,
            valid=valid,
            gamma=config.gamma,
            lam=config.lam,
            time_limit_as_terminal=config.time_limit_as_terminal,
        )
        samples = (advantages[valid], (returns - values)[valid], returns[valid])
        advantage_moments, error_moments, return_moments = ranks.sum(torch.stack([moments_of(x) for x in samples]))
        targets = _Targets(
            old_values=values.flatten(),
            advantages=normalise(advantages, advantage_moments).flatten(),
            returns=returns.flatten(),
        )

        # One optimiser step for each minibatch of single steps.
        steps = Steps(batch)
        steps_of_all_ranks = int(advantage_moments[0].item())
        mean_metrics = MeanMetrics(("policy_loss", "value_loss", "entropy", "kl", "clip_fraction"), ranks.device)
        first_ratio_error = self.optimizer.learn(
            minibatches(steps.valid, steps_of_all_ranks, config, ranks, iteration),
            lambda minibatch: self._losses(steps, targets, minibatch, policy_learns),
            mean_metrics,
            iteration,
            policy_learns=policy_learns,
        )

        return {
            **mean_metrics.means(ranks),
            "explained_variance": losses.explained_variance(error_moments, return_moments),
            "first_ratio_error": first_ratio_error,
            "lr": self.optimizer.lr(iteration) if policy_learns else 0.0,
        }

    def _losses(
        self, steps: Steps, targets: _Targets, minibatch: Minibatch, policy_learns: bool
    ) -> Iterator[MicroBatchLoss]:
        """The losses of one optimiser step, micro-batch by micro-batch: the critic's, and the policy's if it learns."""
        for micro in micro_batches(minibatch.items, self.config.micro_batch):
            score = steps.score(self.policy, micro) if policy_learns else None
            values = self.critic.values(steps, micro, score)
            value_losses = losses.value_loss(
                values, targets.old_values[micro], targets.returns[micro], clip=self.config.clip
            )
            loss = MicroBatchLoss(
                loss=value_losses.sum() / minibatch.count,
                metrics={"value_loss": value_losses},
            )
            if score is not None:
                loss += surrogate(score, steps.logprobs[micro], targets.advantages[micro], minibatch.count, self.config)
            yield loss


def _make_critic(policy: VLAPolicy, config: PpoConfig, ranks: Ranks, state_dim: int) -> Critic:
    seed = seeds.derive(config.seed, "critic")
    match config.critic:
        case "shared":
            return SharedCritic(policy, config.critic_input, seed=seed)
        case "separate":
            return SeparateCritic(policy, config.critic_input, seed=seed, micro_batch=config.micro_batch)
        case "privileged":
            return PrivilegedCritic(state_dim, seed=seed).to(ranks.device)
