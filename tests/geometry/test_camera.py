"""Pinhole cameras: projection, its inverse, the camera's pose, numpy and torch. Windows: see test_windows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlvla_core.geometry.camera import CameraSpec, Window, project, rays_in_base, seen_through
from rlvla_core.geometry.transforms import rigid_inverse, transformed
from rlvla_sim.assets import surfaces
from rlvla_sim.robots.widowx250s import CAMERA as WIDOWX_CAMERA

QUATERNION = np.array([0.8, -0.1, 0.5, 0.3]) / np.linalg.norm([0.8, -0.1, 0.5, 0.3])
CAMERA = CameraSpec(
    name="camera",
    width=640,
    height=480,
    fx=620.0,
    fy=610.0,
    cx=319.0,
    cy=241.0,
    position_in_base=(0.1, -0.2, 0.5),
    quaternion_in_base=tuple(QUATERNION.tolist()),
)


def test_a_camera_at_the_origin_sees_forward_in_the_middle_left_at_the_left_and_up_above():
    camera = replace(CAMERA, position_in_base=(0.0, 0.0, 0.0), quaternion_in_base=(1.0, 0.0, 0.0, 0.0))
    points_in_base = np.array([[2.0, 0.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]])
    assert project(points_in_base, camera).tolist() == [[319.0, 241.0], [9.0, 241.0], [319.0, -64.0]]


def test_projection_is_the_pinhole_model_in_the_camera_frame():
    points_in_base = np.random.default_rng(0).uniform([2.0, -1.0, -1.0], [4.0, 1.0, 1.0], size=(200, 3))
    points_in_camera = transformed(rigid_inverse(CAMERA.base_T_camera), points_in_base)
    x, y, z = points_in_camera[points_in_camera[:, 0] > 0.1].T
    seen = project(points_in_base[points_in_camera[:, 0] > 0.1], CAMERA)
    assert seen == pytest.approx(np.stack([319.0 - 620.0 * y / x, 241.0 - 610.0 * z / x], axis=1))


@pytest.mark.parametrize("depth", [0.05, 1.0, 7.0])
def test_what_lies_on_the_ray_of_a_pixel_is_seen_there(depth):
    pixels = np.random.default_rng(1).uniform([0, 0], [640, 480], size=(5, 40, 2))
    rays = rays_in_base(pixels, CAMERA)
    points_in_base = np.array(CAMERA.position_in_base) + depth * rays
    assert project(points_in_base, CAMERA) == pytest.approx(pixels, abs=1e-9)
    forward = CAMERA.base_T_camera[:3, 0]
    assert rays @ forward == pytest.approx(np.ones((5, 40)))


def test_points_behind_the_camera_are_seen_far_outside():
    behind = np.array(CAMERA.position_in_base) - CAMERA.base_T_camera[:3, :3] @ [1.0, 0.3, 0.2]
    assert np.abs(project(behind, CAMERA)).max() > 10 * 640


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_gives_what_numpy_gives_in_its_own_dtype(dtype):
    points = np.random.default_rng(2).uniform([0.7, -0.2, -0.2], [1.1, 0.2, 0.2], size=(6, 5, 3))
    pixels, found = project(points, CAMERA), project(torch.tensor(points, dtype=dtype), CAMERA)
    assert found.dtype == dtype
    assert found.numpy() == pytest.approx(pixels, abs=1e-9 if dtype == torch.float64 else 0.05)
    rays = rays_in_base(torch.tensor(pixels, dtype=dtype), CAMERA)
    assert rays.numpy() == pytest.approx(rays_in_base(pixels, CAMERA), abs=1e-5)


def test_a_ray_through_a_window_is_the_ray_of_the_whole_image():
    small = seen_through(CAMERA, Window(0.1, 0.2, 0.6, 0.5), 64, 48)
    assert rays_in_base(np.array([32.0, 24.0]), small) == pytest.approx(
        rays_in_base(np.array([640 * (0.1 + 0.3), 480 * (0.2 + 0.25)]), CAMERA)
    )


def test_the_table_images_are_drawn_by_the_robots_camera():
    """Where a pixel of a table image says it lies on the table, the robot's camera sees that pixel."""
    view = surfaces.view()
    rows, columns = np.nonzero(view.top == 1.0)
    points_in_base = np.stack([view.x, view.y, np.zeros_like(view.x)], axis=-1)[rows, columns].astype(float)
    assert np.abs(project(points_in_base, WIDOWX_CAMERA) - np.stack([columns, rows], axis=-1)).max() < 0.01
