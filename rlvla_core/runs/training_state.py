"""Optimisers and random generators as plain tensors and JSON, exactly: what a resumed run needs to be the same run."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rlvla_core.errors import RlvlaError

Tensors = dict[str, torch.Tensor]
State = dict[str, Any]


def optimizer_to_tensors(optimizer: torch.optim.Optimizer, prefix: str = "optimizer") -> tuple[Tensors, State]:
    """Split `optimizer.state_dict()` into tensors named `<prefix>.<parameter index>.<name>` and a JSON state.

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
    """Put back what `optimizer_to_tensors` took out. Raises RlvlaError when the optimiser is of another kind or its
    parameters have other shapes. Tensors under other prefixes are ignored."""
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


def random_to_tensors(
    generators: Mapping[str, torch.Generator] | None = None,
    numpy_generators: Mapping[str, np.random.Generator] | None = None,
    prefix: str = "random",
) -> tuple[Tensors, State]:
    """The state of the process-wide generators (torch CPU and CUDA, Python, numpy) and of the given named ones."""
    tensors: Tensors = {f"{prefix}.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        for index, cuda_state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"{prefix}.cuda.{index}"] = cuda_state
    for name, generator in (generators or {}).items():
        tensors[f"{prefix}.generator.{name}"] = generator.get_state()
    # The simulator draws from numpy's process-wide generator, so it belongs to the state of a run.
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    tensors[f"{prefix}.numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    version, words, gauss_next = random.getstate()
    state: State = {
        "numpy": [str(kind), int(position), int(has_gauss), float(gauss)],
        "python": [version, list(words), gauss_next],
        "numpy_generators": {
            name: _plain(generator.bit_generator.state) for name, generator in (numpy_generators or {}).items()
        },
    }
    return tensors, state


def random_from_tensors(
    tensors: Mapping[str, torch.Tensor],
    state: Mapping[str, Any],
    generators: Mapping[str, torch.Generator] | None = None,
    numpy_generators: Mapping[str, np.random.Generator] | None = None,
    prefix: str = "random",
) -> None:
    """Put back what `random_to_tensors` took out, into the process and into the given generators, in place."""
    torch.set_rng_state(tensors[f"{prefix}.torch"].cpu())
    if torch.cuda.is_available():
        saved = [name for name in tensors if name.startswith(f"{prefix}.cuda.")]
        for index in range(min(len(saved), torch.cuda.device_count())):
            torch.cuda.set_rng_state(tensors[f"{prefix}.cuda.{index}"].cpu(), index)
    for name, generator in (generators or {}).items():
        generator.set_state(tensors[f"{prefix}.generator.{name}"].cpu())
    kind, position, has_gauss, gauss = state["numpy"]
    keys = tensors[f"{prefix}.numpy"].cpu().numpy().astype(np.uint32)
    np.random.set_state((kind, keys, position, has_gauss, gauss))  # noqa: NPY002
    version, words, gauss_next = state["python"]
    random.setstate((version, tuple(words), gauss_next))
    for name, numpy_generator in (numpy_generators or {}).items():
        numpy_generator.bit_generator.state = _from_plain(state["numpy_generators"][name])


def _plain(value: Any) -> Any:
    """A bit generator's state as JSON: arrays become marked lists."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    return value.item() if isinstance(value, np.generic) else value


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"array", "dtype"}:
            return np.asarray(value["array"], dtype=value["dtype"])
        return {name: _from_plain(entry) for name, entry in value.items()}
    return value


def _count(shapes: list[list[list[int]]]) -> str:
    return f"{sum(map(len, shapes))} parameters in {len(shapes)} groups"
