"""Who estimates values while PPO trains: the policy's own head (the paper's choice), or one of the critics here.

None of them is ever part of the bundle: the deployed graph is the policy, and reads images and words only.
"""

import abc
import copy

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.minibatches import micro_batches
from rlvla_core.learning.optimizer import CriticGroup
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.learning.steps import Steps
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.value_head import CriticInput


class Critic(nn.Module, abc.ABC):
    """Values in place of those of the policy's head."""

    @abc.abstractmethod
    def groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        """What is trained: a backbone at the policy's rate `lr`, heads and small networks at `value_lr`."""

    @abc.abstractmethod
    def of_rollout(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        """Values float32 [T, N] before each step and [N] after the last one, without gradients."""

    @abc.abstractmethod
    def of_steps(self, steps: Steps, index: torch.Tensor) -> torch.Tensor:
        """Values float32 [b] of the steps `index` int64 [b], with gradients."""


class SeparateCritic(Critic):
    """The paper's separate critic (figure 4): a copy of the whole backbone with a value head of its own.

    It starts as the policy it is copied from and then shares nothing with it. It costs a second model's memory and a
    second forward and backward pass; the paper found no gain over the shared one.
    """

    def __init__(self, policy: VLAPolicy, critic_input: CriticInput, *, seed: int, micro_batch: int) -> None:
        """`policy` with its towers frozen, if they are to be. micro_batch: steps in one forward pass."""
        super().__init__()
        self.network = copy.deepcopy(policy)
        self.network.read_values_from(critic_input, seed=seed)
        self.network.freeze_output()  # values never pass through it
        self._micro_batch = micro_batch

    def groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        head = list(self.network.value_parameters())
        return [
            CriticGroup(parameters=list(self.network.backbone_parameters()), lr=lr),
            CriticGroup(parameters=head, lr=value_lr),
        ]

    @torch.no_grad()
    def of_rollout(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        steps = Steps(batch)
        values = torch.zeros_like(batch.values).flatten()
        for micro in micro_batches(steps.valid, self._micro_batch):
            values[micro] = self.of_steps(steps, micro).to(values.device)
        final_values = torch.zeros_like(batch.final_values)
        for micro in micro_batches(batch.truncated.any(0).nonzero().squeeze(-1), self._micro_batch):
            sentences = [batch.instructions[i] for i in micro.tolist()]
            final_values[micro] = self.network.value(batch.final_images[micro], sentences).to(values.device)
        return values.view_as(batch.values), final_values

    def of_steps(self, steps: Steps, index: torch.Tensor) -> torch.Tensor:
        return self.network.value(steps.images(index), steps.instructions(index), steps.tokens(index))


class PrivilegedCritic(Critic):
    """State float32 [..., S] -> value float32 [...]. The state is standardised with the first rollout's moments."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, state_dim: int, *, seed: int, hidden: int = 128) -> None:
        super().__init__()
        if state_dim < 1:
            raise RlvlaError("critic `privileged` needs a world with a privileged state: use critic `shared`")
        self.layers = nn.Sequential(
            nn.Linear(state_dim, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)
        )
        self.register_buffer("mean", torch.zeros(state_dim))
        self.register_buffer("std", torch.zeros(state_dim))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in self.layers:
                if isinstance(layer, nn.Linear):
                    gain = 0.1 if layer.out_features == 1 else 1.0
                    bound = gain / layer.in_features**0.5
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    layer.bias.zero_()

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return self.layers((state - self.mean) / self.std).squeeze(-1)

    def groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        return [CriticGroup(parameters=list(self.parameters()), lr=value_lr)]

    @torch.no_grad()
    def of_rollout(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        assert batch.states is not None and batch.final_states is not None
        if not self.is_standardised:
            # Every rank must see the same scale, or the replicas of the critic would differ.
            self.standardise(ranks.sum(state_moments(batch.states[batch.valid])))
        return self(batch.states), self(batch.final_states)

    def of_steps(self, steps: Steps, index: torch.Tensor) -> torch.Tensor:
        return self(steps.states(index))

    @property
    def is_standardised(self) -> bool:
        """Whether `standardise` has been called."""
        return bool((self.std > 0).all())

    def standardise(self, moments: torch.Tensor) -> None:
        """Set the input scale from float64 [3, S]: count, sum and sum of squares of each coordinate on all ranks."""
        count, total, squares = moments
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0.0)
        self.mean.copy_(mean)
        self.std.copy_(variance.sqrt().clamp_min(1e-4))


def state_moments(states: torch.Tensor) -> torch.Tensor:
    """float64 [3, S] of states [M, S]: add them over the ranks, then `standardise`."""
    wide = states.double()
    count = torch.full_like(wide[0], float(len(wide)))
    return torch.stack([count, wide.sum(0), wide.square().sum(0)])
