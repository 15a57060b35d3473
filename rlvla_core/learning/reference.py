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
        """Within this, the policy is the reference: the data are exchanged, not copied. No graph may be alive."""
        self._exchange()
        try:
            with torch.no_grad():
                yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for index, parameter in enumerate(self._parameters):
            parameter.data, self._others[index] = self._others[index], parameter.data
