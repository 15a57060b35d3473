"""Low-rank adapters by peft, on the modules that the paper adapts, in peft's own file format.

The targets are an explicit list: peft's `all-linear` changed its meaning between versions (it now skips the patch
embeddings and the output layer, or takes the value head in). On the 7B the list matches 439 modules, the dead last
blocks of the towers included; a policy that runs does not build those, so it adapts fewer and computes the same.

peft takes seconds to import, so it is imported only when an adapter is added.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.openvla.graph import OpenVLA
from rlvla_core.policy.openvla.tensors import meta_model
from rlvla_core.storage.json_files import read_json, write_json
from rlvla_core.storage.tensor_files import read_tensors

if TYPE_CHECKING:
    from rlvla_core.policy.policy import VLAPolicy

TARGET_MODULES = (
    # vision towers (linear layers, patch embeddings, SigLIP's pooling head) and projector
    *("qkv", "proj", "fc1", "fc2", "fc3", "q", "kv"),
    # Llama
    *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"),
)
"""Last parts of the names of adapted modules."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_NAME = "default"
_PREFIX = "base_model.model."


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraConfig:
    """Size of the adapters; defaults are the paper's."""

    rank: int = 32
    alpha: float = 16
    """Adapter outputs are multiplied by alpha / rank."""


def lora_modules(model: OpenVLA) -> list[str]:
    """Names of the modules of an unadapted `model` that the targets match, in order of the graph."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, kinds) and name.rsplit(".", 1)[-1] in TARGET_MODULES
    ]


def adapted_modules(model: OpenVLA) -> list[str]:
    """Names of the modules that carry an adapter."""
    return [name for name, module in model.named_modules() if hasattr(module, "lora_A")]


def is_adapted(model: OpenVLA) -> bool:
    return bool(adapted_modules(model))


def inject_lora(model: OpenVLA, config: LoraConfig, seed: int = 0) -> None:
    """Add adapters in place and freeze everything else. A starts Gaussian (deviation 1/rank), B at zero, so the
    outputs do not change; adapters are float32 whatever the base is."""
    if is_adapted(model):
        raise RlvlaError("this policy already has a LoRA adapter: train it on, or start from the base weights")
    import peft

    peft_config = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # peft declares int, scales by any number
        lora_dropout=0.0,
        target_modules=list(TARGET_MODULES),
        init_lora_weights="gaussian",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(peft_config, model, adapter_name=_NAME)
    for name, parameter in model.named_parameters():
        if f".lora_A.{_NAME}" in name or f".lora_B.{_NAME}" in name:
            parameter.data = parameter.data.float()


def apply_lora(policy: "VLAPolicy", config: LoraConfig, seed: int = 0) -> None:
    """Adapt the policy's graph in place; its value head stays trainable."""
    inject_lora(policy.model, config, seed)
    policy.value_head.requires_grad_(True)


def _adapter_tensors(model: OpenVLA) -> dict[str, torch.Tensor]:
    """Parameters of the adapter under peft's file names."""
    return {
        _PREFIX + name.replace(f".{_NAME}.", "."): parameter
        for name, parameter in model.named_parameters()
        if f".lora_A.{_NAME}." in name or f".lora_B.{_NAME}." in name
    }


def adapter_size(model: OpenVLA) -> LoraConfig:
    """Rank and alpha of the adapter that `model` carries."""
    layer: Any = model.get_submodule(adapted_modules(model)[0])
    return LoraConfig(rank=layer.r[_NAME], alpha=layer.lora_alpha[_NAME])


def save_adapter(model: OpenVLA, directory: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors, which peft can load too."""
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
        "target_modules": sorted(TARGET_MODULES),
        "task_type": None,
        "inference_mode": True,
    }
    write_json(directory / ADAPTER_CONFIG, description)


def load_adapter(model: OpenVLA, directory: Path) -> None:
    """Add the adapter in `directory` (peft format) to an unadapted `model`.

    Strict: every adapted module must find its tensors, with the right shapes; the only tensors left over may be those
    of the towers' dead modules and a copy of the output layer's base weight, which older peft versions add.
    """
    description = read_json(directory / ADAPTER_CONFIG, "name a LoRA adapter in peft format")
    _check_supported(description, directory)
    stored = dict(read_tensors(directory / ADAPTER_WEIGHTS))
    inject_lora(model, LoraConfig(rank=description["r"], alpha=description["lora_alpha"]))
    wanted = _adapter_tensors(model)
    missing = sorted(wanted.keys() - stored.keys())
    if missing:
        raise RlvlaError(f"{directory} lacks {len(missing)} adapter tensors, the first is {missing[0]}")
    dead = set(lora_modules(meta_model(model.config, with_dead_modules=True)))
    with torch.no_grad():
        for name, value in stored.items():
            module = name.removeprefix(_PREFIX).rsplit(".lora_", 1)[0]
            if name in wanted:
                if value.shape != wanted[name].shape:
                    raise RlvlaError(f"{directory}: {name} is {list(value.shape)}, not {list(wanted[name].shape)}")
                wanted[name].copy_(value)
            elif module not in dead and not name.endswith("lm_head.base_layer.weight"):
                raise RlvlaError(f"{directory} adapts {name}, which this model does not have")


def _check_supported(description: dict, directory: Path) -> None:
    plain = {"peft_type": "LORA", "bias": "none", "use_dora": False, "use_rslora": False, "fan_in_fan_out": False}
    for key, value in plain.items():
        if description.get(key, value) != value:
            raise RlvlaError(f"{directory}: adapter option {key} = {description[key]!r} is not supported")
    for key in ("rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform"):
        if description.get(key):
            raise RlvlaError(f"{directory}: adapter option {key} is not supported")
    targets = description.get("target_modules")
    if not isinstance(targets, list) or set(targets) != set(TARGET_MODULES):
        raise RlvlaError(f"{directory}: the adapter targets {targets}, this model adapts {sorted(TARGET_MODULES)}")
