"""One optimiser step from the losses of many micro-batches on many ranks, and the metrics of an iteration.

Three checks stand between a fault and the weights: losses and gradients must be finite, the gradient norm is clipped,
and before the first step of an iteration the policy must give the same log-probabilities as in the rollout.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.rollout import Minibatch
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MicroBatchLoss:
    """What one micro-batch adds to the loss and the metrics of its minibatch."""

    loss: torch.Tensor
    """Scalar with a graph: a sum over samples, divided by the minibatch's count on all ranks."""
    metrics: dict[str, torch.Tensor]
    """Journal name -> one value per sample. Metrics called `..._loss` must be finite."""
    ratio_error: float = 0.0
    """Largest |ρ - 1| of the micro-batch's steps; 0 where the policy does not learn."""

    def __add__(self, other: "MicroBatchLoss") -> "MicroBatchLoss":
        """Two losses of the same micro-batch as one."""
        return MicroBatchLoss(
            loss=self.loss + other.loss,
            metrics=self.metrics | other.metrics,
            ratio_error=max(self.ratio_error, other.ratio_error),
        )


class MeanMetrics:
    """Sums of per-sample metrics over one iteration, for their means over all ranks."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        """names: the metrics of the journal, in its order. device: where the sums are kept."""
        self.names = tuple(names)
        self._sums = torch.zeros(len(self.names), 2, dtype=torch.float64, device=device)
        self._norms: list[float] = []
        self.ratio_error = 0.0
        """Largest |ρ - 1| that this rank has met so far in the iteration."""

    def add(self, part: MicroBatchLoss) -> None:
        """Count in the samples of one micro-batch; a metric may be missing from it."""
        for name, metric in part.metrics.items():
            wide = metric.detach().double()
            self._sums[self.names.index(name)] += torch.stack([wide.sum(), wide.new_tensor(float(wide.numel()))])
        self.ratio_error = max(self.ratio_error, part.ratio_error)

    def add_gradient_norm(self, norm: float) -> None:
        """Count in the gradient norm of one optimiser step, which is the same number on every rank."""
        self._norms.append(norm)

    def means(self, ranks: Ranks) -> dict[str, float]:
        """Mean of each metric over the samples of all ranks, 0 where there were none; and `gradient_norm`, the mean
        over the optimiser steps."""
        sums = ranks.sum(self._sums).tolist()
        metrics = {name: total / count if count else 0.0 for name, (total, count) in zip(self.names, sums, strict=True)}
        metrics["gradient_norm"] = sum(self._norms) / len(self._norms) if self._norms else 0.0
        return metrics


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CriticGroup:
    """Critic parameters with one learning rate; they learn also in iterations in which the policy does not."""

    parameters: list[nn.Parameter]
    lr: float


class PolicyOptimizer:
    """AdamW over the trainable parameters of the policy's graph and over those of the critic; equal on every rank."""

    def __init__(
        self,
        policy: VLAPolicy,
        config: TrainingConfig,
        ranks: Ranks,
        critics: Sequence[CriticGroup] = (),
    ) -> None:
        """Overwrites everything that is trained with rank 0's values, so that all ranks start equal."""
        self.policy, self.config, self.ranks = policy, config, ranks
        self.parameters = list(policy.backbone_parameters())
        self.critics = tuple(critics)
        groups = [{"params": self.parameters, "lr": config.lr}]
        groups += [{"params": group.parameters, "lr": group.lr} for group in self.critics]
        self.adamw = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.updates = 0
        """Optimiser steps in which the policy learned, over the whole run; part of every checkpoint."""
        ranks.broadcast([*self.parameters, *self._critic_parameters()])

    def learn(
        self,
        minibatches: Iterable[Minibatch],
        losses_of: Callable[[Minibatch], Iterable[MicroBatchLoss]],
        metrics: MeanMetrics,
        iteration: int,
        *,
        policy_learns: bool = True,
    ) -> float:
        """Take one step for each minibatch. `losses_of` yields this rank's micro-batches of one, each when asked for,
        so that only one graph is alive at a time.

        Returns the largest |ρ - 1| of all ranks before the first step. Raises RlvlaError where that should be 0 and is
        not, and for a loss or gradient that is not finite.
        """
        first_ratio_error = 0.0
        for minibatch in minibatches:
            self._step(losses_of(minibatch), metrics, iteration, policy_learns)
            if policy_learns and minibatch.is_first:
                first_ratio_error = check_first_ratio(metrics.ratio_error, self.policy, self.ranks, iteration)
        return first_ratio_error

    def _step(self, parts: Iterable[MicroBatchLoss], metrics: MeanMetrics, iteration: int, policy_learns: bool) -> None:
        """Add up the gradients of this rank's micro-batches and of all ranks, and take one step.

        Raises RlvlaError for a number that is not finite, before any parameter is touched.
        """
        self.adamw.zero_grad(set_to_none=True)
        broken = set()
        for part in parts:
            broken |= {k for k, v in part.metrics.items() if k.endswith("_loss") and not torch.isfinite(v).all()}
            part.loss.backward()
            metrics.add(part)
        trained = [*self.parameters, *self._critic_parameters()] if policy_learns else self._critic_parameters()
        norm = sum_and_clip_gradients(trained, self.ranks, self.config.max_grad_norm)
        # A loss can be infinite while its gradient is not (Huber's), so both are looked at.
        if broken or not math.isfinite(norm):
            named = next((name.replace("_", " ") for name in metrics.names if name in broken), "gradient norm")
            raise RlvlaError(
                f"iteration {iteration}: the {named} is not a finite number; the last checkpoint is good: start again "
                "from it with a smaller learning rate"
            )
        metrics.add_gradient_norm(norm)
        policy_group, *critic_groups = self.adamw.param_groups
        policy_group["lr"] = self.lr(iteration) if policy_learns else 0.0
        for group, critic in zip(critic_groups, self.critics, strict=True):
            group["lr"] = critic.lr * self._annealing(iteration)
        self.adamw.step()
        self.updates += policy_learns

    def lr(self, iteration: int) -> float:
        """The policy's learning rate for the next step, which may be taken in `iteration` (counted from 1)."""
        warmup = max(self.config.lr_warmup_updates, 1)
        return self.config.lr * min(1.0, (self.updates + 1) / warmup) * self._annealing(iteration)

    def _annealing(self, iteration: int) -> float:
        """Factor of all learning rates: 1 in the first iteration; with `anneal`, 1 / iterations in the last."""
        return 1.0 - (iteration - 1) / self.config.iterations if self.config.anneal else 1.0

    def _critic_parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.critics for parameter in group.parameters]


def freeze_vision_towers(policy: VLAPolicy, config: TrainingConfig) -> None:
    """Exclude the vision towers from training where `config.train_vision` is False."""
    if not config.train_vision:
        policy.freeze_vision()


def sum_and_clip_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks, max_norm: float) -> float:
    """Sum gradients over the ranks, scale them down to `max_norm`, and return the norm that they had.

    The norm is the same number on every rank. Where it is not finite, the caller must not take the step.
    """
    own = list(parameters)
    ranks.sum_gradients(own)
    return float(torch.nn.utils.clip_grad_norm_(own, max_norm))


def worst_ratio_error(logprobs: torch.Tensor, old_logprobs: torch.Tensor) -> float:
    """Largest |ρ - 1| of b actions, with ρ = exp(`logprobs` - `old_logprobs`), both float32 [b]."""
    return float((torch.exp(logprobs - old_logprobs) - 1.0).abs().max())


def check_first_ratio(error: float, policy: VLAPolicy, ranks: Ranks, iteration: int) -> float:
    """The largest of all ranks' ratio errors before the first update of an iteration, when all ratios should be 1.

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
