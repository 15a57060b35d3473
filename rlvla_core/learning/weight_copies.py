"""Copies of a policy's trained weights that take their place for a while: the mean over a run, and DPO's reference.

Only parameters that training changes are copied. What is frozen is shared with the policy: of a 7B model with LoRA a
copy is a second adapter, not a second model.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage(nn.Module):
    """The mean of a policy's weights over the last part of its training: steps to and fro cancel, progress remains.

    Polynomial-decay averaging (Shamir and Zhang 2013, section 4), which need not know the length of the run: the mean
    moves by min(1, 1 / (fraction · t)) of the way to the weights of iteration t, so that those of iteration s count
    about in proportion to s^(1 / fraction - 1). With fraction 0.25 it follows the last quarter, however long the run
    gets. The weights that learn are never touched, and rollouts use them. The means are buffers, so a checkpoint holds
    them as it holds any module; `iterations` is the checkpoint's number.
    """

    def __init__(self, weights: Iterable[nn.Parameter], fraction: float) -> None:
        """Start at the present values of `weights`, as float32 copies whatever their type. fraction: 0 to 1."""
        super().__init__()
        self.weights, self.fraction = list(weights), fraction
        self.iterations = 0
        for index, weight in enumerate(self.weights):
            self.register_buffer(str(index), weight.detach().float().clone())

    @torch.no_grad()
    def add(self) -> None:
        """Count in the weights as they are after one more iteration."""
        self.iterations += 1
        step = min(1.0, 1.0 / (self.fraction * self.iterations))
        for mean, weight in zip(self.buffers(), self.weights, strict=True):
            mean.lerp_(weight.float(), step)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context the weights are the mean, in their own type."""
        means = [mean.to(weight.dtype) for mean, weight in zip(self.buffers(), self.weights, strict=True)]
        with _exchanged(self.weights, means):
            yield


class ReferenceWeights:
    """The weights that training started from, to compare the policy with. An adapter that the policy came with belongs
    to them."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        """Copy `parameters` as they are now."""
        self._parameters = list(parameters)
        self._copies = [parameter.detach().clone() for parameter in parameters]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this context, without gradients, the policy has the reference weights. No graph may be alive."""
        with torch.no_grad(), _exchanged(self._parameters, self._copies):
            yield


@contextmanager
def _exchanged(parameters: Sequence[nn.Parameter], others: list[torch.Tensor]) -> Iterator[None]:
    """Within this context `parameters` have the data of `others`, and `others` theirs: nothing is copied."""

    def exchange() -> None:
        for index, parameter in enumerate(parameters):
            parameter.data, others[index] = others[index], parameter.data

    exchange()
    try:
        yield
    finally:
        exchange()
