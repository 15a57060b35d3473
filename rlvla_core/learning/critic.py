"""Who estimates the value: the policy's own head (the paper), or a small network on simulator state (training only)."""

import torch
from torch import nn

from rlvla_core.errors import RlvlaError


class PrivilegedCritic(nn.Module):
    """State float32 [..., S] -> value float32 [...]. The state is standardised with the first rollout's moments.

    Never part of the bundle: the deployed graph reads pictures and words only.
    """

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
