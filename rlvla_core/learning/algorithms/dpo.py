"""Direct preference optimisation of whole episodes (the paper's DPO arm, of which no code was released).

Groups of episodes are played from one start, each that succeeded is preferred to each that failed, and the loss is

    L = mean over starts, mean over their pairs (w, l), -log σ(β log [π(ζw) / π_ref(ζw)] - β log [π(ζl) / π_ref(ζl)]),

with log π(ζ) the sum over the episode's steps and tokens, and π_ref the policy that training started from. Episodes are
played by the *current* policy: any policy's episodes may be compared, and these show what it still gets wrong; they
also make the journal's success a learning curve. A start whose episodes all end alike has no pair and says nothing.

The loss couples all steps of a pair, and an 80-step episode does not fit into one graph. So each minibatch is read
twice. The first pass scores without gradients and gives dL/d log π(ζ) of every episode in closed form; the second adds
up the gradients of (that number) x (log π of a micro-batch of steps), which are exactly those of L.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from rlvla_core.learning import losses
from rlvla_core.learning.algorithms.group_sampling import check_groups, share_of
from rlvla_core.learning.algorithms.preferences import Preferences
from rlvla_core.learning.algorithms.reference import Reference
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.minibatches import Minibatch, micro_batches, minibatches
from rlvla_core.learning.optimizer import Descent, Part, freeze_towers
from rlvla_core.learning.ratio import worst_ratio_error
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.learning.steps import Steps
from rlvla_core.learning.tally import Tally
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class DpoConfig(TrainingConfig):
    """β, rate and sizes were not published: these are the groups of the paper's GRPO and the rate of its PPO."""

    iterations: int = 98
    """Rollouts; each plays one full episode in every world. 98 x 20,480 steps are the paper's two million."""
    num_envs: int = 256
    """Worlds over all ranks."""
    minibatch: int = 4
    """Starts in one optimiser step, over all ranks; each comes with all its pairs."""
    group: int = 8
    """Neighbouring worlds, all on one rank, that play one start."""
    beta: float = 0.1
    """β: the smaller, the further the policy may go from the one that training started from."""

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)
        self.check_positive("beta")
        self.check_at_least(2, "group")

    @property
    def envs_per_start(self) -> int:
        return self.group


class DpoLearner:
    """Policy, its reference and optimiser; `update` learns from one rollout. The value head stays as it was."""

    title = "DPO"
    headline: tuple[str, ...] = ("kl", "preference_accuracy")

    def __init__(self, policy: VLAPolicy, config: DpoConfig, ranks: Ranks) -> None:
        """`policy`, as it is now, becomes the reference. Raises RlvlaError for groups that do not lie within a rank."""
        check_groups(config, ranks)
        self.policy, self.config, self.ranks = policy, config, ranks
        freeze_towers(policy, config)
        self.descent = Descent(policy, config, ranks)
        self.reference = Reference(self.descent.parameters)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds. The reference is made anew from the policy that a resumed run starts from again."""
        return {"policy": self.policy}

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One pass over the starts that have pairs; see `Learner`. Without any, the policy stays as it is."""
        steps = Steps(batch)
        preferences = Preferences(batch.success_at_end, self.config.group)
        total, share = share_of(preferences.has_pairs, self.ranks)
        starts = preferences.has_pairs.nonzero().squeeze(-1)
        reference = torch.zeros_like(steps.logprobs)
        with self.reference.in_place():
            for micro in self._micro_batches(self._steps_of(steps, starts)):
                reference[micro] = self._logprobs(steps, micro)
        tally = Tally(
            ("policy_loss", "entropy", "kl", "reference_kl", "preference_accuracy", "margin"), self.ranks.device
        )
        first_ratio_error = self.descent.learn(
            minibatches(starts, total, self.config, self.ranks, iteration),
            lambda minibatch: self._parts(steps, preferences, reference, minibatch),
            tally,
            iteration,
        )
        return {
            **tally.means(self.ranks),
            "informative_starts": share,
            "first_ratio_error": first_ratio_error,
            "lr": self.descent.lr(iteration) if total else 0.0,
        }

    def _parts(
        self, steps: Steps, preferences: Preferences, reference: torch.Tensor, minibatch: Minibatch
    ) -> Iterator[Part]:
        """Both passes over one minibatch."""
        if not len(minibatch.items):
            return
        index = self._steps_of(steps, minibatch.items)
        now = torch.zeros_like(steps.logprobs)
        with torch.no_grad():
            for micro in self._micro_batches(index):
                now[micro] = self._logprobs(steps, micro)
        worlds = steps.worlds(index)
        ratios = reference.new_zeros(len(preferences.success)).index_add(0, worlds, now[index] - reference[index])
        weights, metrics = preferences.weigh(ratios, minibatch.items, beta=self.config.beta)
        metrics |= {
            "kl": losses.approx_kl(now[index], steps.logprobs[index]),
            "reference_kl": losses.approx_kl(reference[index], now[index]),
        }
        error = worst_ratio_error(now[index], steps.logprobs[index])
        for micro in self._micro_batches(index):
            score = steps.score(self.policy, micro)
            loss = (weights[steps.worlds(micro)] * score.logprobs.sum(-1)).sum() / minibatch.count
            yield Part(loss=loss, metrics=metrics | {"entropy": score.entropies.mean(-1)}, ratio_error=error)
            metrics = {}  # of the whole minibatch, so they count once

    def _logprobs(self, steps: Steps, index: torch.Tensor) -> torch.Tensor:
        return steps.score(self.policy, index).logprobs.sum(-1)

    def _steps_of(self, steps: Steps, starts: torch.Tensor) -> torch.Tensor:
        """Indices of all steps from `starts` int64 [s]."""
        return steps.valid[torch.isin(steps.worlds(steps.valid) // self.config.group, starts)]

    def _micro_batches(self, index: torch.Tensor) -> Iterator[torch.Tensor]:
        return micro_batches(index, self.config.micro_batch)
