"""Frames of demonstrations for imitation: the held-out split, the order of an epoch, and random colour changes."""

import functools
from typing import Protocol

import torch

from rlvla_core import seeds
from rlvla_core.data.dataset import FrameBatch


class Frames(Protocol):
    """What imitation needs of a dataset of N frames; `rlvla_core.data.Dataset` has it."""

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        ...

    episode_index: torch.Tensor
    """The number of each frame's episode, int64 [N]."""

    def frames(self, indices: torch.Tensor) -> FrameBatch:
        """The frames with the given indices, int64 [B], in that order."""
        ...


def split(episode_index: torch.Tensor, holdout: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the frames for training and of the held-out ones, two int64 arrays.

    episode_index: the episode of each frame, int64 [N]. holdout: fraction of the episodes to hold out. Episodes are
    never divided, so that no frame has a near copy on the other side.
    """
    episodes = int(episode_index.max()) + 1
    order = torch.randperm(episodes, generator=seeds.generator(seed, "holdout"))
    held = torch.zeros(episodes, dtype=torch.bool)
    held[order[: round(holdout * episodes)]] = True
    mask = held[episode_index]
    return (~mask).nonzero().squeeze(-1), mask.nonzero().squeeze(-1)


@functools.lru_cache(maxsize=2)
def epoch_order(frames: int, seed: int, epoch: int) -> torch.Tensor:
    """The order in which epoch number `epoch` visits its frames: a permutation, int64 [frames]."""
    return torch.randperm(frames, generator=seeds.generator(seed, "epoch", epoch))


def jitter(images: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """`images` with a random gain per channel and a random brightness per image; uint8 [B, H, W, 3] in and out.

    strength: largest relative change of a channel, and largest change of the brightness as a fraction of 128.
    """
    if strength == 0.0:
        return images
    draws = 2.0 * torch.rand((len(images), 1, 1, 4), generator=generator, device=images.device) - 1.0
    shifted = images.float() * (1.0 + strength * draws[..., :3]) + 128.0 * strength * draws[..., 3:]
    return shifted.round().clamp(0, 255).to(torch.uint8)
