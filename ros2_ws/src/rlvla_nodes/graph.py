"""The graph of nodes: which run, with which parameters. One description for `ros2 launch` and for `rlvla run`.

Nothing here imports ROS: the launch file and the supervisor turn a `NodeSpec` into a process each in their own way.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rlvla_core.errors import RlvlaError

PACKAGE = "rlvla"
PROFILES = "fastdds_large_shm.xml"
"""Fast DDS with room for whole images in shared memory; without it most 640x480 images are lost (docs/graph.md)."""
RESPAWN_DELAY_S = 1.0
"""A node that was killed comes back after this time."""


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """A policy on an arm, with a camera, somebody who can take over, and one node that commands."""

    bundle: str = ""
    """Directory of the policy bundle, e.g. runs/demo/policy."""
    robot: str = "sim"
    """sim: the simulator's WidowX. sim_panda: its Panda. Real arms come with their drivers."""
    instruction: str = ""
    """What to do, e.g. "put carrot on plate"; empty: what the simulated episode asks for."""
    camera: Literal["sim", "file", "v4l2", "external"] = "sim"
    """sim: the simulator's. file, v4l2: camera_node. external: a driver such as realsense2_camera already publishes."""
    camera_source: str = ""
    """For file: a video or a folder of images. For v4l2: the device, e.g. /dev/video0."""
    camera_info: str = ""
    """For file and v4l2: the camera's intrinsics, a camera_info YAML file."""
    teleop: Literal["none", "keyboard", "gamepad", "spacemouse_joy", "spacemouse"] = "none"
    """Who can take over. gamepad and spacemouse_joy listen to sensor_msgs/Joy; keyboard needs a terminal of its own."""
    autostart: Literal["none", "ready", "policy"] = "policy"
    """How far the arbiter goes by itself: policy (simulated arms only), ready (waits for a start), none (waits for
    enable and start)."""
    episode: int = 0
    """Simulated robot: episode that it starts with."""
    episode_set: str = "train"
    """Simulated robot: grid that episode ids index."""
    max_steps: int = 0
    """Simulated robot: control periods after which an episode is over; 0: it never ends."""
    camera_hz: float = 10.0
    """Images a second of the simulator's camera or of a file."""
    image_width: int = 640
    """Simulated robot: pixels."""
    image_height: int = 480
    """Simulated robot: pixels."""
    view: Literal["whole", "workspace"] = "whole"
    """Simulated robot: how much of the camera's image there is; the policy cuts its part out of the whole."""
    press: float = 0.03
    """Simulated robot: metres that the hand may be commanded into the table, as in training; 0: as on a real arm."""
    lock_step: bool = False
    """Simulated robot: the world waits for the policy, however slow it is. For comparisons, not for show."""
    temperature: float = 0.0
    """Of the action tokens; 0 always takes the most likely one."""
    config: str = ""
    """Folder of nodes.yaml, arms/ and fastdds_large_shm.xml; empty: the one that came with the package."""


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """One process of the graph."""

    name: str
    """Of the node, of its executable in lib/rlvla, and of its module in rlvla_nodes."""
    parameters: dict[str, Any]
    """What the settings decide; wins over nodes.yaml."""
    parameter_files: tuple[str, ...]
    """ROS parameter files, read first."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that it needs."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a value of `robot` means."""

    arm: str
    """File in config/arms, and the robot that a bundle must have been trained for."""
    simulated: bool
    """Whether sim_robot_node plays it."""


SIMULATED_SLACK = 5.0
"""See ArbiterParameters.tracking_slack."""
ARMS = {"sim": Arm(arm="widowx250s", simulated=True), "sim_panda": Arm(arm="panda", simulated=True)}


def describe(settings: GraphSettings) -> list[NodeSpec]:
    """The processes of these settings. Raises RlvlaError, before anything is started, for what cannot work."""
    arm = ARMS.get(settings.robot)
    if arm is None:
        raise RlvlaError(f"unknown robot {settings.robot!r}: choose one of {', '.join(ARMS)}")
    _check(settings, arm)
    folder = config_folder(settings.config)
    arm_file = folder / "arms" / f"{arm.arm}.yaml"
    files = (str(_existing(folder / "nodes.yaml")),)
    environment = transport_environment(folder)
    shared = {"lock_step": settings.lock_step}

    def node(name: str, parameters: Mapping[str, Any]) -> NodeSpec:
        return NodeSpec(name=name, parameters=dict(parameters), parameter_files=files, environment=environment)

    policy = {"bundle": str(Path(settings.bundle).resolve()), "robot": arm.arm, "temperature": settings.temperature}
    arbiter = {"arm": str(_existing(arm_file)), "simulated": arm.simulated, "autostart": settings.autostart}
    if arm.simulated:
        arbiter |= {"tracking_slack": SIMULATED_SLACK, "press": settings.press}
    nodes = []
    if arm.simulated:
        rig = {name: getattr(settings, name) for name in ("episode", "episode_set", "max_steps")}
        rig |= {name: getattr(settings, name) for name in ("image_width", "image_height", "view")}
        rig |= {"camera": settings.camera == "sim", "camera_hz": settings.camera_hz}
        nodes.append(node("sim_robot_node", {"robot": arm.arm, **rig, **shared}))
    if settings.camera in ("file", "v4l2"):
        source: dict[str, Any] = {
            "source": settings.camera,
            "path": settings.camera_source,
            "camera_info": settings.camera_info,
        }
        source |= {"rate_hz": settings.camera_hz}
        nodes.append(node("camera_node", source))
    nodes.append(node("arbiter_node", {**arbiter, **shared}))
    nodes.append(node("policy_node", {**policy, "instruction": settings.instruction, **shared}))
    if settings.teleop != "none":
        nodes.append(node("teleop_node", TELEOP[settings.teleop]))
    if arm.simulated:
        nodes.append(node("trial_node", {}))
    return nodes


TELEOP: dict[str, dict[str, Any]] = {
    "keyboard": {"device": "keyboard"},
    "gamepad": {"device": "joy", "profile": "gamepad"},
    "spacemouse_joy": {"device": "joy", "profile": "spacemouse"},
    "spacemouse": {"device": "spacemouse"},
}
"""Parameters of teleop_node for each way to take over."""


def _check(settings: GraphSettings, arm: Arm) -> None:
    if not settings.bundle:
        raise RlvlaError("no bundle: give the directory of a policy bundle, e.g. bundle:=runs/demo/policy")
    if not (Path(settings.bundle) / "config.json").is_file():
        raise RlvlaError(f"{settings.bundle} is no policy bundle (no config.json): `make demo` writes runs/demo/policy")
    if settings.camera == "sim" and not arm.simulated:
        raise RlvlaError(f"camera sim needs a simulated robot, not {settings.robot}: choose file, v4l2 or external")
    if settings.camera in ("file", "v4l2") and not (settings.camera_source and settings.camera_info):
        raise RlvlaError(f"camera {settings.camera} needs camera_source and camera_info (a camera_info YAML file)")
    if settings.autostart == "policy" and not arm.simulated:
        raise RlvlaError(f"autostart policy is for simulated arms: on {settings.robot} a person presses start")
    if settings.lock_step and not (arm.simulated and settings.camera == "sim"):
        raise RlvlaError("lock_step needs a simulated robot and its camera: a real world does not wait")
    if settings.lock_step and settings.teleop != "none":
        raise RlvlaError("lock_step leaves no time for a person: set teleop to none")


def config_folder(given: str) -> Path:
    """The configuration folder: the given one, or the one that came with this very code.

    That is the repository's for a checkout (also behind `pip install -e` and `colcon build --symlink-install`), else
    share/rlvla/config of the prefix that the code was installed to, else of one that ROS 2 knows.
    """
    if given:
        return _existing(Path(given))
    parents = Path(__file__).resolve().parents
    known = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = [*parents[4:5], *(Path(prefix) for prefix in known if prefix)]
    candidates = [repository / "config" for repository in parents[3:4] if (repository / "package.xml").is_file()]
    candidates += [prefix / "share" / PACKAGE / "config" for prefix in prefixes]
    for candidate in candidates:
        if (candidate / "nodes.yaml").is_file():
            return candidate
    raise RlvlaError("the package's config folder is not installed: set config to the repository's config folder")


def transport_environment(folder: Path) -> dict[str, str]:
    """Variables of every node: Fast DDS's profile, and discovery on this machine only; the user's own win."""
    # Fast DDS 2 (Jazzy) knows the older name only; Fast DDS 3 (Kilted) warns about it.
    library = "FASTRTPS" if os.environ.get("ROS_DISTRO") == "jazzy" else "FASTDDS"
    wanted = {
        f"{library}_DEFAULT_PROFILES_FILE": str(_existing(folder / PROFILES)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    return {key: value for key, value in wanted.items() if key not in os.environ}


def write_parameters(spec: NodeSpec, folder: Path) -> Path:
    """The spec's own parameters as a ROS parameter file in `folder`."""
    path = folder / f"{spec.name}.yaml"
    path.write_text(yaml.safe_dump({f"/**/{spec.name}": {"ros__parameters": spec.parameters}}, allow_unicode=True))
    return path


def _existing(path: Path) -> Path:
    if not path.exists():
        raise RlvlaError(f"{path} is missing: set config to a folder that has it, or install the package again")
    return path
