"""A top-down camera and a painter of discs: the whole renderer of the toy worlds."""

import torch

from rlvla_core.geometry.camera import CameraSpec

HALF_VIEW = 0.12
"""Half the side of the square that the image shows, metres."""
_HEIGHT = 0.25


def top_down_camera(size: int) -> CameraSpec:
    """A camera 25 cm above the board that looks straight down; image right is +x, image up is +y."""
    focal = 0.5 * size * _HEIGHT / HALF_VIEW
    centre = 0.5 * size
    return CameraSpec(
        name="top_down",
        width=size,
        height=size,
        fx=focal,
        fy=focal,
        cx=centre,
        cy=centre,
        position_in_base=(0.0, 0.0, _HEIGHT),
        quaternion_in_base=(0.5, -0.5, 0.5, 0.5),
    )


def blank(brightness: torch.Tensor, size: int) -> torch.Tensor:
    """Grey canvases, float32 [N, size, size, 3] in 0..255, of the given brightness [N]."""
    return brightness.reshape(-1, 1, 1, 1).expand(-1, size, size, 3).clone()


def paint_disc(canvas: torch.Tensor, centres: torch.Tensor, radius: float, colour: tuple[int, int, int]) -> None:
    """Paint one disc per image in place: centres float32 [N, 2] and radius in metres, edges smooth over one pixel."""
    size = canvas.shape[1]
    metres = 2.0 * HALF_VIEW / size
    pixels = (torch.arange(size, dtype=torch.float32) + 0.5) * metres - HALF_VIEW
    dx = pixels.reshape(1, 1, -1) - centres[:, 0].reshape(-1, 1, 1)
    dy = -pixels.reshape(1, -1, 1) - centres[:, 1].reshape(-1, 1, 1)
    cover = ((radius - (dx.square() + dy.square()).sqrt()) / metres + 0.5).clamp_(0.0, 1.0).unsqueeze(-1)
    canvas.lerp_(torch.tensor(colour, dtype=torch.float32).expand_as(canvas), cover.expand_as(canvas))
