"""`rlvla doctor`: check what works on this machine, and say how to repair the rest."""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.text import Text

VULKAN_TIMEOUT_S = 120.0
"""Time limit of the Vulkan probe in seconds; it takes a few, and a driver that takes longer hangs."""

NEWEST_PYTHON = (3, 12)
"""Newest Python version for which all wheels of the simulator exist."""

DISK_WANTED_GB = 5.0
"""Recommended free disk space in GB: the demo writes less than 1 GB, checkpoints of longer runs more."""


class Health(Enum):
    """State of one thing that was checked: it works, is missing but optional, or stops `make demo`."""

    OK = "ok"
    OPTIONAL = "not here"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Result of one check: a line of the report."""

    subject: str
    """What was checked, e.g. `Vulkan`."""
    health: Health
    """Its state; BROKEN only if `make demo` cannot work without it."""
    detail: str
    """What was found, e.g. versions or an error."""
    hint: str = ""
    """How to repair or install it."""


def check_python() -> Finding:
    """Check the version of Python, and show how many cores this process may use."""
    detail = f"{platform.python_version()} on {platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    if sys.version_info[:2] <= NEWEST_PYTHON:
        return Finding(subject="Python", health=Health.OK, detail=detail)
    hint = "use Python 3.10 to 3.12: the simulator has no wheels for newer ones"
    return Finding(subject="Python", health=Health.BROKEN, detail=detail, hint=hint)


def check_torch() -> Finding:
    """Check that torch can be imported."""
    try:
        import torch
    except ImportError as error:
        return Finding(subject="torch", health=Health.BROKEN, detail=str(error), hint="make setup")
    detail = f"{torch.__version__}, {torch.get_num_threads()} threads (training uses 1 per process)"
    return Finding(subject="torch", health=Health.OK, detail=detail)


def check_gpu() -> Finding:
    """Look for a GPU that torch can use; the `tiny` model needs none."""
    subject = "GPU (CUDA)"
    try:
        import torch
    except ImportError:
        return Finding(subject=subject, health=Health.OPTIONAL, detail="torch is missing", hint="make setup")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Finding(subject=subject, health=Health.OK, detail=", ".join(names))
    if shutil.which("nvidia-smi"):
        detail, hint = "an NVIDIA driver is installed, but this torch cannot use it", "install a CUDA build of torch"
    else:
        detail, hint = "none: the tiny model runs on the CPU", "needed for the openvla-7b preset only"
    return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=hint)


def check_vulkan() -> Finding:
    """Check that the simulator can draw an image; in a separate process, because a broken driver ends its process."""
    subject, hint = "Vulkan", f"bash scripts/vulkan.sh {sys.executable}, or a GPU driver with Vulkan"
    command = [sys.executable, "-m", "rlvla_sim.vulkan_probe"]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=VULKAN_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        detail = f"no image within {VULKAN_TIMEOUT_S:.0f} s"
        return Finding(subject=subject, health=Health.BROKEN, detail=detail, hint=hint)
    if probe.returncode != 0:
        last = (probe.stderr.strip().splitlines() or [f"the probe ended with {probe.returncode}"])[-1]
        return Finding(subject=subject, health=Health.BROKEN, detail=last, hint=hint)
    report = json.loads(probe.stdout.strip().splitlines()[-1])
    detail = f"{report['device']}, {report['driver'] or 'vendor driver'}, {report['image_ms']} ms per small image"
    return Finding(subject=subject, health=Health.OK, detail=detail)


def check_simulator() -> Finding:
    """Check that the Python packages of the simulator are installed; whether they can draw is another check."""
    return check_packages("simulator", ("mani_skill", "sapien", "gymnasium", "fast_simplification"), Health.BROKEN)


def check_packages(subject: str, names: tuple[str, ...], missing: Health, hint: str = "make setup") -> Finding:
    """Check that the Python modules `names` are installed, without importing them; `missing` is the state otherwise."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if absent:
        return Finding(subject=subject, health=missing, detail=f"missing: {', '.join(absent)}", hint=hint)
    distributions = metadata.packages_distributions()
    versions = [f"{name} {metadata.version(distributions[name][0])}" for name in names if name in distributions]
    return Finding(subject=subject, health=Health.OK, detail=", ".join(versions) or "found")


def check_video() -> Finding:
    """Check that videos can be encoded; with only the last of the three encoders, files are larger."""
    subject = "video"
    try:
        import av
    except ImportError as error:
        return Finding(subject=subject, health=Health.BROKEN, detail=str(error), hint="make setup")
    encoders = []
    for name in ("libx264", "libsvtav1", "mpeg4"):
        try:
            av.codec.Codec(name, "w")
        except ValueError:
            continue
        encoders.append(name)
    health = Health.OK if encoders else Health.BROKEN
    tool = "" if shutil.which("ffmpeg") else " (no ffmpeg command; none is needed)"
    detail = f"av {av.__version__}: {', '.join(encoders) or 'no encoder'}{tool}"
    return Finding(subject=subject, health=health, detail=detail, hint="" if encoders else "pip install av")


def check_disk() -> Finding:
    """Check the free disk space in the current directory, where runs are written by default."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    short = free < DISK_WANTED_GB
    hint = f"free some space: {DISK_WANTED_GB:.0f} GB are recommended" if short else ""
    detail = f"{free:.0f} GB free in {Path.cwd()}"
    return Finding(subject="disk", health=Health.BROKEN if free < 1 else Health.OK, detail=detail, hint=hint)


def check_assets() -> Finding:
    """Look for the paper's assets, an alternative to the generated ones."""
    folder = os.environ.get("RLVLA_ASSETS")
    subject, unset = "paper assets", "download them with `rlvla assets fetch` and set RLVLA_ASSETS to their folder"
    if not folder:
        detail = "RLVLA_ASSETS is not set: the generated assets are used"
        return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=unset)
    if Path(folder).is_dir():
        return Finding(subject=subject, health=Health.OK, detail=folder)
    detail = f"RLVLA_ASSETS={folder} is not a folder"
    return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=unset)


def version_of(package: str) -> str:
    """The installed version of a package; packages of a ROS distribution may lack the metadata that contain it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def check_kinematics() -> Finding:
    """Look for the kinematics libraries that the arbiter node needs."""
    finding = check_packages("arm kinematics", ("pinocchio", "ruckig"), Health.OPTIONAL, "pip install pin ruckig")
    if finding.health is not Health.OK:
        return finding
    return replace(finding, detail=f"pinocchio {version_of('pin')}, ruckig {version_of('ruckig')}")


ROS_HINT = "run `make ros`, or source /opt/ros/<distro>/setup.bash first (docs/how-to/install_ros2.md)"


def check_ros() -> Finding:
    """Look for ROS 2: its Python client rclpy, its distribution and its middleware. Only `rlvla run` needs it."""
    subject, named = "ROS 2", os.environ.get("ROS_DISTRO")
    if importlib.util.find_spec("rclpy") is None:
        detail = "rclpy is not importable" + (f", though ROS_DISTRO={named}" if named else "")
        return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=ROS_HINT)
    version = version_of("rclpy")
    distribution = named or RCLPY_OF.get(version.partition(".")[0], "an unknown distribution")
    middleware = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    detail = f"rclpy {version} ({distribution}), {middleware}"
    if middleware == "rmw_fastrtps_cpp":
        return Finding(subject=subject, health=Health.OK, detail=detail)
    hint = "only rmw_fastrtps_cpp is tested: unset RMW_IMPLEMENTATION"
    return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=hint)


RCLPY_OF = {"7": "jazzy", "9": "kilted"}
"""Major version of rclpy -> ROS 2 distribution, for wheels, which do not set ROS_DISTRO."""


def check_messages() -> Finding:
    """Look for rlvla_msgs, the ROS 2 messages of this project, which must be built on the machine."""
    subject = "ROS 2 messages"
    if importlib.util.find_spec("rlvla_msgs") is not None:
        return Finding(subject=subject, health=Health.OK, detail="rlvla_msgs is built")
    hint = "run `make ros`, or `colcon build` and source install/setup.bash (docs/how-to/install_ros2.md)"
    return Finding(subject=subject, health=Health.OPTIONAL, detail="rlvla_msgs is not built", hint=hint)


def check_ros_launch() -> Finding:
    """Look for the `ros2 launch` command, and check that it finds this package; `rlvla run` needs neither."""
    subject = "ros2 launch"
    if shutil.which("ros2") is None or importlib.util.find_spec("launch_ros") is None:
        detail = "not installed, and not needed: `rlvla run` starts the same nodes"
        hint = "it comes with a ROS 2 distribution, pip does not have it"
        return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=hint)
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    found = [prefix for prefix in prefixes if (prefix / "share/ament_index/resource_index/packages/rlvla").is_file()]
    if found:
        return Finding(subject=subject, health=Health.OK, detail=f"finds the package rlvla in {found[0]}")
    detail, hint = (
        "does not find the package rlvla",
        "run `colcon build`, then source install/setup.bash (docs/how-to/install_ros2.md)",
    )
    return Finding(subject=subject, health=Health.OPTIONAL, detail=detail, hint=hint)


ROBOT_EXTRAS = (
    ("RealSense camera", "pyrealsense2", "pyrealsense2"),
    ("Franka arm", "franky", "franky-control"),
    ("WidowX AI arm", "trossen_arm", "trossen-arm"),
    ("WidowX 250 S arm", "dynamixel_sdk", "dynamixel-sdk"),
    ("SpaceMouse", "pyspacemouse", "pyspacemouse"),
)
"""(device, Python module of its driver, package that contains the module)."""


def main_path() -> list[Callable[[], Finding]]:
    """Checks of everything that `make demo` needs."""
    return [check_python, check_torch, check_simulator, check_vulkan, check_video, check_disk]


def extras() -> Iterable[Finding]:
    """Results of the checks of everything that `make demo` does not need."""
    yield check_gpu()
    yield check_assets()
    yield check_ros()
    yield check_messages()
    yield check_ros_launch()
    yield check_kinematics()
    for subject, module, package in ROBOT_EXTRAS:
        yield check_packages(subject, (module,), Health.OPTIONAL, f"pip install {package}, if you have this device")


def first_broken() -> Finding | None:
    """The first finding that stops `make demo`; None if everything that it needs works."""
    return next((finding for check in main_path() if (finding := check()).health is Health.BROKEN), None)


def as_text(title: str, findings: Iterable[Finding]) -> Text:
    """Findings as text for the terminal: one line each, and a second line with the hint if there is one."""
    styles = {Health.OK: "green", Health.OPTIONAL: "yellow", Health.BROKEN: "bold red"}
    text = Text(f"{title}\n", style="")
    for finding in findings:
        text.append(f"  {finding.health.value:<9} ", style=styles[finding.health])
        text.append(f"{finding.subject:<19} {finding.detail}\n")
        if finding.hint:
            text.append(f"{'':<32}-> {finding.hint}\n", style="dim")
    return text


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check Python, torch, simulator, Vulkan, video, disk, ROS 2 and robot drivers, and say how to repair what fails.

    Reads only the machine and writes no files. Exit code 1 if `make demo` cannot work on this machine, 0 otherwise.
    """

    json: bool = False
    """Print the findings as one line of JSON."""

    def run(self) -> int:
        """Run all checks and print the findings; returns the exit code."""
        needed = [check() for check in main_path()]
        optional = list(extras())
        broken = [finding.subject for finding in needed if finding.health is Health.BROKEN]
        if self.json:
            print(json.dumps([_plain(finding) for finding in needed + optional]))
            return int(bool(broken))
        console = Console()
        console.print(as_text("Needed", needed), soft_wrap=True, highlight=False)
        console.print(as_text("Optional", optional), soft_wrap=True, highlight=False)
        console.print(f"Broken: {', '.join(broken)}." if broken else "`make demo` can run here.")
        return int(bool(broken))


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "subject": finding.subject,
        "health": finding.health.value,
        "detail": finding.detail,
        "hint": finding.hint,
    }
