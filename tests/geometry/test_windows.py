"""A window of an image is the image of another camera."""

import pytest
import torch

from rlvla_core.geometry.camera import WHOLE, CameraSpec, Window, project, seen_through, window_of

CAMERA = CameraSpec(
    name="camera",
    width=640,
    height=480,
    fx=620.0,
    fy=610.0,
    cx=319.0,
    cy=241.0,
    position_in_base=(0.0, 0.1, 0.4),
    quaternion_in_base=(1.0, 0.0, 0.0, 0.0),
)
WINDOWS = [WHOLE, Window(0.1, 0.2, 0.6, 0.5), Window(0.5, 0.5, 0.5, 0.5), Window(-0.1, 0.0, 1.2, 0.7)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", [(64, 64), (640, 480), (33, 200)])
def test_a_point_keeps_its_place_in_the_window(window, size):
    points = torch.rand((50, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points += torch.tensor([0.5, 0.0, 0.0])
    place = project(points, CAMERA) / torch.tensor([640.0, 480.0])
    expected = (place - torch.tensor([window.left, window.top])) / torch.tensor([window.width, window.height])
    seen = project(points, seen_through(CAMERA, window, *size)) / torch.tensor([float(size[0]), float(size[1])])
    assert torch.allclose(seen, expected, atol=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_window_is_found_again_whatever_the_sizes(window):
    other = seen_through(CAMERA, WHOLE, 1280, 720)
    found = window_of(seen_through(CAMERA, window, 64, 48), other)
    assert (found.left, found.top, found.width, found.height) == pytest.approx(
        (window.left, window.top, window.width, window.height)
    )


def test_a_window_that_sticks_out_is_not_inside():
    assert WHOLE.inside(0.0)
    assert not Window(-0.1, 0.0, 1.0, 1.0).inside(0.05)
    assert not Window(0.0, 0.5, 1.0, 0.6).inside(0.05)
    assert Window(-0.04, 0.0, 1.0, 1.04).inside(0.05)
