"""The green screen: numpy and torch versions, and the numbers they must give."""

import numpy as np
import torch

from rlvla_sim.camera_renderer import overlay
from rlvla_sim.maniskill.overlay import overlay_batch


def test_nothing_drawn_shows_the_background_and_everything_drawn_hides_it() -> None:
    background = np.arange(6 * 4 * 3, dtype=np.float32).reshape(6, 4, 3)
    assert np.array_equal(overlay(np.zeros((12, 8, 4), np.uint8), background), background.astype(np.uint8))
    drawn = np.full((6, 4, 4), 255, np.uint8)
    drawn[..., :3] = 77
    assert (overlay(drawn, background) == 77).all()


def test_half_covered_pixels_are_mixed() -> None:
    drawn = np.zeros((2, 2, 4), np.uint8)
    drawn[0] = [200, 100, 0, 255]
    background = np.full((1, 1, 3), 50.0, np.float32)
    assert overlay(drawn, background)[0, 0].tolist() == [125, 75, 25]


def test_torch_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    for scale in (1, 2, 3):
        mask = rng.random((2, 5 * scale, 7 * scale, 1)) < 0.5
        colour = rng.integers(0, 256, (2, 5 * scale, 7 * scale, 3), dtype=np.uint8) * mask
        background = rng.integers(0, 256, (2, 5, 7, 3)).astype(np.float32)
        drawn = np.concatenate([colour, 255 * mask.astype(np.uint8)], axis=-1).astype(np.uint8)
        ours = np.stack([overlay(d, b) for d, b in zip(drawn, background, strict=True)])
        theirs = overlay_batch(torch.from_numpy(colour), torch.from_numpy(mask), torch.from_numpy(background))
        assert np.abs(ours.astype(int) - theirs.numpy().astype(int)).max() <= 1
