"""Pinhole cameras: where a point is in the image, what a pixel looks along, and windows of an image.

A camera frame is x forward, y left, z up (SAPIEN's convention; OpenCV's is z forward, x right, y down). Pixels are (u
right, v down), counted from the image's upper left corner.
"""

from dataclasses import dataclass, replace

import numpy as np

from rlvla_core.geometry.backend import Array, array_like, array_module
from rlvla_core.geometry.rotations import matrix_of_quaternion
from rlvla_core.geometry.transforms import rigid

NEAREST = 1e-3
"""Metres: what is less far in front of a camera, or behind it, is projected as if it were that far in front."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraSpec:
    """A pinhole camera: intrinsics in pixels and its pose in the robot base frame."""

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    position_in_base: tuple[float, float, float]
    """Metres."""
    quaternion_in_base: tuple[float, float, float, float]
    """Unit quaternion wxyz of the camera frame: x forward, y left, z up."""

    @property
    def base_T_camera(self) -> np.ndarray:
        """Pose [4, 4] of the camera in the robot base frame, float64."""
        return rigid(matrix_of_quaternion(np.array(self.quaternion_in_base)), np.array(self.position_in_base))


def project(points_in_base: Array, camera: CameraSpec) -> Array:
    """Pixels [..., 2] at which a camera sees points [..., 3] (metres, base frame); dtype and device are the points'.

    In the camera frame u = cx - fx y / x and v = cy - fy z / x. Points behind the camera are clamped to 1 mm before it
    and so land far outside the image.
    """
    xp = array_module(points_in_base)
    rotation = matrix_of_quaternion(array_like(camera.quaternion_in_base, points_in_base))
    position = array_like(camera.position_in_base, points_in_base)
    forward, left, up = xp.moveaxis((points_in_base - position) @ rotation, -1, 0)
    forward = xp.clip(forward, NEAREST, None)
    return xp.stack([camera.cx - camera.fx * left / forward, camera.cy - camera.fy * up / forward], -1)


def rays_in_base(pixels: Array, camera: CameraSpec) -> Array:
    """Directions [..., 3] in the base frame that a camera's pixels [..., 2] look along, as long as to be 1 forward.

    The inverse of `project`: camera position + depth times ray is seen at the pixel, for every depth along the forward
    axis.
    """
    xp = array_module(pixels)
    u, v = xp.moveaxis(pixels, -1, 0)
    rays_in_camera = xp.stack([xp.ones_like(u), -(u - camera.cx) / camera.fx, -(v - camera.cy) / camera.fy], -1)
    return rays_in_camera @ matrix_of_quaternion(array_like(camera.quaternion_in_base, pixels)).swapaxes(-1, -2)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of an image, in fractions of the image's width and height."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def inside(self, slack: float) -> bool:
        """Whether the image contains the whole window, give or take `slack` (a fraction of the image's sides)."""
        ends = (self.left + self.width, self.top + self.height)
        return min(self.left, self.top) >= -slack and max(ends) <= 1.0 + slack


WHOLE = Window()
"""The window that is the whole image."""


def seen_through(camera: CameraSpec, window: Window, width: int, height: int) -> CameraSpec:
    """The camera whose image of `width` x `height` pixels shows that window of `camera`'s image.

    Where the aspect ratio is not the window's, the image is squeezed: fx and fy are scaled by different factors.
    """
    x, y = width / (window.width * camera.width), height / (window.height * camera.height)
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * x,
        fy=camera.fy * y,
        cx=(camera.cx - window.left * camera.width) * x,
        cy=(camera.cy - window.top * camera.height) * y,
    )


def window_of(view: CameraSpec, camera: CameraSpec) -> Window:
    """The window of `camera`'s image that shows what `view` shows, by their intrinsics: inverse of `seen_through`.

    The window reaches beyond the image where `camera` sees less than `view`.
    """
    x, y = camera.fx / view.fx, camera.fy / view.fy  # pixels of the camera in one of the view's
    return Window(
        left=(camera.cx - view.cx * x) / camera.width,
        top=(camera.cy - view.cy * y) / camera.height,
        width=view.width * x / camera.width,
        height=view.height * y / camera.height,
    )
