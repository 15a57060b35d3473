"""Random models of unusual sizes, and checkpoint directories of them."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.config import OpenVLAConfig, TextConfig, TowerConfig
from rlvla_core.policy.openvla.model import OpenVLA


def odd_config(
    *, dino_depth: int = 5, siglip_depth: int = 4, layers: int = 3, kv_heads: int | None = 3
) -> OpenVLAConfig:
    """Odd widths and head counts, a grid that is not 16 x 16, a SigLIP hidden size that is no multiple of its width."""
    return OpenVLAConfig(
        dino=TowerConfig(
            image_size=30,
            patch_size=6,
            width=21,
            depth=dino_depth,
            heads=3,
            mlp_hidden=50,
            class_token=True,
            registers=2,
            layer_scale=True,
        ),
        siglip=TowerConfig(
            image_size=30,
            patch_size=6,
            width=35,
            depth=siglip_depth,
            heads=5,
            mlp_hidden=71,
            class_token=False,
            attention_pool=True,
        ),
        text=TextConfig(
            vocab_size=700,
            hidden_size=36,
            intermediate_size=55,
            num_hidden_layers=layers,
            num_attention_heads=3,
            num_key_value_heads=kv_heads,
        ),
        pad_token_id=636,
        norm_stats={"bridge_orig": BRIDGE_ORIG},
    )


def random_model(config: OpenVLAConfig, seed: int = 0, *, with_dead_modules: bool = True) -> OpenVLA:
    """Weights large enough that every part shows in the output."""
    generator = torch.Generator().manual_seed(seed)
    model = OpenVLA(config, with_dead_modules=with_dead_modules)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return model.eval()


def write_checkpoint(model: OpenVLA, directory: Path) -> None:
    """config.json and two shards with an index, as a public checkpoint has them."""
    directory.mkdir(parents=True, exist_ok=True)
    data = model.config.to_json()
    (directory / "config.json").write_text(json.dumps(data))
    tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for index, part in enumerate((names[::2], names[1::2])):
        file = f"model-{index + 1:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, str(directory / file))
        weight_map |= dict.fromkeys(part, file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def random_batch(config: OpenVLAConfig, lengths: tuple[int, ...] = (4, 7, 6), seed: int = 0):
    """Pixels, left-padded ids (BOS in column 0) and mask for prompts of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(len(lengths), 6, config.image_size, config.image_size, generator=generator)
    ids = torch.full((len(lengths), max(lengths)), config.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, 0], mask[row, 0] = config.text.bos_token_id, 1
        mask[row, -(length - 1) :] = 1
        ids[row, -(length - 1) :] = torch.randint(3, 300, (length - 1,), generator=generator)
    return pixels, ids, mask
