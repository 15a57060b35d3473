"""A texture blended into the images: the shifts "dynamic texture" and "dynamic noise" (paper, section 2).

The paper's constants are in pixels of a 640 x 480 image; here they scale with the image, so that a small image
is the small version of the paper's. Functions take N images at once, as numpy or torch arrays of one device.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rlvla_core.geometry.backend import array_module
from rlvla_sim.assets.asset import IMAGE_SIZE, TextureAsset


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureOverlay:
    """How the texture of an episode is blended into its images."""

    over: Literal["foreground", "image"]
    """`foreground`: the texture is resized to the bounding box of robot and objects in every frame, and blended over
    these. `image`: the texture is enlarged to twice the image size, and a window of image size, which follows that box,
    is blended over the whole image."""
    opacity: float
    """Weight of the texture, 0 .. 1."""
    coupled: bool = False
    """Whether to repeat a mistake of the released code: the texture is stretched to the largest box of all worlds drawn
    together and cut off at each world's own box, so that a world's images depend on its neighbours."""

    def texture(self, asset: TextureAsset, width: int, height: int) -> np.ndarray:
        """The texture as `with_texture` needs it for images of this size, float32 [h, w, 3] in 0..255."""
        scale = 2 if self.over == "image" else 1
        return asset.image(scale * width, scale * height).astype(np.float32)


def foreground_box(alpha: Any) -> tuple[Any, Any, Any, Any]:
    """Top, left, height and width, int [N] each, of the box around alpha > 0 in [N, H, W, 1]; the whole image where
    nothing is drawn. Pixels."""
    xp = array_module(alpha)
    seen = alpha[..., 0] > 0
    sides = []
    for axis in (1, 2):
        size = seen.shape[axis]
        occupied = seen.any(3 - axis)
        index = _arange(alpha, size)[None]
        first = xp.amin(xp.where(occupied, index, size), 1)
        last = xp.amax(xp.where(occupied, index, -1), 1)
        empty = last < 0
        sides.append((xp.where(empty, 0, first), xp.where(empty, size, last + 1 - first)))
    (top, height), (left, width) = sides
    return top, left, height, width


def stretched(texture: Any, top: Any, left: Any, height: Any, width: Any) -> Any:
    """Textures [N, H, W, 3], resized bilinearly to `height` x `width` with their corner at (top, left): [N, H, W, 3].

    The four are int [N], pixels. Outside of that box the texture's edge is repeated; nothing is shown there.
    """
    number, tall, wide, _ = texture.shape
    world = _arange(texture, number)[:, None]
    above, below, down = _between(_arange(texture, tall)[None], top[:, None], height[:, None], tall)
    rows = texture[world, above] * (1.0 - down[..., None, None]) + texture[world, below] * down[..., None, None]
    world, line = world[..., None], _arange(texture, tall)[None, :, None]
    before, after, across = _between(_arange(texture, wide)[None], left[:, None], width[:, None], wide)
    before, after, across = before[:, None], after[:, None], across[:, None, :, None]
    return rows[world, line, before] * (1.0 - across) + rows[world, line, after] * across


def _between(pixel: Any, start: Any, length: Any, size: int) -> tuple[Any, Any, Any]:
    """The two texels [N, P] around each pixel [1, P] of a line of `size` texels that is stretched over `length` pixels
    from `start` (int [N, 1]), and the weight of the second, float32."""
    xp = array_module(length)
    place = xp.clip((pixel - start + 0.5) * (size / length) - 0.5, 0, size - 1)
    low = _whole(xp.floor(place))
    return low, xp.clip(low + 1, None, size - 1), _single(place - low)


def window(texture: Any, top: Any, left: Any, height: Any, width: Any) -> Any:
    """The parts [N, H, W, 3] of textures [N, 2H, 2W, 3] that start at the box's centre: an image in the middle of its
    texture sees the part around that centre. The four are int [N], pixels of the image."""
    number, tall, wide = texture.shape[0], texture.shape[1] // 2, texture.shape[2] // 2
    xp = array_module(top)
    rows, columns = (
        _whole(xp.floor(xp.clip(start + length / 2, size / pixels, size - size / pixels)))[:, None]
        + _arange(texture, size)[None]
        for start, length, size, pixels in (
            (top, height, tall, IMAGE_SIZE[1]),
            (left, width, wide, IMAGE_SIZE[0]),
        )
    )
    return texture[_arange(texture, number)[:, None, None], rows[:, :, None], columns[:, None, :]]


def with_texture(
    front: Any,
    alpha: Any,
    background: Any,
    texture: Any,
    texture_overlay: TextureOverlay,
    span: tuple[Any, Any] | None = None,
) -> Any:
    """Foreground over background with the texture blended in, float32 [N, H, W, 3] in 0..255.

    `front` [N, H, W, 3] is the rendered colour times its coverage `alpha` [N, H, W, 1] in 0..1; `texture` comes from
    `TextureOverlay.texture`. `span`: height and width, int [N], that the texture is stretched to, not the box's.
    """
    top, left, height, width = foreground_box(alpha)
    if texture_overlay.over == "foreground":
        pattern = stretched(texture, top, left, *(span or (height, width)))
        return front + texture_overlay.opacity * (alpha * pattern - front) + (1.0 - alpha) * background
    image = front + (1.0 - alpha) * background
    return image + texture_overlay.opacity * (window(texture, top, left, height, width) - image)


def _arange(like: Any, size: int) -> Any:
    """0 .. size - 1 on the device of an array."""
    xp = array_module(like)
    return xp.arange(size) if xp is np else xp.arange(size, device=like.device)


def _whole(x: Any) -> Any:
    return x.astype(np.int64) if isinstance(x, np.ndarray) else x.long()


def _single(x: Any) -> Any:
    return x.astype(np.float32) if isinstance(x, np.ndarray) else x.float()
