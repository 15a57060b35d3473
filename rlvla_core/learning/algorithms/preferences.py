"""Which episode is better than which, and what a preference loss asks of each: sparse outcomes, one start, no ties.

Letters: N episodes in groups of K neighbours that share a start, G = N / K starts, P pairs.
"""

import torch

from rlvla_core.learning import losses


class Preferences:
    """All pairs (success, failure) of each start. A start whose episodes all end alike has none."""

    def __init__(self, success: torch.Tensor, group: int) -> None:
        """success: bool [N]; group: K."""
        self.success = success
        groups = success.unflatten(0, (-1, group))
        start, winner, loser = (groups.unsqueeze(2) & ~groups.unsqueeze(1)).nonzero().unbind(1)
        self.starts = start
        """int64 [P]: from which start a pair comes."""
        self.pairs = torch.stack([winner, loser], dim=1) + group * start.unsqueeze(1)
        """int64 [P, 2]: the episode that succeeded and the one that failed, 0 .. N - 1."""
        counts = torch.bincount(start, minlength=len(groups))
        self.has_pairs = counts > 0
        """bool [G]."""
        self.shares = 1.0 / counts[start].float()
        """float32 [P]: of a pair in its start; every start weighs the same, however its episodes ended."""

    def weigh(
        self, ratios: torch.Tensor, starts: torch.Tensor, *, beta: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """What the sum over `starts` int64 [s] of their mean pair losses asks of each episode.

        ratios: float32 [N], log π(ζ) - log π_ref(ζ). Returns float32 [N], the derivative by each log π(ζ), 0 for
        episodes of other starts; and for each of `starts` [s] the loss, the share of its pairs that the policy ranks
        rightly more than the reference does (a tie counts half), and the mean margin β (w - l).
        """
        chosen = torch.isin(self.starts, starts)
        pairs, shares, start = self.pairs[chosen], self.shares[chosen], self.starts[chosen]
        winner, loser = ratios[pairs[:, 0]], ratios[pairs[:, 1]]
        slopes = shares * losses.dpo_slope(winner, loser, beta=beta)
        weights = torch.zeros_like(ratios).index_add(0, pairs[:, 0], slopes).index_add(0, pairs[:, 1], -slopes)

        def per_start(of_pairs: torch.Tensor) -> torch.Tensor:
            return ratios.new_zeros(len(self.has_pairs)).index_add(0, start, shares * of_pairs)[starts]

        margin = beta * (winner - loser)
        return weights, {
            "policy_loss": per_start(losses.dpo_loss(winner, loser, beta=beta)),
            "preference_accuracy": per_start((margin.sign() + 1.0) / 2.0),
            "margin": per_start(margin),
        }
