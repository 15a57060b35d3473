"""Critics of PPO: the policy's own value head (the paper's choice), a second backbone, or a network on simulator state.

PPO asks all three the same two questions: the values of a whole rollout (for the advantages), and the values of a
micro-batch with gradients (for the value loss). Only the shared critic is part of the policy and of its bundle; the
other two exist in training and in checkpoints alone, because the deployed graph reads images and words only.
"""

import abc
import copy

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import CriticGroup
from rlvla_core.learning.rollout import RolloutBatch, Steps, micro_batches
from rlvla_core.policy.policy import TokenScore, VLAPolicy
from rlvla_core.policy.value_head import CriticInput


class Critic(abc.ABC):
    """Estimates state values for PPO, and says which parameters that takes."""

    @abc.abstractmethod
    def parameter_groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        """The parameters to train: a backbone at the policy's learning rate `lr`, heads and small networks at
        `value_lr`."""

    @abc.abstractmethod
    def checkpoint_modules(self) -> dict[str, nn.Module]:
        """What a checkpoint must hold beside the policy, by the prefix of its tensor names."""

    @abc.abstractmethod
    def rollout_values(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        """Values float32 [T, N] before each step and [N] after the last one, without gradients."""

    @abc.abstractmethod
    def values(self, steps: Steps, index: torch.Tensor, score: TokenScore | None = None) -> torch.Tensor:
        """Values float32 [b] of the steps `index` int64 [b], with gradients.

        score: the policy's forward pass over the same steps, or None in iterations in which only the critic learns.
        """


class SharedCritic(Critic):
    """The paper's choice: the policy's own value head on the shared backbone, which costs no second forward pass.

    While the policy learns, the value loss also trains the backbone; in value warm-up it trains the head alone.
    """

    def __init__(self, policy: VLAPolicy, critic_input: CriticInput, *, seed: int) -> None:
        """A head that reads something else than `critic_input` is replaced by a fresh one, drawn with `seed`."""
        policy.read_values_from(critic_input, seed=seed)
        self._policy = policy

    def parameter_groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        return [CriticGroup(parameters=list(self._policy.value_parameters()), lr=value_lr)]

    def checkpoint_modules(self) -> dict[str, nn.Module]:
        return {}  # the value head is saved with the policy

    def rollout_values(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        return batch.values, batch.final_values

    def values(self, steps: Steps, index: torch.Tensor, score: TokenScore | None = None) -> torch.Tensor:
        if score is not None:
            return score.values
        with torch.no_grad():
            state = steps.score(self._policy, index).state
        return self._policy.value_head(state)


class SeparateCritic(nn.Module, Critic):
    """The paper's separate critic (figure 4): a copy of the whole backbone with a value head of its own.

    It starts as a copy of the policy and then shares nothing with it. It costs the memory of a second model and a
    second forward and backward pass; the paper found no gain over the shared critic.
    """

    def __init__(self, policy: VLAPolicy, critic_input: CriticInput, *, seed: int, micro_batch: int) -> None:
        """Copies `policy`, frozen parameters included: freeze the vision towers before.

        micro_batch: steps in one forward pass over a rollout.
        """
        super().__init__()
        self.network = copy.deepcopy(policy)
        self.network.read_values_from(critic_input, seed=seed)
        self.network.freeze_output()  # values never pass through it
        self._micro_batch = micro_batch

    def parameter_groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        head = list(self.network.value_parameters())
        return [
            CriticGroup(parameters=list(self.network.backbone_parameters()), lr=lr),
            CriticGroup(parameters=head, lr=value_lr),
        ]

    def checkpoint_modules(self) -> dict[str, nn.Module]:
        return {"critic": self}

    @torch.no_grad()
    def rollout_values(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        steps = Steps(batch)
        values = torch.zeros_like(batch.values).flatten()
        for micro in micro_batches(steps.valid, self._micro_batch):
            values[micro] = self.values(steps, micro).to(values.device)
        final_values = torch.zeros_like(batch.final_values)
        for micro in micro_batches(batch.truncated.any(0).nonzero().squeeze(-1), self._micro_batch):
            sentences = [batch.instructions[i] for i in micro.tolist()]
            final_values[micro] = self.network.value(batch.final_images[micro], sentences).to(values.device)
        return values.view_as(batch.values), final_values

    def values(self, steps: Steps, index: torch.Tensor, score: TokenScore | None = None) -> torch.Tensor:
        return self.network.value(steps.images(index), steps.instructions(index), steps.tokens(index))


class PrivilegedCritic(nn.Module, Critic):
    """A small network on privileged simulator state: float32 [..., S] -> value float32 [...].

    The state is standardised with the mean and deviation of the first rollout, which then stay as they are.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, state_dim: int, *, seed: int, hidden: int = 128) -> None:
        """Two hidden layers of `hidden` units, drawn with `seed`. Raises RlvlaError where `state_dim` is 0."""
        super().__init__()
        if state_dim < 1:
            raise RlvlaError("critic `privileged` needs an environment with a privileged state: use critic `shared`")
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

    def parameter_groups(self, lr: float, value_lr: float) -> list[CriticGroup]:
        return [CriticGroup(parameters=list(self.parameters()), lr=value_lr)]

    def checkpoint_modules(self) -> dict[str, nn.Module]:
        return {"critic": self}

    @torch.no_grad()
    def rollout_values(self, batch: RolloutBatch, ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        assert batch.states is not None and batch.final_states is not None
        if not self.is_standardised:
            # Every rank must see the same scale, or the replicas of the critic would differ.
            self.standardise(ranks.sum(state_moments(batch.states[batch.valid])))
        return self(batch.states), self(batch.final_states)

    def values(self, steps: Steps, index: torch.Tensor, score: TokenScore | None = None) -> torch.Tensor:
        return self(steps.states(index))

    @property
    def is_standardised(self) -> bool:
        """Whether the input scale has been set by `standardise`."""
        return bool((self.std > 0).all())

    def standardise(self, moments: torch.Tensor) -> None:
        """Set the input scale from float64 [3, S]: count, sum and sum of squares of each coordinate on all ranks."""
        count, total, squares = moments
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0.0)
        self.mean.copy_(mean)
        self.std.copy_(variance.sqrt().clamp_min(1e-4))


def state_moments(states: torch.Tensor) -> torch.Tensor:
    """Count, sum and sum of squares, float64 [3, S], of states [M, S]; add them over the ranks, then `standardise`."""
    wide = states.double()
    count = torch.full_like(wide[0], float(len(wide)))
    return torch.stack([count, wide.sum(0), wide.square().sum(0)])
