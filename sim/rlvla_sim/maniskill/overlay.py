"""The green screen of many environments at once, on the simulator's device."""

import torch

from rlvla_sim.texture_overlay import TextureOverlay, foreground_box, with_texture


def overlay_batch(
    colour: torch.Tensor,
    mask: torch.Tensor,
    background: torch.Tensor,
    texture_overlay: TextureOverlay | None = None,
    textures: torch.Tensor | None = None,
) -> torch.Tensor:
    """Rendered foreground over images, uint8 [N, H, W, 3]; see `rlvla_sim.camera_renderer.overlay`.

    `colour` uint8 [N, sH, sW, 3], `mask` bool [N, sH, sW, 1], `background` float32 [N, H, W, 3] in 0..255; `textures`
    float32 [N, ...] from `TextureOverlay.texture` are blended in by `texture_overlay`.
    """
    number, height, width, _ = background.shape
    scale = colour.shape[1] // height
    alpha = mask.float()
    blocks = (number, height, scale, width, scale, -1)
    front = (colour[..., :3].float() * alpha).reshape(blocks).mean(dim=(2, 4))
    alpha = alpha.reshape(blocks).mean(dim=(2, 4))
    if texture_overlay is None or textures is None:
        image = front + (1.0 - alpha) * background
    else:
        _, _, *sizes = foreground_box(alpha)
        span = tuple(size.amax().expand(number) for size in sizes) if texture_overlay.coupled else None
        image = with_texture(front, alpha, background, textures, texture_overlay, span)
    return (image + 0.5).to(torch.uint8)
