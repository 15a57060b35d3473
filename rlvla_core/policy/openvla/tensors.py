"""Names and shapes of all tensors that a checkpoint of a given configuration holds."""

from dataclasses import dataclass

import torch

from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.model import OpenVLA


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedTensors:
    """What the forward pass uses, and what a checkpoint holds beside it."""

    live: dict[str, tuple[int, ...]]
    """Name -> shape of the tensors that the graph needs."""
    dead: dict[str, tuple[int, ...]]
    """Each tower's last block, final norm and pooling head: stored by OpenVLA, never used."""

    @property
    def all(self) -> dict[str, tuple[int, ...]]:
        return {**self.live, **self.dead}


def meta_model(config: OpenVLAConfig, *, with_dead_modules: bool = False) -> OpenVLA:
    """The graph without storage: shapes and names only, however large."""
    with torch.device("meta"):
        return OpenVLA(config, with_dead_modules=with_dead_modules)


def expected_tensors(config: OpenVLAConfig) -> ExpectedTensors:
    """All tensors of an OpenVLA checkpoint with this configuration."""
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in meta_model(config, with_dead_modules=dead).state_dict().items()}
        for dead in (False, True)
    ]
    live, every = shapes
    return ExpectedTensors(live=live, dead={name: shape for name, shape in every.items() if name not in live})
