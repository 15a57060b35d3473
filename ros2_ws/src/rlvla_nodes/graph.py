"""The graph of nodes: which of them run, with which parameters. `ros2 launch` and `rlvla run` both read it.

Nothing here imports ROS: the launch file and the supervisor turn a `NodeSpec` into a process each in their own way.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rlvla_core.errors import RlvlaError
from rlvla_nodes.config_files import config_folder, existing
from rlvla_nodes.robots import RobotEntry, robot_entry

FASTDDS_PROFILE = "fastdds_large_shm.xml"
"""Profile that gives Fast DDS room for whole images in shared memory; without it most 640x480 images are lost."""
RESPAWN_DELAY_S = 1.0
"""A node that was killed comes back after this time, seconds."""


SimView = Literal["whole", "workspace"]
"""What the simulated camera shows: all that it sees, or the part around the working area."""


@dataclass(frozen=True, kw_only=True)
class SimSettings:
    """Settings of a simulated robot; a real arm has none of them."""

    episode: int = 0
    """Id of the episode that the simulated robot starts with."""
    episode_set: str = "train"
    """Episode set that the episode id indexes, such as train."""
    max_steps: int = 0
    """Time limit of an episode, in control periods; 0: no limit."""
    image_width: int = 640
    """Width of the simulated camera's image, pixels."""
    image_height: int = 480
    """Height of the simulated camera's image, pixels."""
    view: SimView = "whole"
    """What the simulated camera shows: whole (all that it sees; the policy cuts out the part that it was trained with)
    or workspace (the part around the working area)."""
    table_penetration_m: float = 0.03
    """Depth to which the hand may be commanded into the table, as in training, metres; 0: as on a real arm."""
    lock_step: bool = False
    """Whether the simulated world waits for the policy, however slow it is; for comparisons with training."""


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """A policy on an arm, with a camera, a person who can take over, and one node that commands the arm."""

    bundle: str = ""
    """Directory of the policy bundle, e.g. runs/demo/policy."""
    robot: str = "sim"
    """Robot to run on: sim (the simulator's WidowX) or sim_panda (the simulator's Panda)."""
    instruction: str = ""
    """What the policy is to do, e.g. "put carrot on plate"; empty: the instruction of the simulated episode."""
    camera: Literal["sim", "file", "v4l2", "external"] = "sim"
    """Where images come from: sim (the simulator), file or v4l2 (camera_node), or external (a driver such as
    realsense2_camera publishes them already)."""
    camera_source: str = ""
    """Path of the images for camera file (a video or a folder) or v4l2 (the device, e.g. /dev/video0)."""
    camera_info: str = ""
    """Path of the camera_info YAML file with the camera's intrinsics, for camera file and v4l2."""
    camera_hz: float = 10.0
    """Images a second of the simulated camera, of a file or of a v4l2 device."""
    teleop: Literal["none", "keyboard", "gamepad", "spacemouse_joy", "spacemouse"] = "none"
    """Device with which a person can take over: gamepad and spacemouse_joy listen to sensor_msgs/Joy, spacemouse uses
    pyspacemouse, keyboard needs a terminal of its own."""
    autostart: Literal["none", "ready", "policy"] = "policy"
    """How far the arbiter goes by itself: policy (simulated arms only) lets the policy move the arm, ready enables
    the arm and waits for the event start, none waits for the events enable and start."""
    temperature: float = 0.0
    """Sampling temperature of the action tokens; 0 = greedy."""
    config: str = ""
    """Folder of nodes.yaml, arms/, gamepads/ and fastdds_large_shm.xml; empty: the one that came with the package."""
    sim: SimSettings = field(default_factory=SimSettings)
    """Settings of a simulated robot."""


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """One process of the graph."""

    name: str
    """The node's name, one of rlvla_nodes.NODES."""
    parameters: dict[str, Any]
    """Parameters that follow from the settings; they win over those of the files."""
    parameter_files: tuple[str, ...]
    """Paths of ROS parameter files, read first."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables that the process needs."""


SIMULATED_SLACK = 5.0
"""Parameter tracking_slack of arbiter_node for a simulated arm."""


def describe(settings: GraphSettings) -> list[NodeSpec]:
    """The processes of these settings. Raises RlvlaError, before anything is started, for what cannot work."""
    robot, sim = robot_entry(settings.robot), settings.sim
    _check(settings, robot)
    folder = config_folder(settings.config)
    arm_file = existing(folder / "arms" / f"{robot.arm}.yaml")
    files = (str(existing(folder / "nodes.yaml")),)
    environment = transport_environment(folder)
    shared = {"lock_step": sim.lock_step}

    def node(name: str, parameters: Mapping[str, Any]) -> NodeSpec:
        return NodeSpec(name=name, parameters=dict(parameters), parameter_files=files, environment=environment)

    policy: dict[str, Any] = {"bundle": str(Path(settings.bundle).resolve()), "robot": robot.sim_twin}
    policy |= {"temperature": settings.temperature, "instruction": settings.instruction}
    arbiter = {"arm": str(arm_file), "simulated": robot.simulated, "autostart": settings.autostart}
    if robot.simulated:
        arbiter |= {"tracking_slack": SIMULATED_SLACK, "table_penetration_m": sim.table_penetration_m}
    nodes = []
    if robot.simulated:
        names = ("episode", "episode_set", "max_steps", "image_width", "image_height", "view", "lock_step")
        world = {name: getattr(sim, name) for name in names}
        camera = {"camera": settings.camera == "sim", "camera_hz": settings.camera_hz}
        nodes.append(node("sim_robot_node", {"robot": robot.sim_twin, **world, **camera}))
    if settings.camera in ("file", "v4l2"):
        source: dict[str, Any] = {"source": settings.camera, "path": settings.camera_source}
        source |= {"camera_info": settings.camera_info, "rate_hz": settings.camera_hz}
        nodes.append(node("camera_node", source))
    nodes.append(node("arbiter_node", {**arbiter, **shared}))
    nodes.append(node("policy_node", {**policy, **shared}))
    if settings.teleop != "none":
        teleop = dict(TELEOP[settings.teleop])
        if "profile" in teleop:
            teleop["profile"] = str(existing(folder / "gamepads" / f"{teleop['profile']}.yaml"))
        nodes.append(node("teleop_node", teleop))
    if robot.simulated:
        nodes.append(node("trial_node", {}))
    return nodes


TELEOP: dict[str, dict[str, Any]] = {
    "keyboard": {"device": "keyboard"},
    "gamepad": {"device": "joy", "profile": "gamepad"},
    "spacemouse_joy": {"device": "joy", "profile": "spacemouse"},
    "spacemouse": {"device": "spacemouse", "profile": "spacemouse"},
}
"""Value of the option `teleop` -> parameters of teleop_node; a profile is a file in config/gamepads."""


def _check(settings: GraphSettings, robot: RobotEntry) -> None:
    if not settings.bundle:
        raise RlvlaError(
            "no bundle: give the directory of a policy bundle, --bundle runs/demo/policy (ros2 launch: bundle:=...)"
        )
    if not (Path(settings.bundle) / "config.json").is_file():
        raise RlvlaError(f"{settings.bundle} is no policy bundle (no config.json): `make demo` writes runs/demo/policy")
    if settings.camera == "sim" and not robot.simulated:
        raise RlvlaError(f"camera sim needs a simulated robot, not {settings.robot}: choose file, v4l2 or external")
    if settings.camera in ("file", "v4l2") and not (settings.camera_source and settings.camera_info):
        raise RlvlaError(f"camera {settings.camera} needs camera_source and camera_info (a camera_info YAML file)")
    if settings.autostart == "policy" and not robot.simulated:
        raise RlvlaError(f"autostart policy is for simulated arms: on {settings.robot} a person presses start")
    if settings.sim.lock_step and not (robot.simulated and settings.camera == "sim"):
        raise RlvlaError("lock_step needs a simulated robot and its camera: a real world does not wait")
    if settings.sim.lock_step and settings.teleop != "none":
        raise RlvlaError("lock_step leaves no time for a person: set teleop to none")


def transport_environment(folder: Path) -> dict[str, str]:
    """Environment variables of every node: Fast DDS's profile, and discovery on this machine only.

    A variable that the user has set already is left out.
    """
    # Fast DDS 2 (Jazzy) knows the older name only; Fast DDS 3 (Kilted) warns about it.
    library = "FASTRTPS" if os.environ.get("ROS_DISTRO") == "jazzy" else "FASTDDS"
    wanted = {
        f"{library}_DEFAULT_PROFILES_FILE": str(existing(folder / FASTDDS_PROFILE)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    return {key: value for key, value in wanted.items() if key not in os.environ}


def write_parameters(spec: NodeSpec, folder: Path) -> Path:
    """Write the spec's own parameters to a ROS parameter file in `folder`; returns its path.

    The file is UTF-8 in every locale, and its strings stay strings: unquoted, ROS would read the words n and 1e3 as a
    truth value and a number.
    """
    path = folder / f"{spec.name}.yaml"
    content = {f"/**/{spec.name}": {"ros__parameters": spec.parameters}}
    path.write_text(yaml.dump(content, Dumper=_QuotingDumper, allow_unicode=True), encoding="utf-8")
    return path


class _QuotingDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, with every string in quotes."""


_QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)
