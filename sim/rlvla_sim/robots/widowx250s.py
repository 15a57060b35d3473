"""WidowX 250 S, as BridgeData's rigs have it: constants of the paper's world (method notes, sections 1.1 and 1.2).

It has two descriptions with the same links, joints and kinematics: our own, and the paper's for worlds with the
paper's assets. Everything else, and so what a policy bundle asks of the robot, is the same.
"""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec, Window
from rlvla_sim.robots.spec import Drive, RobotSpec

BASE_POSITION = (0.147, 0.028, 0.870)
BASE_QUATERNION = (0.0, 0.0, 0.0, 1.0)

STIFFNESS = (1169.7891719504198, 730.0, 808.4601346394447, 1229.1299089624076, 1272.2760456418862, 1056.3326605132252)
DAMPING = (330.0, 180.0, 152.12036565582588, 309.6215302722146, 201.04998711007383, 269.51458932695414)
FORCE_LIMIT = (200.0, 200.0, 100.0, 100.0, 100.0, 100.0)

CAMERA = CameraSpec(
    name="3rd_view_camera",
    width=640,
    height=480,
    fx=623.588,
    fy=623.588,
    cx=319.501,
    cy=239.545,
    position_in_base=(0.00, -0.16, 0.36),
    quaternion_in_base=(0.8992917, -0.09263245, 0.35892478, 0.23209205),
)

WORKSPACE = Window(left=70 / 640, top=50 / 480, width=460 / 640, height=380 / 480)
"""The window that shows every start place of every episode set, most of each object there, and the hand at its
start."""


def urdf() -> Path:
    """Our own description: exact kinematics, boxes and cylinders for shapes."""
    return Path(__file__).parent.parent / "data" / "widowx250s.urdf"


def paper_urdf() -> Path:
    """The description in the folder that RLVLA_ASSETS names, read in place; raises RlvlaError where a file is missing.

    Its meshes stay as they are: 11,000 triangles in all, and those of the hand, which is most of what the camera sees,
    are no heavier than light ones.
    """
    from rlvla_sim.assets.paper import named_folder

    source = named_folder() / "widowx250s" / "wx250s.urdf"
    if not source.is_file():
        raise RlvlaError(
            f"{source} is missing: put the folder `robots/widowx` that `python -m mani_skill.utils.download_asset "
            f"widowx250s` brings there as {source.parent}, or use assets=procedural"
        )
    for mesh in ElementTree.parse(source).iter("mesh"):
        path = source.parent / mesh.get("filename", "")
        if not path.is_file():
            raise RlvlaError(f"{path} is missing: copy {source.parent} again, or use assets=procedural")
    return source


WIDOWX250S = RobotSpec(
    name="widowx250s",
    urdf=urdf,
    base_position=BASE_POSITION,
    base_quaternion=BASE_QUATERNION,
    arm_joints=("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"),
    arm_start=(-0.01840777, 0.0398835, 0.22242722, -0.00460194, 1.36524296, 0.00153398),
    arm_drives=tuple(
        Drive(stiffness=k, damping=d, force_limit=f) for k, d, f in zip(STIFFNESS, DAMPING, FORCE_LIMIT, strict=True)
    ),
    finger_joints=("left_finger", "right_finger"),
    finger_links=("left_finger_link", "right_finger_link"),
    finger_opening_axes=((0.0, 1.0, 0.0), (0.0, -1.0, 0.0)),
    finger_closed=0.014,
    finger_open=0.038,
    finger_start=0.037,
    finger_drive=Drive(stiffness=1000.0, damping=200.0, force_limit=60.0),
    finger_friction=1.0,
    tcp_link="ee_gripper_link",
    approach_axis=(1.0, 0.0, 0.0),
    closing_axis=(0.0, 1.0, 0.0),
    grasp_width=(0.012, 0.052),
    finger_half_width=0.0133,
    finger_reach=0.0155,
    palm_clearance=0.019,
    camera=CAMERA,
    workspace=WORKSPACE,
)

PAPER_WIDOWX250S = replace(WIDOWX250S, urdf=paper_urdf)
