"""Where are things? A training-only loss that teaches vision towers from nothing to localise.

OpenVLA's towers come from the web and already see; `tiny` starts from random numbers, and imitation alone hardly ever
teaches it where the object lies. The simulator knows. Each named point of the state (gripper, object, receptacle) is
projected into the picture, and a linear head on the projected patch features must put its probability on the patches
around that pixel. The label is spread over the four nearest patch centres by bilinear weights, so that the expected
position is exact, not rounded to a patch. The head is thrown away: the deployed graph stays OpenVLA's.
"""

import torch
from torch import nn

from rlvla_core.environment import CameraSpec, EnvSpec


def quaternion_to_matrix(quaternion: torch.Tensor) -> torch.Tensor:
    """Rotation matrices [..., 3, 3] of unit quaternions wxyz [..., 4]."""
    w, x, y, z = quaternion.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def project(points_in_base: torch.Tensor, camera: CameraSpec) -> torch.Tensor:
    """Pixels (u right, v down) [..., 2] of points [..., 3] in metres, base frame, by the pinhole model.

    The camera's own frame is x forward, y left, z up (SAPIEN), so u = cx - fx·y/x and v = cy - fy·z/x. Points behind
    the camera are clamped to 1 mm before it and so land far outside the picture.
    """
    rotation = quaternion_to_matrix(torch.tensor(camera.quaternion_in_base, dtype=points_in_base.dtype))
    position = torch.tensor(camera.position_in_base, dtype=points_in_base.dtype)
    forward, left, up = ((points_in_base - position.to(points_in_base)) @ rotation.to(points_in_base)).unbind(-1)
    forward = forward.clamp_min(1e-3)
    return torch.stack([camera.cx - camera.fx * left / forward, camera.cy - camera.fy * up / forward], -1)


def patch_targets(pixels: torch.Tensor, camera: CameraSpec, grid: int) -> torch.Tensor:
    """Bilinear label distributions [..., grid*grid] over square patches (row-major) of pixels [..., 2].

    Weights sum to 1 and their mean patch centre is the pixel itself; pixels outside the outermost patch centres are
    moved to the nearest one.
    """
    size = torch.tensor([camera.width, camera.height], dtype=pixels.dtype, device=pixels.device)
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
    """A linear score of every patch for every named point of `EnvSpec.state_points`; training only."""

    def __init__(self, hidden_size: int, spec: EnvSpec) -> None:
        super().__init__()
        self.camera = spec.camera
        self.columns = [first for _, first in spec.state_points]
        self.score = nn.Linear(hidden_size, len(self.columns))

    def loss(self, patches: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy [scalar, nats] of projected patch features [B, P, D] against state [B, S]."""
        grid = int(patches.shape[1] ** 0.5)
        points = torch.stack([state[:, first : first + 3] for first in self.columns], 1)  # [B, K, 3]
        target = patch_targets(project(points, self.camera), self.camera, grid)  # [B, K, P]
        logprobs = self.score(patches).float().transpose(1, 2).log_softmax(-1)  # [B, K, P]
        return -(target * logprobs).sum(-1).mean()
