"""Everything that a resumed run must have again: trainable weights and optimiser, as plain tensors and JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.runs.optimizer_state import optimizer_from_tensors, optimizer_to_tensors


def take(
    modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors `<module>.<name>` of every weight that is not frozen, those of the optimiser, and its JSON state."""
    tensors = {
        f"{prefix}.{name}": tensor.detach()
        for prefix, module in modules.items()
        for name, tensor in _changing(module).items()
    }
    moments, state = optimizer_to_tensors(optimizer)
    return tensors | moments, {"optimizer": state}


def restore(
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, torch.Tensor],
    state: Mapping[str, Any],
) -> None:
    """Put back what `take` took out, in place. Raises RlvlaError where the checkpoint is of another model."""
    for prefix, module in modules.items():
        for name, tensor in _changing(module).items():
            saved = tensors.get(f"{prefix}.{name}")
            if saved is None or saved.shape != tensor.shape:
                found = "nothing" if saved is None else list(saved.shape)
                raise RlvlaError(
                    f"the checkpoint holds {found} for {prefix}.{name}, this run needs {list(tensor.shape)}: "
                    "resume with the policy that the run was started with"
                )
            with torch.no_grad():
                tensor.copy_(saved)
    optimizer_from_tensors(optimizer, tensors, state["optimizer"])


def _changing(module: nn.Module) -> dict[str, torch.Tensor]:
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict(keep_vars=True).items() if name not in frozen}


def reduce_and_clip(parameters: Iterable[nn.Parameter], ranks: Ranks, max_norm: float) -> float:
    """Sum gradients over the ranks, scale them down to `max_norm`, and return the norm that they had.

    The norm is the same number on every rank; where it is not finite, nothing has been changed by it yet.
    """
    own = list(parameters)
    ranks.sum_gradients(own)
    return float(torch.nn.utils.clip_grad_norm_(own, max_norm))
