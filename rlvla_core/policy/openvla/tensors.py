"""Names and shapes of all tensors that a checkpoint of a given configuration holds."""

from dataclasses import dataclass

import torch

from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.model import OpenVLA


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedTensors:
    """Names and shapes of a checkpoint's tensors: those that the forward pass uses, and the others."""

    live: dict[str, tuple[int, ...]]
    """Name -> shape of the tensors that the graph needs."""
    dead: dict[str, tuple[int, ...]]
    """Name -> shape of each tower's last block, final norm and pooling head: stored by OpenVLA, never used."""

    @property
    def all(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor that a checkpoint holds."""
        return {**self.live, **self.dead}


def meta_model(config: OpenVLAConfig, *, with_dead_modules: bool = False) -> OpenVLA:
    """The model on the meta device: names and shapes without storage, however large it is."""
    with torch.device("meta"):
        return OpenVLA(config, with_dead_modules=with_dead_modules)


def expected_tensors(config: OpenVLAConfig) -> ExpectedTensors:
    """Names and shapes of all tensors of an OpenVLA checkpoint with this configuration."""
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in meta_model(config, with_dead_modules=dead).state_dict().items()}
        for dead in (False, True)
    ]
    live, every = shapes
    return ExpectedTensors(live=live, dead={name: shape for name, shape in every.items() if name not in live})
