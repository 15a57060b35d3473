"""Sums of per-sample metrics over an iteration, and their means over all ranks."""

from collections.abc import Sequence

import torch

from rlvla_core.learning.distributed import Ranks


class Tally:
    """What one iteration's updates add up: metrics by name, gradient norms, and the worst ratio."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        """names: the metrics of the journal, in its order."""
        self.names = tuple(names)
        self._sums = torch.zeros(len(self.names), 2, dtype=torch.float64, device=device)
        self._norms: list[float] = []
        self.ratio_error = 0.0
        """Largest |ρ - 1| of this rank so far."""

    def add(self, metrics: dict[str, torch.Tensor]) -> None:
        """One tensor of samples (any shape) for each name; a name may be missing."""
        for name, metric in metrics.items():
            wide = metric.detach().double()
            self._sums[self.names.index(name)] += torch.stack([wide.sum(), wide.new_tensor(float(wide.numel()))])

    def add_norm(self, norm: float) -> None:
        """The gradient norm of one optimiser step, the same number on every rank."""
        self._norms.append(norm)

    def means(self, ranks: Ranks) -> dict[str, float]:
        """Means over the samples of all ranks, 0 where there were none; `gradient_norm` over the optimiser steps."""
        sums = ranks.sum(self._sums).tolist()
        metrics = {name: total / count if count else 0.0 for name, (total, count) in zip(self.names, sums, strict=True)}
        metrics["gradient_norm"] = sum(self._norms) / len(self._norms) if self._norms else 0.0
        return metrics
