"""Specification of an arm in the simulated world."""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import WHOLE, CameraSpec, Window, seen_through, window_of
from rlvla_core.geometry.rotations import matrix_of_quaternion
from rlvla_core.geometry.transforms import rigid

WORKSPACE_CENTRE = (-0.16, 0.0)
"""Middle of the part of the table in which things start, world frame, metres; arms and cameras are placed around it."""
View = Literal["whole", "workspace"]
"""Which part of the camera's image is drawn: the whole image, or the window around the workspace."""
SAME_WINDOW = 1e-3
"""Two windows that differ by less than this fraction of the image's sides are the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """A joint's PD drive: torque = stiffness (target - q) - damping q', clipped to the force limit."""

    stiffness: float
    damping: float
    force_limit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RobotSpec:
    """An arm with a parallel gripper, placed in the world, and the camera that looks at it."""

    name: str
    urdf: Callable[[], Path]
    """Function that returns the path of the URDF; called when a world is built, so that files may be prepared then."""
    base_position: tuple[float, float, float]
    """Base link in the world frame, metres."""
    base_quaternion: tuple[float, float, float, float]
    """Base link in the world frame, wxyz."""
    arm_joints: tuple[str, ...]
    """Revolute joints from base to tool."""
    arm_start: tuple[float, ...]
    """Start angles, radians."""
    arm_drives: tuple[Drive, ...]
    """PD drives of the arm joints, in their order."""
    finger_joints: tuple[str, str]
    """Prismatic joints that open with growing position."""
    finger_links: tuple[str, str]
    """Links of the two fingers, in the order of `finger_joints`."""
    finger_opening_axes: tuple[tuple[float, float, float], tuple[float, float, float]]
    """Direction in which each finger opens, in its own link frame."""
    finger_closed: float
    """Finger joint target [m] at gripper action -1."""
    finger_open: float
    """Finger joint target [m] at gripper action +1."""
    finger_start: float
    """Finger joint position [m] at the start."""
    finger_drive: Drive
    """PD drive of each finger joint."""
    finger_friction: float
    """Static and dynamic friction coefficient of the fingers."""
    tcp_link: str
    """Link whose frame is the tool frame (tcp)."""
    approach_axis: tuple[float, float, float]
    """Direction in which the tool approaches an object, tool frame."""
    closing_axis: tuple[float, float, float]
    """Direction along which the fingers close, tool frame."""
    grasp_width: tuple[float, float]
    """Metres: narrowest and widest thing that the fingers take, with clearance."""
    finger_half_width: float
    """Metres: half of a finger's width, across approach and closing directions."""
    finger_reach: float
    """Metres from the tool point to the finger tips along the approach axis."""
    palm_clearance: float
    """Metres of free space behind the tool point along the approach axis."""
    camera: CameraSpec
    """The whole camera image at 640 x 480; the camera of a world's images is `seen(view, width, height)`."""
    workspace: Window = WHOLE
    """The part of the image in which all objects and receptacles of all episode sets lie."""

    def window(self, view: View) -> Window:
        """The part of the camera's image that this view shows."""
        return self.workspace if view == "workspace" else WHOLE

    def seen(self, view: View, width: int, height: int) -> CameraSpec:
        """The camera of this view, with images of `width` x `height` pixels."""
        return seen_through(self.camera, self.window(view), width, height)

    def view_of(self, camera: CameraSpec) -> View:
        """The view that this camera shows, by its intrinsics. Raises RlvlaError for one that is none of them."""
        found = window_of(camera, self.camera)
        for view in get_args(View):
            if math.dist(astuple(found), astuple(self.window(view))) < SAME_WINDOW:
                return view
        raise RlvlaError(
            f"the camera with fx, fy, cx, cy {camera.fx:g}, {camera.fy:g}, {camera.cx:g}, {camera.cy:g} of "
            f"{camera.width}x{camera.height} pixels shows no view of {self.name}: use {' or '.join(get_args(View))}"
        )

    @property
    def world_T_base(self) -> np.ndarray:
        """Pose [4, 4] of the robot base in the world frame."""
        return rigid(matrix_of_quaternion(np.array(self.base_quaternion)), np.array(self.base_position))
