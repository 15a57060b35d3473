"""Franka Panda in the same world: description and drives of ManiSkill's wheel, base on the table, same workspace."""

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec
from rlvla_core.geometry.rotations import matrix_of_quaternion, quaternion_about_z, quaternion_product, rotation_about_z
from rlvla_sim.robots import widowx250s
from rlvla_sim.robots.light_meshes import light_urdf
from rlvla_sim.robots.spec import WORKSPACE_CENTRE, Drive, RobotSpec

BASE_POSITION = (0.455, 0.0, 0.8695)
BASE_QUATERNION = (0.0, 0.0, 0.0, 1.0)
FACES_PER_LINK = 800
"""Faces of each light visual mesh."""
CAMERA_TURN = math.radians(120.0)
"""Turn of the camera about the middle of the workspace against the WidowX's, radians."""


def stock_urdf() -> Path:
    """The description in ManiSkill's wheel, full meshes; raises RlvlaError where it is not installed."""
    spec = find_spec("mani_skill")
    if spec is None or not spec.submodule_search_locations:
        raise RlvlaError("robot `panda` needs the meshes of ManiSkill: `pip install mani-skill`")
    return Path(spec.submodule_search_locations[0]) / "assets" / "robots" / "panda" / "panda_v2.urdf"


def urdf() -> Path:
    """The same description with visual meshes of a few hundred faces, made once and cached."""
    return light_urdf(stock_urdf(), FACES_PER_LINK)


def camera() -> CameraSpec:
    """The WidowX's camera, turned about the middle of the workspace so that the larger arm hides less of it.

    Height, distance and pitch stay, so the table images fit as they do there.
    """
    view = widowx250s.CAMERA
    turn = rotation_about_z(CAMERA_TURN)
    widowx_rotation = matrix_of_quaternion(np.array(widowx250s.BASE_QUATERNION))
    centre = np.array([*WORKSPACE_CENTRE, 0.0])
    seen_from = widowx_rotation @ view.position_in_base + widowx250s.BASE_POSITION
    position = centre + turn @ (seen_from - centre)
    base_rotation = matrix_of_quaternion(np.array(BASE_QUATERNION))
    x, y, z = (base_rotation.T @ (position - BASE_POSITION)).tolist()
    # Both bases stand turned by 180 degrees and all turns are about z, so the orientation in the base turns alike.
    w, i, j, k = quaternion_product(quaternion_about_z(CAMERA_TURN), np.array(view.quaternion_in_base)).tolist()
    return replace(view, position_in_base=(x, y, z), quaternion_in_base=(w, i, j, k))


PANDA = RobotSpec(
    name="panda",
    urdf=urdf,
    base_position=BASE_POSITION,
    base_quaternion=BASE_QUATERNION,
    arm_joints=tuple(f"panda_joint{i}" for i in range(1, 8)),
    arm_start=(0.0, 0.3885, 0.0, -2.03, 0.0, 2.4185, 0.7854),
    arm_drives=(Drive(stiffness=1000.0, damping=100.0, force_limit=100.0),) * 7,
    finger_joints=("panda_finger_joint1", "panda_finger_joint2"),
    finger_links=("panda_leftfinger", "panda_rightfinger"),
    finger_opening_axes=((0.0, 1.0, 0.0), (0.0, -1.0, 0.0)),
    finger_closed=-0.01,
    finger_open=0.04,
    finger_start=0.04,
    finger_drive=Drive(stiffness=1000.0, damping=100.0, force_limit=100.0),
    finger_friction=2.0,
    tcp_link="panda_hand_tcp",
    approach_axis=(0.0, 0.0, 1.0),
    closing_axis=(0.0, 1.0, 0.0),
    grasp_width=(0.006, 0.070),
    finger_half_width=0.010,
    finger_reach=0.009,
    palm_clearance=0.034,
    camera=camera(),
)
