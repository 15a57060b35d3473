"""Group-relative policy optimisation: the clipped surrogate of PPO, with advantages from outcomes instead of a critic.

`grouped` is the algorithm as published (Shao et al. 2024, and the appendix of Liu et al. 2025: 32 groups of 8).
`flat` is what the paper's released script does in its place: nothing is compared within a group.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from rlvla_core.learning.advantages import flat_advantages, group_advantages, moments_of
from rlvla_core.learning.algorithms.group_sampling import check_groups, share_of
from rlvla_core.learning.algorithms.surrogate import METRICS, SurrogateConfig, surrogate
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.minibatches import Minibatch, micro_batches, minibatches
from rlvla_core.learning.optimizer import Descent, Part, freeze_towers
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.learning.steps import Steps
from rlvla_core.learning.tally import Tally
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpoConfig(SurrogateConfig):
    """32 groups of 8 episodes, as in the paper's appendix; what that does not say is the paper's PPO."""

    iterations: int = 98
    """Rollouts; each plays one full episode in every world. 98 x 20,480 steps are the paper's two million."""
    num_envs: int = 256
    """Worlds over all ranks."""
    minibatch: int = 640
    """Steps in one optimiser step, over all ranks and micro-batches; 640 makes 32 of a rollout, as in PPO."""
    variant: Literal["grouped", "flat", "flat_same_start"] = "grouped"
    """grouped: outcomes standardised within groups of episodes from one start. flat: the released code, non-zero step
    rewards standardised over the whole rollout, a start for every world. flat_same_start: the same with one start for
    all worlds (the paper's GRPO (s))."""
    group: int = 8
    """grouped: neighbouring worlds, all on one rank, that play one start."""
    outcome: Literal["return", "success"] = "return"
    """grouped: what is compared, the undiscounted return of the episode or success at its end."""

    def __post_init__(self) -> None:
        SurrogateConfig.__post_init__(self)
        self.check_at_least(2, "group")

    @property
    def envs_per_start(self) -> int:
        return {"grouped": self.group, "flat": 1, "flat_same_start": self.num_envs}[self.variant]


class GrpoLearner:
    """Policy and optimiser; `update` learns from one rollout. There is no critic; the value head stays as it was."""

    title = "GRPO"
    headline: tuple[str, ...] = ("kl",)

    def __init__(self, policy: VLAPolicy, config: GrpoConfig, ranks: Ranks) -> None:
        """Raises RlvlaError for groups that do not lie within one rank."""
        if config.variant == "grouped":
            check_groups(config, ranks)
        self.policy, self.config, self.ranks = policy, config, ranks
        freeze_towers(policy, config)
        self.descent = Descent(policy, config, ranks)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        return {"policy": self.policy}

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One pass of the surrogate over the steps that say something; see `Learner`.

        Episodes of groups without spread are left out of the minibatches: their advantages are 0, and only the
        optimiser's momentum would move the policy. An iteration of nothing else leaves the policy as it is.
        """
        ranks = self.ranks
        advantages, informs, metrics = self._advantages(batch)
        steps = Steps(batch)
        mine = steps.valid[informs[steps.worlds(steps.valid)]]
        total = int(ranks.sum(torch.tensor([float(len(mine))], dtype=torch.float64)).item())
        tally = Tally(METRICS, ranks.device)
        first_ratio_error = self.descent.learn(
            minibatches(mine, total, self.config, ranks, iteration),
            lambda minibatch: self._parts(steps, advantages.flatten(), minibatch),
            tally,
            iteration,
        )
        return {
            **tally.means(ranks),
            **metrics,
            "first_ratio_error": first_ratio_error,
            "lr": self.descent.lr(iteration) if total else 0.0,
        }

    def _advantages(self, batch: RolloutBatch) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """Advantages float32 [T, N], bool [N] whether a world's episode informs, and metrics for the journal."""
        if self.config.variant == "grouped":
            returns = self.config.outcome == "return"
            outcomes = batch.rewards.sum(0) if returns else batch.success_at_end.float()
            advantages, informs = group_advantages(outcomes, self.config.group)
            _, share = share_of(informs[:: self.config.group], self.ranks)
            return advantages.expand_as(batch.rewards), informs, {"informative_starts": share}
        rewards = batch.rewards
        moments = self.ranks.sum(moments_of(rewards[rewards != 0]))
        rewarded = bool(moments[0] > 0)
        advantages = flat_advantages(rewards, moments) if rewarded else torch.zeros_like(rewards)
        return advantages, torch.full_like(batch.success_at_end, rewarded), {}

    def _parts(self, steps: Steps, advantages: torch.Tensor, minibatch: Minibatch) -> Iterator[Part]:
        """The losses of one optimiser step, micro-batch by micro-batch."""
        for micro in micro_batches(minibatch.items, self.config.micro_batch):
            score = steps.score(self.policy, micro)
            yield surrogate(score, steps.logprobs[micro], advantages[micro], minibatch.count, self.config)
