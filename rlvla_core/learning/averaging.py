"""The mean of a policy's weights over the last part of its training: steps to and fro cancel, progress remains."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from rlvla_core.errors import RlvlaError

_PREFIX = "average."


class WeightAverage:
    """Polynomial-decay averaging (Shamir and Zhang 2013, section 4), which needs to know no run's length.

    The mean moves by min(1, 1 / (share · t)) of the way to the weights of iteration t, so that those of iteration s
    count about in proportion to s^(1 / share - 1): with share 0.25 it follows the last quarter, however long the run
    gets. The weights that learn are never touched, and rollouts are theirs.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], share: float) -> None:
        """Starts at the values that `parameters` have now; float32 copies, whatever their type."""
        self.parameters, self.share = list(parameters), share
        self.iterations = 0
        self.means = [parameter.detach().float().clone() for parameter in self.parameters]

    @torch.no_grad()
    def add(self) -> None:
        """Count in the weights as they are after one more iteration."""
        self.iterations += 1
        weight = min(1.0, 1.0 / (self.share * self.iterations))
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            mean.lerp_(parameter.float(), weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the parameters hold the mean."""
        learned = [parameter.detach().clone() for parameter in self.parameters]
        self._put(self.means)
        try:
            yield
        finally:
            self._put(learned)

    @torch.no_grad()
    def _put(self, values: Iterable[torch.Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds of it; `iterations` is the checkpoint's step."""
        return {f"{_PREFIX}{index}": mean for index, mean in enumerate(self.means)}

    def restore(self, tensors: Mapping[str, torch.Tensor], iterations: int) -> None:
        """Go on from a checkpoint. Raises RlvlaError for one that holds no mean, or that of another model."""
        for index, mean in enumerate(self.means):
            saved = tensors.get(f"{_PREFIX}{index}")
            if saved is None or saved.shape != mean.shape:
                found = "nothing" if saved is None else list(saved.shape)
                raise RlvlaError(
                    f"the checkpoint holds {found} for the mean of parameter {index}, this run needs "
                    f"{list(mean.shape)}: resume with the policy and the average_share that the run was started with"
                )
            mean.copy_(saved)
        self.iterations = iterations
