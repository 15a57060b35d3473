"""A pre-norm vision transformer (Dosovitskiy et al., arXiv 2010.11929) with the tensor names of OpenVLA's checkpoints.

Shapes: B batch, S image side, P patches, L positions (patches and prefix), D width. Both towers use LayerNorm eps 1e-6
and the exact (erf) GELU. The features are the output of block `depth - 2` without the final norm, so the last block,
the norm and the pooling head are dead weight: they are only built on request, where names must match a checkpoint or a
LoRA adapter.
"""

from itertools import islice

import torch
import torch.nn.functional as F
from torch import nn

from rlvla_core.policy.openvla.config import TowerConfig

NORM_EPS = 1e-6


class PatchEmbed(nn.Module):
    """Cuts images [B, 3, S, S] into patches and projects each: [B, P, D]."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, kernel_size=config.patch_size, stride=config.patch_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.proj(pixels).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention [B, L, D] -> [B, L, D] with one fused projection, in the order q | k | v."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them: [..., width] -> [..., width]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """One learned factor per channel on a residual branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale_factor


class Block(nn.Module):
    """A pre-norm transformer block [B, L, D] -> [B, L, D]: attention and MLP, each on a residual branch."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.mlp = Mlp(config.width, config.mlp_hidden)
        if config.layer_scale:
            self.ls1 = LayerScale(config.width)
            self.ls2 = LayerScale(config.width)
        self.layer_scale = config.layer_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.attn(self.norm1(x))
        x = x + (self.ls1(branch) if self.layer_scale else branch)
        branch = self.mlp(self.norm2(x))
        return x + (self.ls2(branch) if self.layer_scale else branch)


class AttentionPool(nn.Module):
    """SigLIP's pooling head. OpenVLA never runs it; it exists for names and shapes only."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.latent = nn.Parameter(torch.zeros(1, 1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width, config.mlp_hidden)


class VisionTower(nn.Module):
    """Patch features of images: [B, 3, S, S] -> [B, P, D], without class token and registers.

    with_dead_modules: also build what checkpoints hold and the forward pass never runs.
    """

    def __init__(self, config: TowerConfig, *, with_dead_modules: bool = False) -> None:
        super().__init__()
        self.config = config
        if config.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        if config.registers:
            self.reg_token = nn.Parameter(torch.zeros(1, config.registers, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.patches, config.width))
        self.patch_embed = PatchEmbed(config)
        self.blocks = nn.ModuleList(
            Block(config) for _ in range(config.depth if with_dead_modules else config.live_blocks)
        )
        if with_dead_modules:
            self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
            if config.attention_pool:
                self.attn_pool = AttentionPool(config)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(pixels) + self.pos_embed
        prefix = []
        if self.config.class_token:
            prefix.append(self.cls_token.expand(len(x), -1, -1))
        if self.config.registers:
            prefix.append(self.reg_token.expand(len(x), -1, -1))
        if prefix:
            x = torch.cat([*prefix, x], dim=1)
        for block in islice(self.blocks, self.config.live_blocks):
            x = block(x)
        return x[:, self.config.prefix_tokens :]
