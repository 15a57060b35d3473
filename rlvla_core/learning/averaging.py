"""The mean of a policy's weights over the last part of its training: steps to and fro cancel, progress remains."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rlvla_core.learning.algorithms.reference import exchanged


class WeightAverage(nn.Module):
    """Polynomial-decay averaging (Shamir and Zhang 2013, section 4), which needs to know no run's length.

    The mean moves by min(1, 1 / (share · t)) of the way to the weights of iteration t, so that those of iteration s
    count about in proportion to s^(1 / share - 1): with share 0.25 it follows the last quarter, however long the run
    gets. The weights that learn are never touched, and rollouts are theirs. The means are buffers, so a checkpoint
    holds them as it holds any module; `iterations` is the checkpoint's number.
    """

    def __init__(self, weights: Iterable[nn.Parameter], share: float) -> None:
        """Starts at the values that `weights` have now; float32 copies, whatever their type."""
        super().__init__()
        self.weights, self.share = list(weights), share
        self.iterations = 0
        for index, weight in enumerate(self.weights):
            self.register_buffer(str(index), weight.detach().float().clone())

    @torch.no_grad()
    def add(self) -> None:
        """Count in the weights as they are after one more iteration."""
        self.iterations += 1
        step = min(1.0, 1.0 / (self.share * self.iterations))
        for mean, weight in zip(self.buffers(), self.weights, strict=True):
            mean.lerp_(weight.float(), step)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the weights are the mean, in their own type."""
        means = [mean.to(weight.dtype) for mean, weight in zip(self.buffers(), self.weights, strict=True)]
        with exchanged(self.weights, means):
            yield
