"""The exact state of an optimiser as tensors and JSON, for checkpoints. (Random numbers need none: see `seeds`.)"""

from collections.abc import Mapping
from typing import Any

import torch

from rlvla_core.errors import RlvlaError

Tensors = dict[str, torch.Tensor]
State = dict[str, Any]


def optimizer_to_tensors(optimizer: torch.optim.Optimizer, prefix: str = "optimizer") -> tuple[Tensors, State]:
    """The optimiser's state as tensors, named `<prefix>.<parameter index>.<name>`, and a JSON state.

    Parameters keep the order of the optimiser's groups; tuples (Adam's betas) are marked, since JSON has only lists.
    """
    full = optimizer.state_dict()
    tensors: Tensors = {}
    scalars: State = {}
    for index, entries in full["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{prefix}.{index}.{name}"] = value.detach().clone()
            else:
                scalars.setdefault(str(index), {})[name] = value
    groups = []
    for position, group in enumerate(full["param_groups"]):
        plain: State = {}
        for name, value in group.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{prefix}.group.{position}.{name}"] = value.detach().clone()
            else:
                plain[name] = {"tuple": list(value)} if isinstance(value, tuple) else value
        groups.append(plain)
    shapes = [[list(parameter.shape) for parameter in group["params"]] for group in optimizer.param_groups]
    return tensors, {"kind": type(optimizer).__name__, "groups": groups, "scalars": scalars, "shapes": shapes}


def optimizer_from_tensors(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any], prefix="optimizer"
) -> None:
    """Give an optimiser the state that `optimizer_to_tensors` returned; tensors under other prefixes are ignored.

    Raises RlvlaError when the optimiser is of another kind or its parameters have other shapes.
    """
    if state["kind"] != type(optimizer).__name__:
        raise RlvlaError(f"the checkpoint holds the state of {state['kind']}, this run uses {type(optimizer).__name__}")
    shapes = [[list(parameter.shape) for parameter in group["params"]] for group in optimizer.param_groups]
    if shapes != state["shapes"]:
        raise RlvlaError(
            f"the checkpoint's optimiser has {_count(state['shapes'])}, this run's {_count(shapes)} or other shapes: "
            "resume with the same model and the same trainable parameters"
        )
    entries: dict[int, State] = {int(index): dict(values) for index, values in state["scalars"].items()}
    groups: list[State] = [
        {name: tuple(value["tuple"]) if isinstance(value, dict) else value for name, value in group.items()}
        for group in state["groups"]
    ]
    for full_name, tensor in tensors.items():
        if not full_name.startswith(f"{prefix}."):
            continue
        index, name = full_name[len(prefix) + 1 :].split(".", 1)
        if index == "group":
            position, name = name.split(".", 1)
            groups[int(position)][name] = tensor.clone()
        else:
            entries.setdefault(int(index), {})[name] = tensor.clone()
    optimizer.load_state_dict({"state": entries, "param_groups": groups})


def _count(shapes: list[list[list[int]]]) -> str:
    return f"{sum(map(len, shapes))} parameters in {len(shapes)} groups"
