"""Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685) by peft, in peft's own file format.

The adapted modules are an explicit list of the model (`lora_targets`, for OpenVLA the paper's): peft's `all-linear`
changed its meaning between versions (it now skips the patch embeddings and the output layer, or takes the value head
in). On the 7B the list matches 439 modules, the dead last blocks of the towers included; a policy that runs does not
build those, so it adapts fewer and computes the same.

peft takes seconds to import, so it is imported only when an adapter is added.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.model import VLAModel
from rlvla_core.storage.json_files import read_json, write_json
from rlvla_core.storage.tensor_files import read_tensors

if TYPE_CHECKING:
    from rlvla_core.policy.policy import VLAPolicy

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_NAME = "default"
_PREFIX = "base_model.model."


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraConfig:
    """Size of the LoRA adapters; defaults are the paper's."""

    rank: int = 32
    """Rank of each adapter: its matrices are A [rank, in] and B [out, rank]."""
    alpha: float = 16
    """Scale of the adapters: their outputs B A x are multiplied by alpha / rank."""


def lora_modules(model: nn.Module, targets: Collection[str]) -> list[str]:
    """Names of the modules of an unadapted graph that `targets` (last parts of names) match, in order of the graph."""
    kinds = (nn.Linear, nn.Conv2d)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, kinds) and name.rsplit(".", 1)[-1] in targets
    ]


def adapted_modules(model: nn.Module) -> list[str]:
    """Names of the modules that carry a LoRA adapter."""
    return [name for name, module in model.named_modules() if hasattr(module, "lora_A")]


def is_adapted(model: nn.Module) -> bool:
    """Whether the graph carries a LoRA adapter."""
    return bool(adapted_modules(model))


def inject_lora(model: VLAModel, config: LoraConfig, seed: int = 0) -> None:
    """Add adapters in place and freeze everything else.

    A starts Gaussian (deviation 1/rank), B at zero, so the outputs do not change; adapters are float32 whatever the
    base is. seed: of A, whatever the global random state is. Raises RlvlaError for a model that has an adapter.
    """
    if is_adapted(model):
        raise RlvlaError("this policy already has a LoRA adapter: train it on, or start from the base weights")
    import peft

    peft_config = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # peft declares int, scales by any number
        lora_dropout=0.0,
        target_modules=list(model.lora_targets),
        init_lora_weights="gaussian",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(peft_config, model, adapter_name=_NAME)
    for name, parameter in model.named_parameters():
        if f".lora_A.{_NAME}" in name or f".lora_B.{_NAME}" in name:
            parameter.data = parameter.data.float()


def apply_lora(policy: "VLAPolicy", config: LoraConfig, seed: int = 0) -> None:
    """Add LoRA adapters to the policy's graph in place and freeze its base; the value head stays trainable."""
    inject_lora(policy.model, config, seed)
    policy.value_head.requires_grad_(True)


def _adapter_tensors(model: VLAModel) -> dict[str, torch.Tensor]:
    """Parameters of the adapter under peft's file names."""
    return {
        _PREFIX + name.replace(f".{_NAME}.", "."): parameter
        for name, parameter in model.named_parameters()
        if f".lora_A.{_NAME}." in name or f".lora_B.{_NAME}." in name
    }


def adapter_size(model: VLAModel) -> LoraConfig:
    """Rank and alpha of the adapter that `model` carries."""
    layer: Any = model.get_submodule(adapted_modules(model)[0])
    return LoraConfig(rank=layer.r[_NAME], alpha=layer.lora_alpha[_NAME])


def save_adapter(model: VLAModel, directory: Path) -> None:
    """Write the model's adapter as adapter_config.json and adapter_model.safetensors, which peft can load too."""
    size = adapter_size(model)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in _adapter_tensors(model).items()}
    save_file(tensors, str(directory / ADAPTER_WEIGHTS))
    description = {
        "peft_type": "LORA",
        "base_model_name_or_path": "",
        "r": size.rank,
        "lora_alpha": size.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "init_lora_weights": "gaussian",
        "target_modules": sorted(model.lora_targets),
        "task_type": None,
        "inference_mode": True,
    }
    write_json(directory / ADAPTER_CONFIG, description)


def load_adapter(model: VLAModel, directory: Path) -> None:
    """Add the adapter in `directory` (peft format) to an unadapted `model`.

    Strict: every adapted module must find its tensors, with the right shapes; the only tensors left over may be those
    of modules that the forward pass never runs and a copy of the output layer's base weight, which older peft versions
    add. Raises RlvlaError that names the first tensor or option that does not fit.
    """
    description = read_json(directory / ADAPTER_CONFIG, "name a LoRA adapter in peft format")
    _check_supported(description, model.lora_targets, directory)
    stored = dict(read_tensors(directory / ADAPTER_WEIGHTS))
    inject_lora(model, LoraConfig(rank=description["r"], alpha=description["lora_alpha"]))
    wanted = _adapter_tensors(model)
    missing = sorted(wanted.keys() - stored.keys())
    if missing:
        raise RlvlaError(f"{directory} lacks {len(missing)} adapter tensors, the first is {missing[0]}")
    known = set(lora_modules(model.whole(), model.lora_targets))
    with torch.no_grad():
        for name, value in stored.items():
            module = name.removeprefix(_PREFIX).rsplit(".lora_", 1)[0]
            if name in wanted:
                if value.shape != wanted[name].shape:
                    raise RlvlaError(f"{directory}: {name} is {list(value.shape)}, not {list(wanted[name].shape)}")
                wanted[name].copy_(value)
            elif module not in known and not name.endswith("lm_head.base_layer.weight"):
                raise RlvlaError(f"{directory} adapts {name}, which this model does not have")


def _check_supported(description: dict, supported: Collection[str], directory: Path) -> None:
    plain = {"peft_type": "LORA", "bias": "none", "use_dora": False, "use_rslora": False, "fan_in_fan_out": False}
    for key, value in plain.items():
        if description.get(key, value) != value:
            raise RlvlaError(f"{directory}: adapter option {key} = {description[key]!r} is not supported")
    for key in ("rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform"):
        if description.get(key):
            raise RlvlaError(f"{directory}: adapter option {key} is not supported")
    targets = description.get("target_modules")
    if not isinstance(targets, list) or set(targets) != set(supported):
        raise RlvlaError(f"{directory}: the adapter targets {targets}, this model adapts {sorted(supported)}")
