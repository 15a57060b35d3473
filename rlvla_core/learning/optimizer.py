"""Optimiser steps from the losses of many micro-batches on many ranks, guarded against numbers that are not finite."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.minibatches import Minibatch
from rlvla_core.learning.ratio import check_first_ratio
from rlvla_core.learning.tally import Tally
from rlvla_core.learning.trainer_state import reduce_and_clip
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """The share of one micro-batch in the loss of its minibatch."""

    loss: torch.Tensor
    """Scalar with a graph: a sum over samples, divided by the minibatch's count on all ranks."""
    metrics: dict[str, torch.Tensor]
    """For the journal, one value per sample. Those called `..._loss` must be finite."""
    ratio_error: float = 0.0
    """Largest |ρ - 1| of its steps."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CriticGroup:
    """Parameters that learn beside the policy's, and in iterations in which the policy does not."""

    parameters: list[nn.Parameter]
    lr: float


def freeze_towers(policy: VLAPolicy, config: TrainingConfig) -> None:
    """Leave the vision towers as they are, if `config` says so."""
    if not config.train_vision:
        policy.freeze_vision()


class Descent:
    """AdamW over what is trainable of the policy's graph, and over critics; the same on every rank.

    `updates` counts the steps of the policy.
    """

    def __init__(
        self,
        policy: VLAPolicy,
        config: TrainingConfig,
        ranks: Ranks,
        critics: Sequence[CriticGroup] = (),
    ) -> None:
        """Overwrites everything that is trained with rank 0's values."""
        self.policy, self.config, self.ranks = policy, config, ranks
        self.parameters = list(policy.backbone_parameters())
        self.critics = tuple(critics)
        groups = [{"params": self.parameters, "lr": config.lr}]
        groups += [{"params": group.parameters, "lr": group.lr} for group in self.critics]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.updates = 0
        ranks.broadcast([*self.parameters, *self._critic_parameters()])

    def learn(
        self,
        minibatches: Iterable[Minibatch],
        parts_of: Callable[[Minibatch], Iterable[Part]],
        tally: Tally,
        iteration: int,
        *,
        policy_learns: bool = True,
    ) -> float:
        """One step for each minibatch. `parts_of` makes this rank's micro-batches of one, each when it is asked for.

        Returns the largest |ρ - 1| of all ranks before the first step; raises RlvlaError where it should be 0 and is
        not, or for a loss or gradient that is not finite.
        """
        first_ratio_error = 0.0
        for minibatch in minibatches:
            self._step(parts_of(minibatch), tally, iteration, policy_learns)
            if policy_learns and minibatch.is_first:
                first_ratio_error = check_first_ratio(tally.ratio_error, self.policy, self.ranks, iteration)
        return first_ratio_error

    def _step(self, parts: Iterable[Part], tally: Tally, iteration: int, policy_learns: bool) -> None:
        """Add up the gradients of this rank's `parts` and of all ranks, and take one step.

        Raises before any parameter is touched.
        """
        self.optimizer.zero_grad(set_to_none=True)
        broken = set()
        for part in parts:
            broken |= {k for k, v in part.metrics.items() if k.endswith("_loss") and not torch.isfinite(v).all()}
            part.loss.backward()
            tally.add(part.metrics)
            tally.ratio_error = max(tally.ratio_error, part.ratio_error)
        trained = [*self.parameters, *self._critic_parameters()] if policy_learns else self._critic_parameters()
        norm = reduce_and_clip(trained, self.ranks, self.config.max_grad_norm)
        # A loss can be infinite while its gradient is not (Huber's), so both are looked at.
        if broken or not math.isfinite(norm):
            named = next((name.replace("_", " ") for name in tally.names if name in broken), "gradient norm")
            raise RlvlaError(
                f"iteration {iteration}: the {named} is not a finite number; the last checkpoint is good: start again "
                "from it with a smaller learning rate"
            )
        tally.add_norm(norm)
        policy_group, *critic_groups = self.optimizer.param_groups
        policy_group["lr"] = self.lr(iteration) if policy_learns else 0.0
        for group, critic in zip(critic_groups, self.critics, strict=True):
            group["lr"] = critic.lr * self._annealing(iteration)
        self.optimizer.step()
        self.updates += policy_learns

    def lr(self, iteration: int) -> float:
        """The policy's rate for the next step."""
        warmup = max(self.config.lr_warmup_updates, 1)
        return self.config.lr * min(1.0, (self.updates + 1) / warmup) * self._annealing(iteration)

    def _annealing(self, iteration: int) -> float:
        """Factor of all rates: 1 in the first iteration, 1 / iterations in the last."""
        return 1.0 - (iteration - 1) / self.config.iterations if self.config.anneal else 1.0

    def _critic_parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.critics for parameter in group.parameters]
