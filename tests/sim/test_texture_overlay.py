"""Textures blended into images: the box, the resize, the window, and that numpy and torch agree."""

import numpy as np
import pytest
import torch

from rlvla_sim.assets import catalogue
from rlvla_sim.camera_renderer import overlay, shrunk
from rlvla_sim.maniskill.overlay import overlay_batch
from rlvla_sim.texture_overlay import TextureOverlay, foreground_box, stretched, window, with_texture


def ints(*values: int) -> tuple[np.ndarray, ...]:
    """Each value as int [1]."""
    return tuple(np.array([value]) for value in values)


def test_the_box_holds_all_that_is_drawn_and_nothing_else() -> None:
    alpha = np.zeros((3, 20, 30, 1), np.float32)
    alpha[0, 4, 7], alpha[0, 11, 25] = 0.25, 1.0
    alpha[1, :, :] = 1.0
    boxes = [part.tolist() for part in foreground_box(alpha)]
    # The last image is empty: its box is the whole image.
    assert boxes == [[4, 0, 0], [7, 0, 0], [8, 20, 20], [19, 30, 30]]
    assert [part.tolist() for part in foreground_box(torch.from_numpy(alpha))] == boxes


@pytest.mark.parametrize("box", [(0, 0, 48, 64), (5, 11, 30, 17), (40, 60, 8, 4), (7, 9, 1, 1)])
def test_a_texture_is_resized_bilinearly_to_the_box(box: tuple[int, int, int, int]) -> None:
    texture = np.random.default_rng(0).random((1, 48, 64, 3)).astype(np.float32) * 255
    top, left, height, width = box
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(texture).permute(0, 3, 1, 2), size=(height, width), mode="bilinear", align_corners=False
    )
    ours = stretched(texture, *ints(*box))[0, top : top + height, left : left + width]
    assert ours == pytest.approx(resized[0].permute(1, 2, 0).numpy(), abs=1e-2)


@pytest.mark.parametrize(
    ("size", "box", "corner"),
    [
        ((480, 640), (100, 50, 100, 100), (150, 100)),
        ((480, 640), (0, 0, 1, 1), (1, 1)),
        ((480, 640), (479, 639, 1, 1), (479, 639)),
        ((48, 64), (10, 5, 10, 10), (15, 10)),
        ((64, 64), (63, 63, 1, 1), (63, 63)),
    ],
)
def test_the_window_starts_at_the_centre_of_the_box(
    size: tuple[int, int], box: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    """At 640 x 480 the centre is kept within 1 .. 639 and 1 .. 479 (paper)."""
    texture = np.arange(4 * size[0] * size[1], dtype=np.float32).reshape(1, 2 * size[0], 2 * size[1], 1)
    seen = window(texture, *ints(*box))[0]
    row, column = corner
    assert np.array_equal(seen, texture[0, row : row + size[0], column : column + size[1]])


@pytest.mark.parametrize(
    "texture_overlay", [TextureOverlay(over="foreground", opacity=0.5), TextureOverlay(over="image", opacity=0.5)]
)
def test_a_small_image_is_the_small_version_of_a_large_one(texture_overlay: TextureOverlay) -> None:
    """The same scene drawn at 64 x 48, and at 640 x 480 and averaged down; other box or window: far off."""
    asset = catalogue().textures[4]  # a cloud: no detail finer than a small image's pixel

    def small(scale: int, left: int) -> np.ndarray:
        alpha = np.zeros((1, 48 * scale, 64 * scale, 1), np.float32)
        alpha[:, 10 * scale : 30 * scale, left * scale : (left + 24) * scale] = 1.0
        background = np.full((*alpha.shape[:3], 3), 50.0, np.float32)
        image = with_texture(
            100.0 * alpha,
            alpha,
            background,
            texture_overlay.texture(asset, 64 * scale, 48 * scale)[None],
            texture_overlay,
        )
        return image[0].reshape(48, scale, 64, scale, 3).mean(axis=(1, 3))[10:30, 28:44]

    drawn, reference, elsewhere = small(1, 20), small(10, 20), small(10, 28)
    assert np.abs(drawn - reference).mean() < 0.25 * np.abs(drawn - elsewhere).mean()


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(
    "texture_overlay", [TextureOverlay(over="foreground", opacity=0.3), TextureOverlay(over="image", opacity=0.5)]
)
def test_torch_agrees_with_numpy(texture_overlay: TextureOverlay, scale: int) -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros((2, 20 * scale, 30 * scale, 1), bool)
    mask[0, 3:15, 4:9] = mask[1, 5 * scale :, 11:40] = True
    colour = rng.integers(0, 256, (*mask.shape[:3], 3), dtype=np.uint8) * mask
    background = rng.integers(0, 256, (2, 20, 30, 3)).astype(np.float32)
    texture = np.stack([texture_overlay.texture(catalogue().textures[i], 30, 20) for i in (4, 7)])
    tensors = [torch.from_numpy(part) for part in (colour, mask, background)]
    theirs = overlay_batch(*tensors, texture_overlay, torch.from_numpy(texture)).numpy()
    for i in range(2):
        drawn = np.concatenate([colour[i], 255 * mask[i].astype(np.uint8)], axis=-1)
        front, alpha = shrunk(drawn, 20)
        ours = (
            with_texture(front[None], alpha[None], background[i : i + 1], texture[i : i + 1], texture_overlay)[0] + 0.5
        ).astype(int)
        assert np.abs(ours - theirs[i]).max() <= 1
        assert np.abs(overlay(drawn, background[i]).astype(int) - ours).max() > 10, "the texture shows"


def test_coupled_images_of_a_batch_share_the_largest_box() -> None:
    """As released: in the smaller box stands the corner of the texture at the larger one's size."""
    mask = torch.zeros(2, 40, 60, 1, dtype=torch.bool)
    mask[0, 3:13, 4:14] = mask[1, 5:35, 11:51] = True
    colour, background = torch.zeros(2, 40, 60, 3, dtype=torch.uint8), torch.zeros(2, 40, 60, 3)
    textures = torch.rand(1, 40, 60, 3).expand(2, -1, -1, -1) * 255
    texture_overlay = TextureOverlay(over="foreground", opacity=1.0, coupled=True)
    small, large = overlay_batch(colour, mask, background, texture_overlay, textures)
    assert torch.equal(small[3:13, 4:14], large[5:15, 11:21])
    free = overlay_batch(colour, mask, background, TextureOverlay(over="foreground", opacity=1.0), textures)
    assert torch.equal(free[1], large) and not torch.equal(free[0], small)
