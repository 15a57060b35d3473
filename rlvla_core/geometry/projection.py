"""Where points in the base frame appear in a camera's image."""

import torch

from rlvla_core.environment import CameraSpec


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
    the camera are clamped to 1 mm before it and so land far outside the image.
    """
    rotation = quaternion_to_matrix(torch.tensor(camera.quaternion_in_base, dtype=points_in_base.dtype))
    position = torch.tensor(camera.position_in_base, dtype=points_in_base.dtype)
    forward, left, up = ((points_in_base - position.to(points_in_base)) @ rotation.to(points_in_base)).unbind(-1)
    forward = forward.clamp_min(1e-3)
    return torch.stack([camera.cx - camera.fx * left / forward, camera.cy - camera.fy * up / forward], -1)
