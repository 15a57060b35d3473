"""The distribution over the action bins that a row of logits stands for: log-probability, entropy and draws.

Shapes: "bins" is the number of action tokens to choose from (256); leading dimensions [...] are free.
"""

import torch


def token_logprobs(logits: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Log-probabilities float32 [...] of `bins` int64 [...] under float32 `logits` [..., bins]."""
    return logits.log_softmax(dim=-1).gather(-1, bins.unsqueeze(-1)).squeeze(-1)


def token_entropies(logits: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of each distribution: float32 [..., bins] -> [...]."""
    logp = logits.log_softmax(dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)


def draw_bins(logits: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    """Sample one bin of each row: float32 [..., bins] -> int64 [...]; temperature 0 = greedy."""
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    probabilities = (logits / temperature).softmax(dim=-1).flatten(0, -2)
    return torch.multinomial(probabilities, 1, generator=generator).view(logits.shape[:-1])
