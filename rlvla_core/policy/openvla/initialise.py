"""Initial weights of a model that is trained from nothing.

Linear layers draw N(0, 1/fan_in) truncated at two deviations, and the last layer of each residual branch is divided
by the root of twice the depth, so that the residual stream keeps its size. A 0.02 deviation, which suits width 1000
and more, and a LayerScale of 1e-5 would leave a small network's branches without signal. Position embeddings start as
the sine-cosine code of the patch's row and column: localisation is what a small policy lacks most.
"""

import math

import torch
from torch import nn

from rlvla_core.policy.openvla.config import TowerConfig
from rlvla_core.policy.openvla.model import OpenVLA
from rlvla_core.policy.openvla.vit import VisionTower

EMBEDDING_STD = 0.5
"""Standard deviation of initial text embeddings: that of the projected patches beside them."""
OUTPUT_STD = 0.02
"""Standard deviation of the initial output layer: it makes the first action distribution almost uniform."""


def grid_code(config: TowerConfig) -> torch.Tensor:
    """Sine-cosine code float32 [P, width] of the patches' rows and columns.

    A quarter of the channels each for sine and cosine of row and column.
    """
    side = config.image_size // config.patch_size
    quarter = config.width // 4
    # Wavelengths from two patches to four images, geometric.
    frequency = math.pi * (4.0 * side) ** (-torch.arange(quarter) / max(quarter - 1, 1))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    phases = [axis.reshape(-1, 1) * frequency for axis in (rows, columns)]
    code = torch.cat([wave(phase) for phase in phases for wave in (torch.sin, torch.cos)], dim=1)
    return torch.nn.functional.pad(code, (0, config.width - code.shape[1]))


def _scaled(weight: torch.Tensor, generator: torch.Generator, gain: float = 1.0) -> None:
    fan_in = weight[0].numel()
    std = gain / math.sqrt(fan_in)
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)


@torch.no_grad()
def initialise(model: OpenVLA, generator: torch.Generator) -> None:
    """Fill every parameter of `model` in place; the same state of a CPU generator gives the same weights."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            _scaled(module.weight, generator)
            if module.bias is not None:
                module.bias.zero_()
    for tower in (model.vision_backbone.featurizer, model.vision_backbone.fused_featurizer):
        _initialise_tower(tower, generator)
    layers = model.language_model.model.layers
    gain = 1 / math.sqrt(2 * len(layers))
    for layer in layers:
        _scaled(layer.self_attn.o_proj.weight, generator, gain)
        _scaled(layer.mlp.down_proj.weight, generator, gain)
    model.language_model.model.embed_tokens.weight.normal_(0.0, EMBEDDING_STD, generator=generator)
    model.language_model.lm_head.weight.normal_(0.0, OUTPUT_STD, generator=generator)


def _initialise_tower(tower: VisionTower, generator: torch.Generator) -> None:
    tower.pos_embed.copy_(0.5 * grid_code(tower.config))
    for name in ("cls_token", "reg_token"):
        if hasattr(tower, name):
            getattr(tower, name).normal_(0.0, EMBEDDING_STD, generator=generator)
    gain = 1 / math.sqrt(2 * tower.config.live_blocks)
    for name, module in tower.blocks.named_modules():
        if name.endswith(("attn.proj", "mlp.fc2")):
            _scaled(module.get_parameter("weight"), generator, gain)
