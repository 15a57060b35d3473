"""The state of a training run for its checkpoints: trainable weights and optimiser, as plain tensors and JSON."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.optimizer_state import optimizer_from_tensors, optimizer_to_tensors


def take(
    modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(tensors, JSON state) of a run: every weight that is not frozen, named `<module>.<name>`, and the optimiser."""
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
    """Put `tensors` and `state`, as `take` returned them, back in place. Raises RlvlaError for another model's."""
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
    """Buffers and trainable parameters by name."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict(keep_vars=True).items() if name not in frozen}
