"""The localisation labels: a pinhole camera by hand, and bilinear labels whose mean is the pixel."""

import math

import torch

from rlvla_core.data.dataset import FrameBatch
from rlvla_core.geometry.camera import CameraSpec, project
from rlvla_core.learning.algorithms.localisation import LocalisationHead, patch_targets

CAMERA = CameraSpec(
    name="test",
    width=64,
    height=48,
    fx=50.0,
    fy=40.0,
    cx=31.5,
    cy=23.5,
    position_in_base=(1.0, 2.0, 3.0),
    quaternion_in_base=(math.cos(math.pi / 4), 0.0, 0.0, math.sin(math.pi / 4)),  # yaw 90°: looks along base +y
)


def test_projection_of_known_points():
    points = torch.tensor([[1.0, 4.0, 3.0], [1.5, 4.0, 3.0], [1.0, 4.0, 3.5]])
    # 2 m ahead; then half a metre to base +x, which is the camera's right; then half a metre up
    expected = torch.tensor([[31.5, 23.5], [31.5 + 50 * 0.25, 23.5], [31.5, 23.5 - 40 * 0.25]])
    torch.testing.assert_close(project(points, CAMERA), expected, atol=1e-4, rtol=0)


def test_labels_are_distributions_with_the_pixel_as_mean():
    generator = torch.Generator().manual_seed(0)
    grid = 8
    size = torch.tensor([64.0, 48.0])
    pixels = (torch.rand(500, 2, generator=generator) * (grid - 1) + 0.5) / grid * size
    targets = patch_targets(pixels, CAMERA.width, CAMERA.height, grid)
    torch.testing.assert_close(targets.sum(-1), torch.ones(500))
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    centres = (torch.stack([columns, rows], -1).reshape(-1, 2) + 0.5) / grid * size
    torch.testing.assert_close(targets @ centres, pixels, atol=1e-3, rtol=0)


def test_points_outside_the_image_go_to_the_border():
    targets = patch_targets(torch.tensor([[-100.0, 1000.0]]), 64, 48, 8)
    assert targets.argmax() == 7 * 8
    torch.testing.assert_close(targets.max(), torch.tensor(1.0))


class TwoPoints:
    names = ("seen", "absent")
    width, height = 64, 64

    def pixels(self, frames):
        return frames.state.unflatten(1, (2, 2))


def test_points_that_are_not_there_neither_cost_nor_teach():
    torch.manual_seed(0)
    head = LocalisationHead(8, TwoPoints())
    patches = torch.randn(1, 16, 8)
    state = torch.tensor([[20.0, 30.0, float("nan"), float("nan")]])
    frames = FrameBatch(images=torch.zeros(1, 64, 64, 3), actions=torch.zeros(1, 7), instructions=["x"], state=state)
    loss = head.loss(patches, frames)
    loss.backward()
    alone = -(patch_targets(state[:, :2], 64, 64, 4) * head.score(patches)[..., 0].log_softmax(-1)).sum()
    torch.testing.assert_close(loss, alone)
    assert head.score.weight.grad[0].abs().sum() > 0
    assert head.score.weight.grad[1].abs().sum() == 0
