"""The policy that training started from, kept as copies of just the parameters that training changes."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn


class Reference:
    """Copies of `parameters`, made now. What is frozen is shared with the policy: of a 7B with LoRA this keeps a second
    adapter, not a second model, and an adapter that the policy came with belongs to the reference."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._others = [parameter.detach().clone() for parameter in parameters]

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this, the policy is the reference. No graph may be alive."""
        with torch.no_grad(), exchanged(self._parameters, self._others):
            yield


@contextlib.contextmanager
def exchanged(parameters: Sequence[nn.Parameter], others: list[torch.Tensor]) -> Iterator[None]:
    """Within this, `parameters` have the data of `others`, and these theirs: nothing is copied."""

    def exchange() -> None:
        for index, parameter in enumerate(parameters):
            parameter.data, others[index] = others[index], parameter.data

    exchange()
    try:
        yield
    finally:
        exchange()
