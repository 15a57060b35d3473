"""Proximal policy optimisation as in the paper (Liu et al. 2025, sections 3-4): one update from one rollout.

Departures from the released code, each on purpose: the policy loss is not multiplied by seven (`policy_loss_scale`),
log-probabilities and advantages stay float32, and a time limit is not a terminal (`time_limit_as_terminal`).
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
from rlvla_core.learning.critics import Critic, PrivilegedCritic, SeparateCritic
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.minibatches import Minibatch, micro_batches, minibatches
from rlvla_core.learning.optimizer import CriticGroup, Descent, Part, freeze_towers
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.learning.steps import Steps
from rlvla_core.learning.tally import Tally
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.value_head import CriticInput


@dataclass(frozen=True, kw_only=True, slots=True)
class PpoConfig(SurrogateConfig):
    """The paper's recipe."""

    gamma: float = 0.99
    """Discount."""
    lam: float = 0.95
    """λ of generalised advantage estimation."""
    time_limit_as_terminal: bool = False
    """True: no bootstrap at the time limit, as in the paper."""
    value_lr: float = 3e-3
    """Learning rate of the value head, or of the privileged critic."""
    value_warmup_iterations: int = 2
    """First iterations that train only the critic, so that the first policy steps follow real advantages."""
    critic: Literal["shared", "separate", "privileged"] = "shared"
    """shared: the policy's value head. separate: a copy of the backbone with a head of its own (the paper's ablation;
    twice the memory). privileged: a small network on simulator state. The last two are for training only."""
    critic_input: CriticInput = "first"
    """shared, separate: what the head reads, the state that predicts the first action token, the last one, or all
    seven (the paper's ablation). A policy whose head reads something else gets a fresh one."""

    def __post_init__(self) -> None:
        SurrogateConfig.__post_init__(self)
        self.check_positive("value_lr")
        if not (0 < self.gamma <= 1 and 0 <= self.lam <= 1):
            raise RlvlaError(f"ppo needs 0 < gamma <= 1 and 0 <= lam <= 1, got gamma {self.gamma} and lam {self.lam}")
        if self.critic == "privileged" and self.critic_input != "first":
            raise RlvlaError(
                f"ppo.critic_input {self.critic_input} has no meaning for critic `privileged`, which reads no image: "
                "leave it at first, or use critic `shared` or `separate`"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Targets:
    """float32 [T·N] each: what the critic said, the standardised advantages, and what it should have said."""

    values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor


class PpoLearner:
    """Policy, critic and optimiser; `update` learns from one rollout."""

    title = "PPO"
    headline: tuple[str, ...] = ("kl", "explained_variance")

    def __init__(self, policy: VLAPolicy, config: PpoConfig, ranks: Ranks, *, state_dim: int) -> None:
        self.policy, self.config, self.ranks = policy, config, ranks
        freeze_towers(policy, config)
        self.critic = _make_critic(policy, config, state_dim)
        if self.critic is None:
            policy.read_values_from(config.critic_input, seed=seeds.derive(config.seed, "critic"))
            groups = [CriticGroup(parameters=list(policy.value_parameters()), lr=config.value_lr)]
        else:
            groups = self.critic.to(ranks.device).groups(config.lr, config.value_lr)
        self.descent = Descent(policy, config, ranks, groups)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        return {"policy": self.policy} if self.critic is None else {"policy": self.policy, "critic": self.critic}

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One pass of PPO over `batch`; `iteration` counts from 1. Returns the metrics of the journal.

        Raises RlvlaError for a loss or gradient that is not finite, and for a policy whose rollout and update disagree
        about log-probabilities.
        """
        config, ranks = self.config, self.ranks
        values, final_values = batch.values, batch.final_values
        if self.critic is not None:
            values, final_values = self.critic.of_rollout(batch, ranks)
        advantages, returns = gae(
            batch.rewards,
            values,
            batch.next_values(values, final_values),
            terminated=batch.terminated,
            truncated=batch.truncated,
            valid=batch.valid,
            gamma=config.gamma,
            lam=config.lam,
            time_limit_as_terminal=config.time_limit_as_terminal,
        )
        valid = batch.valid
        summed = ranks.sum(
            torch.stack([moments_of(x) for x in (advantages[valid], (returns - values)[valid], returns[valid])])
        )
        advantages = normalise(advantages, summed[0])
        steps = Steps(batch)
        targets = _Targets(values=values.flatten(), advantages=advantages.flatten(), returns=returns.flatten())
        policy_learns = iteration > config.value_warmup_iterations
        tally = Tally(("policy_loss", "value_loss", "entropy", "kl", "clip_fraction"), ranks.device)
        first_ratio_error = self.descent.learn(
            minibatches(steps.valid, int(summed[0, 0].item()), config, ranks, iteration),
            lambda minibatch: self._parts(steps, targets, minibatch, policy_learns),
            tally,
            iteration,
            policy_learns=policy_learns,
        )
        metrics = tally.means(ranks)
        metrics["explained_variance"] = losses.explained_variance(summed[1], summed[2])
        metrics["first_ratio_error"] = first_ratio_error
        metrics["lr"] = self.descent.lr(iteration) if policy_learns else 0.0
        return metrics

    def _parts(self, steps: Steps, targets: _Targets, minibatch: Minibatch, policy_learns: bool) -> Iterator[Part]:
        """The losses of one optimiser step, micro-batch by micro-batch."""
        for micro in micro_batches(minibatch.items, self.config.micro_batch):
            values, policy_part = self._forward(steps, targets, micro, minibatch.count, policy_learns)
            value_losses = losses.value_loss(
                values, targets.values[micro], targets.returns[micro], clip=self.config.clip
            )
            loss = value_losses.sum() / minibatch.count
            metrics = {"value_loss": value_losses}
            if policy_part is None:
                yield Part(loss=loss, metrics=metrics)
            else:
                yield Part(
                    loss=loss + policy_part.loss,
                    metrics=metrics | policy_part.metrics,
                    ratio_error=policy_part.ratio_error,
                )

    def _forward(
        self, steps: Steps, targets: _Targets, micro: torch.Tensor, count: float, policy_learns: bool
    ) -> tuple[torch.Tensor, Part | None]:
        """Values [b] and, where the policy learns, its part of the loss."""
        if self.critic is not None and not policy_learns:
            return self.critic.of_steps(steps, micro), None
        with torch.set_grad_enabled(policy_learns):
            score = steps.score(self.policy, micro)
        if self.critic is not None:
            values = self.critic.of_steps(steps, micro)
        else:
            values = score.values if policy_learns else self.policy.value_head(score.state)
        if not policy_learns:
            return values, None
        return values, surrogate(score, steps.logprobs[micro], targets.advantages[micro], count, self.config)


def _make_critic(policy: VLAPolicy, config: PpoConfig, state_dim: int) -> Critic | None:
    """None for the policy's own head."""
    if config.critic == "privileged":
        return PrivilegedCritic(state_dim, seed=seeds.derive(config.seed, "critic"))
    if config.critic == "separate":
        return SeparateCritic(
            policy, config.critic_input, seed=seeds.derive(config.seed, "critic"), micro_batch=config.micro_batch
        )
    return None
