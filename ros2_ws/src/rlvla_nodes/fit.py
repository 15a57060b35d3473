"""Whether a policy bundle fits the rig that it is to run on."""

from pathlib import Path

from sensor_msgs.msg import CameraInfo, Image

from rlvla_core.environment import ACTION_SPACE
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_deploy
from rlvla_core.policy.deploy import DeploySpec, check_arm

VIEW_TOLERANCE = 0.02
"""Largest difference of focal lengths and principal point, as shares of the picture's sides: 2 % of focal length move
the picture's rim by 1 %, three pixels of 640."""


def expected_by(bundle: str, *, robot: str, control_hz: float) -> DeploySpec:
    """What the bundle expects. Raises RlvlaError where there is none or it is not for this arm at this rate."""
    if not bundle:
        raise RlvlaError("no bundle: set the parameter `bundle` to a policy bundle, e.g. runs/demo/policy")
    if not Path(bundle).is_dir():
        raise RlvlaError(f"no policy bundle at {bundle}: set the parameter `bundle` to one")
    deploy = load_deploy(Path(bundle))
    check_arm(deploy, robot=robot, control_hz=control_hz, action_space=ACTION_SPACE)
    return deploy


def check_camera(deploy: DeploySpec, info: CameraInfo) -> None:
    """Raise RlvlaError unless the camera's view has the shape of training's.

    Sizes may differ, as the one image transform resizes both; what must agree are focal lengths and principal point in
    units of the picture's sides. Where the camera stands is the calibration's business.
    """
    if info.width < deploy.camera.width or info.height < deploy.camera.height:
        raise RlvlaError(
            f"the camera gives {info.width}x{info.height}, the bundle was trained with "
            f"{deploy.camera.width}x{deploy.camera.height}: choose a larger picture"
        )
    trained, w, h = deploy.camera, float(info.width), float(info.height)
    pairs = (
        ("fx / width", trained.fx / trained.width, info.k[0] / w),
        ("fy / height", trained.fy / trained.height, info.k[4] / h),
        ("cx / width", trained.cx / trained.width, info.k[2] / w),
        ("cy / height", trained.cy / trained.height, info.k[5] / h),
    )
    for name, wanted, found in pairs:
        if not abs(found - wanted) <= VIEW_TOLERANCE * max(wanted, 1.0):
            raise RlvlaError(
                f"the camera's {name} is {found:.3f}, the bundle was trained with {wanted:.3f}: use the camera of "
                "training, or crop and scale the picture to its view"
            )


def check_picture(picture: Image, info: CameraInfo) -> None:
    """Raise RlvlaError unless the picture has the size that its camera_info tells."""
    if (picture.width, picture.height) != (info.width, info.height):
        raise RlvlaError(
            f"picture of {picture.width}x{picture.height}, but its camera_info says {info.width}x{info.height}: "
            "restart the camera"
        )
