"""Localisation loss: teaches vision towers that start from nothing where things are; used in training only.

OpenVLA's towers were pretrained on images from the web; `tiny` starts from random numbers, and imitation alone hardly
ever teaches it where the object lies. The simulator knows. Each named point (gripper, object, receptacle) has a pixel,
and a linear head on the projected patch features must put its probability on the patches around that pixel. The label
is spread over the four nearest patch centres by bilinear weights, so that the expected position is exact, not rounded
to a patch. The head is thrown away after training: the deployed graph stays OpenVLA's.
"""

from typing import Protocol

import torch
from torch import nn

from rlvla_core.data.dataset import FrameBatch
from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import project


class PixelLabels(Protocol):
    """Gives the pixels of K named points in the images of a batch."""

    names: tuple[str, ...]
    """The K names of the points."""
    width: int
    """Width of the images, pixels."""
    height: int
    """Height of the images, pixels."""

    def pixels(self, frames: FrameBatch) -> torch.Tensor:
        """Pixels float32 [B, K, 2] of the points: u to the right, v down; NaN for a point that is not in the scene."""
        ...


class ProjectedPoints:
    """Pixel labels from the points that an environment names in its privileged state, projected by its camera."""

    def __init__(self, spec: EnvSpec) -> None:
        """Raises RlvlaError for an environment that names no points."""
        if not spec.state_points:
            raise RlvlaError(
                "sft.localisation_weight needs an environment that names points in its state: set the weight to 0"
            )
        self.camera = spec.camera
        self.names = tuple(name for name, _ in spec.state_points)
        self.width, self.height = spec.camera.width, spec.camera.height
        self._columns = [first for _, first in spec.state_points]

    def pixels(self, frames: FrameBatch) -> torch.Tensor:
        """Pixels float32 [B, K, 2] of the points. Raises RlvlaError for frames without a privileged state."""
        if frames.state is None:
            raise RlvlaError("the dataset has no privileged state: set sft.localisation_weight to 0")
        points = torch.stack([frames.state[:, first : first + 3] for first in self._columns], 1)  # [B, K, 3]
        return project(points, self.camera)


def patch_targets(pixels: torch.Tensor, width: int, height: int, grid: int) -> torch.Tensor:
    """Label distributions [..., grid*grid] over the patches (row-major) of a square grid, for pixels [..., 2].

    A label is spread over the four nearest patch centres by bilinear weights: they sum to 1, and their mean patch
    centre is the pixel itself. Pixels outside the outermost patch centres are moved to the nearest one.
    """
    size = torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device)
    centred = (pixels / size * grid - 0.5).clamp(0, grid - 1)  # in patches, 0 = centre of the first
    low = centred.floor().clamp(max=grid - 2)
    high_weight = centred - low
    target = pixels.new_zeros(*pixels.shape[:-1], grid * grid)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = low[..., 0] + dx, low[..., 1] + dy
            weight_x = high_weight[..., 0] if dx else 1 - high_weight[..., 0]
            weight_y = high_weight[..., 1] if dy else 1 - high_weight[..., 1]
            index = (row * grid + column).long().unsqueeze(-1)
            target.scatter_add_(-1, index, (weight_x * weight_y).unsqueeze(-1))
    return target


class LocalisationHead(nn.Module):
    """Scores every patch for every named point by one linear layer; used in training only."""

    def __init__(self, hidden_size: int, labels: PixelLabels) -> None:
        super().__init__()
        self.labels = labels
        self.score = nn.Linear(hidden_size, len(labels.names))

    def loss(self, patches: torch.Tensor, frames: FrameBatch) -> torch.Tensor:
        """Mean cross-entropy (scalar, nats) over all points that are in the scene, from patch features [B, P, D]."""
        grid = int(patches.shape[1] ** 0.5)
        pixels = self.labels.pixels(frames).to(patches.device)
        present = pixels.isfinite().all(-1)  # [B, K]
        target = patch_targets(pixels.nan_to_num(), self.labels.width, self.labels.height, grid)  # [B, K, P]
        logprobs = self.score(patches).float().transpose(1, 2).log_softmax(-1)  # [B, K, P]
        losses = -(target * logprobs).sum(-1)
        return (losses * present).sum() / present.sum().clamp_min(1)
