"""Losses and diagnostics of all algorithms, as pure functions of equal-shaped float32 tensors.

Every loss returns one number per sample, never a mean: the caller divides sums by the number of samples that the whole
minibatch holds on all ranks and micro-batches, so that the split of the work never changes the gradient.
Letters: B samples (steps, frames or pairs), A = 7 action tokens, K = 256 bins.
"""

import torch
import torch.nn.functional as F


def check_equal_float32(**tensors: torch.Tensor) -> None:
    """Raise ValueError unless all tensors are float32 and of one shape: broadcasting has hidden wrong losses before."""
    shapes = {tuple(tensor.shape) for tensor in tensors.values()}
    if len(shapes) > 1 or any(tensor.dtype != torch.float32 for tensor in tensors.values()):
        found = ", ".join(f"{name} {tensor.dtype} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"expected float32 tensors of one shape, got {found}")


def ppo_policy_loss(
    logprob: torch.Tensor, old_logprob: torch.Tensor, advantage: torch.Tensor, *, clip: float
) -> torch.Tensor:
    """PPO's clipped surrogate as a loss, -min(ρ Â, clip(ρ, 1 ± ε) Â) per sample [B] (Schulman et al. 2017, eq. 7).

    `logprob` is the log-probability of the whole action: the sum over its seven tokens, so ρ is one ratio per action.
    """
    check_equal_float32(logprob=logprob, old_logprob=old_logprob, advantage=advantage)
    ratio = torch.exp(logprob - old_logprob)
    return -torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)


def value_loss(
    value: torch.Tensor, old_value: torch.Tensor, returns: torch.Tensor, *, clip: float, delta: float = 10.0
) -> torch.Tensor:
    """PPO's clipped value loss, max(H(R - V), H(R - V_clip)) per sample [B].

    V_clip = V_old + clip(V - V_old, ± ε), and H is the Huber loss with threshold `delta`.
    """
    check_equal_float32(value=value, old_value=old_value, returns=returns)
    clipped = old_value + (value - old_value).clamp(-clip, clip)
    plain_error = F.huber_loss(value, returns, reduction="none", delta=delta)
    clipped_error = F.huber_loss(clipped, returns, reduction="none", delta=delta)
    return torch.maximum(plain_error, clipped_error)


def dpo_loss(winner: torch.Tensor, loser: torch.Tensor, *, beta: float) -> torch.Tensor:
    """DPO's loss -log σ(β (w - l)) per pair [B] (Rafailov et al. 2023, eq. 7; of whole episodes as in Liu et al. 2025).

    `winner` and `loser` are log π(ζ) - log π_ref(ζ) of the better and the worse episode, each log-probability the sum
    over the episode's steps and tokens.
    """
    check_equal_float32(winner=winner, loser=loser)
    return -F.logsigmoid(beta * (winner - loser))


def dpo_slope(winner: torch.Tensor, loser: torch.Tensor, *, beta: float) -> torch.Tensor:
    """Derivative of `dpo_loss` by the winner's log π, -β σ(-β (w - l)) per pair [B]; by the loser's, its negative."""
    check_equal_float32(winner=winner, loser=loser)
    return -beta * torch.sigmoid(-beta * (winner - loser))


def soft_labels(bins: torch.Tensor, *, sigma: float, num_bins: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Label distributions [B, A, K] for bins int64 [B, A]: a Gaussian of `sigma` bins around each label, cut at the
    ends of the range and renormalised. The last action dimension, the gripper, is never softened: it has no middle.
    `sigma` 0 gives one-hot labels."""
    hard = F.one_hot(bins, num_bins).to(dtype)
    if sigma == 0.0:
        return hard
    columns = torch.arange(num_bins, device=bins.device, dtype=dtype)
    soft = torch.softmax(-0.5 * ((columns - bins.unsqueeze(-1)) / sigma) ** 2, dim=-1)
    return torch.cat([soft[:, :-1], hard[:, -1:]], dim=1)


def sft_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of `logits` [B, A, K] under the label distributions `labels` [B, A, K]; mean over A, so [B]."""
    check_equal_float32(logits=logits, labels=labels)
    return -(labels * torch.log_softmax(logits, dim=-1)).sum(-1).mean(-1)


def approx_kl(logprob: torch.Tensor, old_logprob: torch.Tensor) -> torch.Tensor:
    """Estimator k3 = ρ - 1 - log ρ of KL(old || new) per sample [B]: unbiased under old samples, and never negative."""
    check_equal_float32(logprob=logprob, old_logprob=old_logprob)
    log_ratio = logprob - old_logprob
    return torch.expm1(log_ratio) - log_ratio


def clipped(logprob: torch.Tensor, old_logprob: torch.Tensor, *, clip: float) -> torch.Tensor:
    """Whether the ratio lies outside 1 ± ε, as 1.0 or 0.0 per sample [B]; the mean is the clip fraction."""
    check_equal_float32(logprob=logprob, old_logprob=old_logprob)
    return (torch.exp(logprob - old_logprob) - 1.0).abs().gt(clip).float()


def explained_variance(error_moments: torch.Tensor, return_moments: torch.Tensor) -> float:
    """Fraction of the returns' variance that the values explain, 1 - Var[R - V] / Var[R]; 0 where returns do not vary.

    error_moments, return_moments: of R - V and of R, float64 [3] each (see `advantages.moments_of`).
    """
    n, error_sum, error_squares = error_moments.tolist()
    _, return_sum, return_squares = return_moments.tolist()
    return_variance = return_squares / n - (return_sum / n) ** 2
    if return_variance <= 1e-12:
        return 0.0
    return 1.0 - (error_squares / n - (error_sum / n) ** 2) / return_variance
