"""Direct preference optimisation (DPO) of whole episodes: the DPO arm of Liu et al. 2025, whose code was not released.

Groups of episodes are played from one start, each that succeeded is preferred to each that failed, and the loss is

    L = mean over starts, mean over their pairs (w, l), -log σ(β log [π(ζw) / π_ref(ζw)] - β log [π(ζl) / π_ref(ζl)]),

with log π(ζ) the sum over the episode's steps and tokens, and π_ref the policy that training started from.

Departures from textbook DPO (Rafailov et al. 2023): the pairs are not given but played by the *current* policy. Any
policy's episodes may be compared, and these show what it still gets wrong; they also make the journal's success a
learning curve. Preferences come from success at the episode's end alone. A start whose episodes all end alike has no
pair and is left out.

The loss couples all steps of a pair, and an 80-step episode does not fit into one graph. So each minibatch is read
twice. The first pass scores without gradients and gives dL/d log π(ζ) of every episode in closed form; the second adds
up the gradients of (that number) x (log π of a micro-batch of steps), which are exactly those of L.

Letters: N episodes in groups of K neighbours that share a start, G = N / K starts, P pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from rlvla_core.learning import losses
from rlvla_core.learning.algorithms.group_sampling import check_groups, count_true
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import (
    MeanMetrics,
    MicroBatchLoss,
    PolicyOptimizer,
    freeze_vision_towers,
    worst_ratio_error,
)
from rlvla_core.learning.rollout import Minibatch, RolloutBatch, Steps, micro_batches, minibatches
from rlvla_core.learning.weight_copies import ReferenceWeights
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class DpoConfig(TrainingConfig):
    """Options of DPO. The paper published no β, rate or sizes: groups are as in its GRPO, the rate as in its PPO."""

    iterations: int = 98
    """Number of iterations; each plays one episode in every environment and then updates the policy. 98 x 20,480 steps
    are the paper's two million."""
    num_envs: int = 256
    """Number of environments that run in parallel, over all ranks."""
    minibatch: int = 4
    """Number of starts in one optimiser step, over all ranks; each start brings all its pairs of episodes."""
    group: int = 8
    """Number of episodes played from one start, by neighbouring environments of one rank."""
    beta: float = 0.1
    """β of the DPO loss: the smaller, the further the policy may move from the one that training started from."""

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)
        self.check_positive("beta")
        self.check_at_least(2, "group")

    @property
    def envs_per_start(self) -> int:
        return self.group


class Preferences:
    """All pairs (success, failure) among the episodes of each start. A start whose episodes all end alike has none."""

    def __init__(self, success: torch.Tensor, group: int) -> None:
        """success: bool [N], whether each episode succeeded. group: K."""
        self.success = success
        groups = success.unflatten(0, (-1, group))
        start, winner, loser = (groups.unsqueeze(2) & ~groups.unsqueeze(1)).nonzero().unbind(1)
        self.starts = start
        """int64 [P]: the start, 0 .. G - 1, that each pair comes from."""
        self.pairs = torch.stack([winner, loser], dim=1) + group * start.unsqueeze(1)
        """int64 [P, 2]: the episode that succeeded and the one that failed, 0 .. N - 1."""
        counts = torch.bincount(start, minlength=len(groups))
        self.has_pairs = counts > 0
        """bool [G]: whether the start has any pair."""
        self.pair_weights = 1.0 / counts[start].float()
        """float32 [P]: 1 / pairs of its start, so that every start weighs the same, however its episodes ended."""

    def weigh(
        self, ratios: torch.Tensor, starts: torch.Tensor, *, beta: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Derivatives of the loss, summed over `starts` int64 [s], by the log-probability of each episode.

        ratios: float32 [N], log π(ζ) - log π_ref(ζ). Returns the derivatives float32 [N], 0 for episodes of other
        starts; and the metrics of each of `starts` [s]: the loss, the fraction of its pairs that the policy ranks
        rightly more than the reference does (a tie counts half), and the mean margin β (w - l).
        """
        chosen = torch.isin(self.starts, starts)
        pairs, pair_weights, start = self.pairs[chosen], self.pair_weights[chosen], self.starts[chosen]
        winner, loser = ratios[pairs[:, 0]], ratios[pairs[:, 1]]
        slopes = pair_weights * losses.dpo_slope(winner, loser, beta=beta)
        weights = torch.zeros_like(ratios).index_add(0, pairs[:, 0], slopes).index_add(0, pairs[:, 1], -slopes)

        def per_start(of_pairs: torch.Tensor) -> torch.Tensor:
            return ratios.new_zeros(len(self.has_pairs)).index_add(0, start, pair_weights * of_pairs)[starts]

        margin = beta * (winner - loser)
        return weights, {
            "policy_loss": per_start(losses.dpo_loss(winner, loser, beta=beta)),
            "preference_accuracy": per_start((margin.sign() + 1.0) / 2.0),
            "margin": per_start(margin),
        }


class DpoLearner:
    """Policy, reference and optimiser of DPO; `update` learns from one rollout. The value head stays as it was."""

    title = "DPO"
    headline: tuple[str, ...] = ("kl", "preference_accuracy")

    def __init__(self, policy: VLAPolicy, config: DpoConfig, ranks: Ranks) -> None:
        """`policy`, as it is now, becomes the reference. Raises RlvlaError for groups that do not lie within a rank."""
        check_groups(config, ranks)
        self.policy, self.config, self.ranks = policy, config, ranks
        freeze_vision_towers(policy, config)
        self.optimizer = PolicyOptimizer(policy, config, ranks)
        self.reference = ReferenceWeights(self.optimizer.parameters)

    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds: the policy alone. A resumed run starts from the same policy file again and makes the
        reference from that."""
        return {"policy": self.policy}

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One update of DPO from the starts that have pairs; `iteration` counts from 1. Returns the metrics of the
        journal. A rollout without any pair leaves the policy as it is.

        Raises RlvlaError as `PpoLearner.update` does.
        """
        steps = Steps(batch)
        preferences = Preferences(batch.success_at_end, self.config.group)
        total, fraction = count_true(preferences.has_pairs, self.ranks)
        starts = preferences.has_pairs.nonzero().squeeze(-1)
        with self.reference.applied():
            reference_logprobs = self._logprobs(steps, self._steps_of(steps, starts))
        mean_metrics = MeanMetrics(
            ("policy_loss", "entropy", "kl", "reference_kl", "preference_accuracy", "margin"), self.ranks.device
        )
        first_ratio_error = self.optimizer.learn(
            minibatches(starts, total, self.config, self.ranks, iteration),
            lambda minibatch: self._losses(steps, preferences, reference_logprobs, minibatch),
            mean_metrics,
            iteration,
        )
        return {
            **mean_metrics.means(self.ranks),
            "informative_starts": fraction,
            "first_ratio_error": first_ratio_error,
            "lr": self.optimizer.lr(iteration) if total else 0.0,
        }

    def _losses(
        self, steps: Steps, preferences: Preferences, reference_logprobs: torch.Tensor, minibatch: Minibatch
    ) -> Iterator[MicroBatchLoss]:
        """Both passes over the starts of one minibatch. reference_logprobs: float32 [T·N]."""
        if not len(minibatch.items):
            return
        index = self._steps_of(steps, minibatch.items)

        # First pass: the derivative of the loss by the log-probability of each episode.
        logprobs = self._logprobs(steps, index)
        now, before, old = logprobs[index], reference_logprobs[index], steps.logprobs[index]
        ratios = now.new_zeros(len(preferences.success)).index_add(0, steps.envs(index), now - before)
        weights, metrics = preferences.weigh(ratios, minibatch.items, beta=self.config.beta)
        metrics |= {"kl": losses.approx_kl(now, old), "reference_kl": losses.approx_kl(before, now)}
        ratio_error = worst_ratio_error(now, old)

        # Second pass: the same numbers as weights of the steps' log-probabilities, with gradients.
        for micro in micro_batches(index, self.config.micro_batch):
            score = steps.score(self.policy, micro)
            loss = (weights[steps.envs(micro)] * score.logprobs.sum(-1)).sum() / minibatch.count
            metrics |= {"entropy": score.entropies.mean(-1)}
            yield MicroBatchLoss(loss=loss, metrics=metrics, ratio_error=ratio_error)
            metrics = {}  # the others are of the whole minibatch, so they count once

    @torch.no_grad()
    def _logprobs(self, steps: Steps, index: torch.Tensor) -> torch.Tensor:
        """Log-probabilities float32 [T·N] of the actions taken in the steps `index`, under the policy's present
        weights; 0 elsewhere."""
        logprobs = torch.zeros_like(steps.logprobs)
        for micro in micro_batches(index, self.config.micro_batch):
            logprobs[micro] = steps.score(self.policy, micro).logprobs.sum(-1)
        return logprobs

    def _steps_of(self, steps: Steps, starts: torch.Tensor) -> torch.Tensor:
        """Indices int64 [b] of all steps of the episodes from `starts` int64 [s]."""
        return steps.valid[torch.isin(steps.envs(steps.valid) // self.config.group, starts)]
