"""Group-relative policy optimisation (GRPO): PPO's clipped surrogate, with advantages from outcomes, without a critic.

`grouped` is the algorithm as published (Shao et al. 2024, outcome supervision, and the appendix of Liu et al. 2025: 32
groups of 8). An episode's advantage, the same for all of its steps, is its outcome standardised within the group of
episodes that play the same start. `flat` is what the released code of Liu et al. does in its place: nothing is
compared within a group.

Departures from Shao et al.: no KL penalty towards a reference policy, one ratio per action instead of per token, and
losses are averaged over steps, not first within each episode (as in Liu et al.). Departures from the released code are
those of `ppo`; further, groups whose outcomes are all equal are left out of the minibatches: their advantages are 0,
and only the optimiser's momentum would move the policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from rlvla_core.learning.advantages import flat_advantages, group_advantages, moments_of
from rlvla_core.learning.algorithms.group_sampling import check_groups, count_true
from rlvla_core.learning.algorithms.surrogate import SurrogateConfig, surrogate
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import MeanMetrics, MicroBatchLoss, PolicyOptimizer, freeze_vision_towers
from rlvla_core.learning.rollout import Minibatch, RolloutBatch, Steps, micro_batches, minibatches
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpoConfig(SurrogateConfig):
    """Options of GRPO: 32 groups of 8 episodes, as in the paper's appendix, and otherwise the paper's PPO."""

    iterations: int = 98
    """Number of iterations; each plays one episode in every environment and then updates the policy. 98 x 20,480 steps
    are the paper's two million."""
    num_envs: int = 256
    """Number of environments that run in parallel, over all ranks."""
    minibatch: int = 640
    """Environment steps in one optimiser step, over all ranks; 640 gives 32 optimiser steps a rollout, as in PPO."""
    variant: Literal["grouped", "flat", "flat_same_start"] = "grouped"
    """How advantages are computed. grouped: outcomes standardised within groups of episodes from one start. flat (the
    paper's released code): non-zero step rewards standardised over the whole rollout, another start in every
    environment. flat_same_start: as flat, with one start for all environments (the paper's GRPO (s))."""
    group: int = 8
    """Number of episodes in a group (variant `grouped`); neighbouring environments of one rank play them from one
    start."""
    outcome: Literal["return", "success"] = "return"
    """What is compared within a group: the undiscounted return of the episode, or success at its end."""

    def __post_init__(self) -> None:
        SurrogateConfig.__post_init__(self)
        self.check_at_least(2, "group")

    @property
    def envs_per_start(self) -> int:
        return {"grouped": self.group, "flat": 1, "flat_same_start": self.num_envs}[self.variant]


class GrpoLearner:
    """Policy and optimiser of GRPO; `update` learns from one rollout. The value head stays as it was."""

    title = "GRPO"
    headline: tuple[str, ...] = ("kl",)

    def __init__(self, policy: VLAPolicy, config: GrpoConfig, ranks: Ranks) -> None:
        """Raises RlvlaError for groups that do not lie within one rank."""
        if config.variant == "grouped":
            check_groups(config, ranks)
        self.policy, self.config, self.ranks = policy, config, ranks
        freeze_vision_towers(policy, config)
        self.optimizer = PolicyOptimizer(policy, config, ranks)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds: the policy alone."""
        return {"policy": self.policy}

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One update of GRPO from the steps of informative episodes; `iteration` counts from 1. Returns the metrics of
        the journal. A rollout without any informative episode leaves the policy as it is.

        Raises RlvlaError as `PpoLearner.update` does.
        """
        ranks = self.ranks
        advantages, informative, metrics = self._advantages(batch)
        steps = Steps(batch)
        mine = steps.valid[informative[steps.envs(steps.valid)]]
        total = int(ranks.sum(torch.tensor([float(len(mine))], dtype=torch.float64)).item())
        mean_metrics = MeanMetrics(("policy_loss", "entropy", "kl", "clip_fraction"), ranks.device)
        first_ratio_error = self.optimizer.learn(
            minibatches(mine, total, self.config, ranks, iteration),
            lambda minibatch: self._losses(steps, advantages.flatten(), minibatch),
            mean_metrics,
            iteration,
        )
        return {
            **mean_metrics.means(ranks),
            **metrics,
            "first_ratio_error": first_ratio_error,
            "lr": self.optimizer.lr(iteration) if total else 0.0,
        }

    def _advantages(self, batch: RolloutBatch) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """Advantages float32 [T, N], bool [N] whether an environment's episode has any, and metrics of the journal."""
        if self.config.variant == "grouped":
            use_return = self.config.outcome == "return"
            outcomes = batch.rewards.sum(0) if use_return else batch.success_at_end.float()
            advantages, informative = group_advantages(outcomes, self.config.group)
            _, fraction = count_true(informative[:: self.config.group], self.ranks)
            return advantages.expand_as(batch.rewards), informative, {"informative_starts": fraction}
        rewards = batch.rewards
        moments = self.ranks.sum(moments_of(rewards[rewards != 0]))
        rewarded = bool(moments[0] > 0)
        advantages = flat_advantages(rewards, moments) if rewarded else torch.zeros_like(rewards)
        return advantages, torch.full_like(batch.success_at_end, rewarded), {}

    def _losses(self, steps: Steps, advantages: torch.Tensor, minibatch: Minibatch) -> Iterator[MicroBatchLoss]:
        """The losses of one optimiser step, micro-batch by micro-batch."""
        for micro in micro_batches(minibatch.items, self.config.micro_batch):
            score = steps.score(self.policy, micro)
            yield surrogate(score, steps.logprobs[micro], advantages[micro], minibatch.count, self.config)
