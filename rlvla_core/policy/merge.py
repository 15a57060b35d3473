"""Merge several policies into one: the mean of their weights.

Policies that were trained from one start by noisy updates share what the updates learned, and each has noise of its
own. The mean keeps the shared part and divides the variance of the noise by the number of policies (model soups,
Wortsman et al. 2022, arXiv 2203.05482; local SGD, Stich 2018, arXiv 1805.09767).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rlvla_core.policy.policy import VLAPolicy


def mean_of(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of each tensor over `states`, taken in float32 and returned in the first state's type.

    Integer tensors are not averaged: the first state's are kept. All states have the same names and shapes.
    """
    found = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            found[name] = torch.stack([state[name].float() for state in states]).mean(0).to(first.dtype)
        else:
            found[name] = first.clone()
    return found


def own_tensors(policy: VLAPolicy) -> dict[str, torch.Tensor]:
    """Copies of the tensors that the policy's bundle holds itself.

    All weights, or the adapter and value head alone where the bundle refers to a base checkpoint.
    """
    shared = {f"model.{name}" for name in policy.model.state_dict() if ".lora_" not in name}
    kept = set() if policy.base_directory is None else shared
    return {name: tensor.clone() for name, tensor in policy.state_dict().items() if name not in kept}


def traits(policy: VLAPolicy) -> dict[str, Any]:
    """Properties that policies must share to be merged, by name: everything but the values of their weights."""
    return {
        "model": policy.config.to_json(),
        "action statistics": policy.codec.norm_stats.to_json(),
        "image transform": policy.transform.hash(),
        "base checkpoint": policy.base_directory,
        "tensors (has one an adapter?)": {name: tensor.shape for name, tensor in policy.state_dict().items()},
    }
