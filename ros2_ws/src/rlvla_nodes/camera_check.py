"""Checks a policy bundle against the arm, the control rate and the camera that it is to run with."""

import math
from dataclasses import replace
from pathlib import Path

from sensor_msgs.msg import CameraInfo, Image

from rlvla_core.environment import ACTION_SPACE
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import Window, window_of
from rlvla_core.policy.bundle import load_deploy
from rlvla_core.policy.deploy import DeploySpec, check_arm

VIEW_TOLERANCE = 0.02
"""Fraction of a side by which the view of training may reach beyond the camera's image at each end: 13 pixels of 640.
The part that is cut out may lack as many pixels at each end."""


def expected_by(bundle: str, *, robot: str, control_hz: float) -> DeploySpec:
    """What the bundle was trained with. Raises RlvlaError if there is no bundle or it is for another arm or rate."""
    if not bundle:
        raise RlvlaError("no bundle: set the parameter `bundle` to a policy bundle, e.g. runs/demo/policy")
    if not Path(bundle).is_dir():
        raise RlvlaError(f"no policy bundle at {bundle}: set the parameter `bundle` to one")
    deploy = load_deploy(Path(bundle))
    check_arm(deploy, robot=robot, control_hz=control_hz, action_space=ACTION_SPACE)
    return deploy


def training_view(deploy: DeploySpec, info: CameraInfo) -> tuple[slice, slice]:
    """Rows and columns of the camera's image that show what the camera of training shows.

    The image of a camera that sees more is cut; its size does not matter, because the policy's image transform resizes
    what is left. Where the camera stands is not checked. Raises RlvlaError for a camera that sees less than that of
    training, or has too few pixels for the part that it shows.
    """
    k, trained = info.k, deploy.camera
    numbers = (k[0], k[4], k[2], k[5])
    if not (all(map(math.isfinite, numbers)) and min(k[0], k[4], info.width, info.height) > 0):
        raise RlvlaError(
            f"the camera's image of {info.width}x{info.height} with fx, fy, cx, cy {', '.join(map(str, numbers))} is "
            "none: look at its camera_info"
        )
    camera = replace(trained, width=info.width, height=info.height, fx=k[0], fy=k[4], cx=k[2], cy=k[5])
    window = window_of(trained, camera)
    if not window.inside(VIEW_TOLERANCE):
        raise RlvlaError(
            f"the camera sees less than the bundle was trained with, which would be {_described(window)} of its "
            "image: use the camera of training or a wider lens"
        )
    rows, columns = _pixels(window.top, window.height, info.height), _pixels(window.left, window.width, info.width)
    width, height = columns.stop - columns.start, rows.stop - rows.start
    if min(width / trained.width, height / trained.height) < 1.0 - 2.0 * VIEW_TOLERANCE:
        raise RlvlaError(
            f"the camera gives {width}x{height} pixels of what the bundle was trained with, it needs "
            f"{trained.width}x{trained.height}: choose a larger image"
        )
    return rows, columns


def _pixels(first: float, length: float, size: int) -> slice:
    """The pixels of a side, `size` in all, that the fractions `first` and `length` of it cover."""
    return slice(max(0, round(first * size)), min(size, round((first + length) * size)))


def _described(window: Window) -> str:
    right, bottom = window.left + window.width, window.top + window.height
    return f"{window.left:.0%} to {right:.0%} across and {window.top:.0%} to {bottom:.0%} down"


def check_image(image: Image, info: CameraInfo) -> None:
    """Raise RlvlaError unless the image has the size that its camera_info tells."""
    if (image.width, image.height) != (info.width, info.height):
        raise RlvlaError(
            f"image of {image.width}x{image.height}, but its camera_info says {info.width}x{info.height}: "
            "restart the camera"
        )
