"""Frames of demonstrations: which of them imitation learns from, in what order, and how their colours are varied."""

import functools
from typing import Protocol

import torch

from rlvla_core import seeds
from rlvla_core.data.dataset import FrameBatch


class Frames(Protocol):
    """What imitation needs of a dataset; `rlvla_core.data.Dataset` has it."""

    @property
    def num_frames(self) -> int: ...

    episode_index: torch.Tensor
    """int64 [M]: the episode of each frame."""

    def frames(self, indices: torch.Tensor) -> FrameBatch: ...


def split(episode_index: torch.Tensor, holdout: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Frame indices (training, held out), split by whole episodes: no frame has a near twin on the other side."""
    episodes = int(episode_index.max()) + 1
    order = torch.randperm(episodes, generator=seeds.generator(seed, "holdout"))
    held = torch.zeros(episodes, dtype=torch.bool)
    held[order[: round(holdout * episodes)]] = True
    mask = held[episode_index]
    return (~mask).nonzero().squeeze(-1), mask.nonzero().squeeze(-1)


@functools.lru_cache(maxsize=2)
def epoch_order(frames: int, seed: int, epoch: int) -> torch.Tensor:
    """int64 [frames]: the permutation of one epoch, made from its number alone."""
    return torch.randperm(frames, generator=seeds.generator(seed, "epoch", epoch))


def jitter(images: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """uint8 [B, H, W, 3] with a random gain per channel and a random brightness per image, up to ± `strength`."""
    if strength == 0.0:
        return images
    draws = 2.0 * torch.rand((len(images), 1, 1, 4), generator=generator, device=images.device) - 1.0
    shifted = images.float() * (1.0 + strength * draws[..., :3]) + 128.0 * strength * draws[..., 3:]
    return shifted.round().clamp(0, 255).to(torch.uint8)
