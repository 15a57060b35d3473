"""Advantages: generalised advantage estimation from rewards and a critic (PPO), or from outcomes alone (GRPO).

A time limit is not a fact of the task: the episode is cut, the scene would go on. So the last step of a truncated
episode bootstraps from the value of the observation after it (Pardo et al. 2018), and only a true termination has no
future. The paper that this project follows treats its time limit as a terminal; `time_limit_as_terminal` does the same.
"""

import torch

from rlvla_core.learning.losses import check_equal_float32


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    next_values: torch.Tensor,
    *,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    valid: torch.Tensor,
    gamma: float,
    lam: float,
    time_limit_as_terminal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16).

    Returns advantages and returns, both float32 [T, N] and 0 where `valid` is False.

    rewards, values, next_values: float32 [T, N]; `next_values[t]` is the value of the observation *after* step t and
    is not read where that step terminated. terminated, truncated, valid: bool [T, N]; an episode is valid from its
    first step up to and including the one that ends it.

    δ_t = r_t + γ (1 - terminated_t) V(o_{t+1}) - V(o_t);  Â_t = δ_t + γλ (1 - end_t) Â_{t+1};  R_t = Â_t + V(o_t),
    where end_t = terminated_t or truncated_t.
    """
    check_equal_float32(rewards=rewards, values=values, next_values=next_values)
    no_future = terminated | truncated if time_limit_as_terminal else terminated
    bootstrap = torch.where(no_future, torch.zeros_like(next_values), next_values)
    deltas = rewards + gamma * bootstrap - values
    continues = ~(terminated | truncated)
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[0])
    for t in reversed(range(rewards.shape[0])):
        advantage = deltas[t] + gamma * lam * torch.where(continues[t], following, torch.zeros_like(following))
        following = torch.where(valid[t], advantage, torch.zeros_like(advantage))
        advantages[t] = following
    returns = torch.where(valid, advantages + values, torch.zeros_like(values))
    return advantages, returns


def normalise(advantages: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """Standardise `advantages` of any shape: (Â - mean) / (std + 1e-5).

    moments: float64 [3], count, sum and sum of squares over the valid steps of all ranks (see `moments_of`).
    """
    count, total, squares = moments.tolist()
    mean = total / count
    variance = max(squares / count - mean * mean, 0.0)
    return (advantages - mean) / (variance**0.5 + 1e-5)


def moments_of(samples: torch.Tensor) -> torch.Tensor:
    """Count, sum and sum of squares of `samples`, float64 [3]; add them over the ranks for `normalise`."""
    wide = samples.double()
    count = torch.tensor(float(wide.numel()), dtype=torch.float64, device=wide.device)
    return torch.stack([count, wide.sum(), wide.square().sum()])


def group_advantages(outcomes: torch.Tensor, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages float32 [N] of N episodes within their groups, and bool [N] whether the episode's group has a spread.

    Â = (outcome - mean of the group) / (std of the group + 1e-5), as in GRPO (Shao et al. 2024, section 4.1.2; outcome
    supervision); each `group` neighbours of `outcomes` float32 [N] are a group, and its std is the population's. Where
    all outcomes of a group are equal but for rounding (1e-6), the advantages are exactly 0: the group does not tell
    which actions were good.
    """
    groups = outcomes.double().unflatten(0, (-1, group))
    spread = groups.amax(1, keepdim=True) - groups.amin(1, keepdim=True) > 1e-6
    normal = (groups - groups.mean(1, keepdim=True)) / (groups.std(1, correction=0, keepdim=True) + 1e-5)
    advantages = torch.where(spread, normal, torch.zeros_like(normal))
    return advantages.flatten().float(), spread.expand_as(groups).flatten()


def flat_advantages(rewards: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """Advantages float32 [T, N] as the paper's released GRPO code computes them, without groups.

    The non-zero step rewards of the whole rollout are standardised with `moments` (see `moments_of`, over all ranks),
    zeros stay zero, and a step's advantage is the undiscounted sum of what follows, its own included. `rewards`
    float32 [T, N] are 0 where no step was taken; mask the result there. (The released code divides by the sample's
    deviation, this by the population's, which also exists for a single reward: it then gives 0.)
    """
    standardised = torch.where(rewards != 0, normalise(rewards, moments), torch.zeros_like(rewards))
    return standardised.flip(0).cumsum(0).flip(0)
