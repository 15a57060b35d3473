"""`rlvla doctor`: what works on this machine, and what to do about the rest."""

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
"""The probe takes a few seconds; a driver that has not drawn by then hangs."""

NEWEST_PYTHON = (3, 12)
"""The newest that all wheels of the simulator exist for."""

DISK_WANTED_GB = 5.0
"""The demo writes well under 1 GB; checkpoints of longer runs take the rest."""


class Verdict(Enum):
    """How a finding is to be read."""

    OK = "ok"
    OPTIONAL = "not here"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the report."""

    subject: str
    """What was looked at."""
    verdict: Verdict
    """BROKEN only where `make demo` cannot work without it."""
    detail: str
    """What was found."""
    hint: str = ""
    """What to do about it."""


def check_python() -> Finding:
    """The interpreter, and how many cores this process may use."""
    detail = f"{platform.python_version()} on {platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    if sys.version_info[:2] <= NEWEST_PYTHON:
        return Finding(subject="Python", verdict=Verdict.OK, detail=detail)
    hint = "use Python 3.10 to 3.12: the simulator has no wheels for newer ones"
    return Finding(subject="Python", verdict=Verdict.BROKEN, detail=detail, hint=hint)


def check_torch() -> Finding:
    """The tensor library and its threads."""
    try:
        import torch
    except ImportError as error:
        return Finding(subject="torch", verdict=Verdict.BROKEN, detail=str(error), hint="make setup")
    detail = f"{torch.__version__}, {torch.get_num_threads()} threads (training sets 1 a process)"
    return Finding(subject="torch", verdict=Verdict.OK, detail=detail)


def check_gpu() -> Finding:
    """An accelerator that torch can use; the tiny model does without."""
    subject = "GPU (CUDA)"
    try:
        import torch
    except ImportError:
        return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail="torch is missing", hint="make setup")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Finding(subject=subject, verdict=Verdict.OK, detail=", ".join(names))
    if shutil.which("nvidia-smi"):
        detail, hint = "a driver is here, but this torch does not use it", "install a CUDA build of torch"
    else:
        detail, hint = "none: the tiny model runs on the CPU", "needed for the openvla-7b preset only"
    return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=hint)


def check_vulkan() -> Finding:
    """Whether the simulator can draw: one image, in a process of its own, since a broken driver ends its process."""
    subject, hint = "Vulkan", f"bash scripts/vulkan.sh {sys.executable}, or a GPU driver with Vulkan"
    command = [sys.executable, "-m", "rlvla_sim.vulkan_probe"]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=VULKAN_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        detail = f"no image in {VULKAN_TIMEOUT_S:.0f} s"
        return Finding(subject=subject, verdict=Verdict.BROKEN, detail=detail, hint=hint)
    if probe.returncode != 0:
        last = (probe.stderr.strip().splitlines() or [f"the probe ended with {probe.returncode}"])[-1]
        return Finding(subject=subject, verdict=Verdict.BROKEN, detail=last, hint=hint)
    report = json.loads(probe.stdout.strip().splitlines()[-1])
    detail = f"{report['device']}, {report['driver'] or 'vendor driver'}, {report['image_ms']} ms a small image"
    return Finding(subject=subject, verdict=Verdict.OK, detail=detail)


def check_simulator() -> Finding:
    """Whether the simulator's packages are installed (not whether they draw)."""
    return check_packages("simulator", ("mani_skill", "sapien", "gymnasium", "fast_simplification"), Verdict.BROKEN)


def check_packages(subject: str, names: tuple[str, ...], missing: Verdict, hint: str = "make setup") -> Finding:
    """Whether all of `names` are installed, with their versions; nothing is imported."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if absent:
        return Finding(subject=subject, verdict=missing, detail=f"missing: {', '.join(absent)}", hint=hint)
    distributions = metadata.packages_distributions()
    versions = [f"{name} {metadata.version(distributions[name][0])}" for name in names if name in distributions]
    return Finding(subject=subject, verdict=Verdict.OK, detail=", ".join(versions) or "found")


def check_video() -> Finding:
    """An encoder for videos; without one of the first two, files are larger."""
    subject = "video"
    try:
        import av
    except ImportError as error:
        return Finding(subject=subject, verdict=Verdict.BROKEN, detail=str(error), hint="make setup")
    encoders = []
    for name in ("libx264", "libsvtav1", "mpeg4"):
        try:
            av.codec.Codec(name, "w")
        except ValueError:
            continue
        encoders.append(name)
    verdict = Verdict.OK if encoders else Verdict.BROKEN
    tool = "" if shutil.which("ffmpeg") else " (no ffmpeg command; none is needed)"
    detail = f"av {av.__version__}: {', '.join(encoders) or 'no encoder'}{tool}"
    return Finding(subject=subject, verdict=verdict, detail=detail, hint="" if encoders else "pip install av")


def check_disk() -> Finding:
    """Free space where runs are written."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    short = free < DISK_WANTED_GB
    hint = f"free some: {DISK_WANTED_GB:.0f} GB are comfortable" if short else ""
    detail = f"{free:.0f} GB free in {Path.cwd()}"
    return Finding(subject="disk", verdict=Verdict.BROKEN if free < 1 else Verdict.OK, detail=detail, hint=hint)


def check_assets() -> Finding:
    """The paper's objects, an alternative to the procedural ones."""
    folder = os.environ.get("RLVLA_ASSETS")
    subject, unset = "paper assets", "set RLVLA_ASSETS to their folder to use them"
    if not folder:
        detail = "RLVLA_ASSETS is not set: the procedural ones are used"
        return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=unset)
    if Path(folder).is_dir():
        return Finding(subject=subject, verdict=Verdict.OK, detail=folder)
    detail = f"RLVLA_ASSETS={folder} is no folder"
    return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=unset)


def version_of(package: str) -> str:
    """The installed version; a distribution of ROS may leave out the metadata that tell it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def check_kinematics() -> Finding:
    """What the arbiter computes with."""
    finding = check_packages("arm kinematics", ("pinocchio", "ruckig"), Verdict.OPTIONAL, "pip install pin ruckig")
    if finding.verdict is not Verdict.OK:
        return finding
    return replace(finding, detail=f"pinocchio {version_of('pin')}, ruckig {version_of('ruckig')}")


ROS_WAY_OUT = "make ros installs wheels of it, or source /opt/ros/<distro>/setup.bash before you start (docs/ros2.md)"


def check_ros() -> Finding:
    """ROS 2's Python client, its middleware and its distribution; only robots need it."""
    subject, named = "ROS 2", os.environ.get("ROS_DISTRO")
    if importlib.util.find_spec("rclpy") is None:
        detail = "rclpy is not importable" + (f", though ROS_DISTRO={named}" if named else "")
        return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=ROS_WAY_OUT)
    version = version_of("rclpy")
    distribution = named or RCLPY_OF.get(version.partition(".")[0], "an unknown distribution")
    middleware = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    detail = f"rclpy {version} ({distribution}), {middleware}"
    if middleware == "rmw_fastrtps_cpp":
        return Finding(subject=subject, verdict=Verdict.OK, detail=detail)
    hint = "tried with rmw_fastrtps_cpp only: unset RMW_IMPLEMENTATION"
    return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=hint)


RCLPY_OF = {"7": "jazzy", "9": "kilted"}
"""First number of rclpy's version -> distribution, for wheels, which set no ROS_DISTRO."""


def check_messages() -> Finding:
    """The graph's own messages, which are built here."""
    subject = "ROS 2 messages"
    if importlib.util.find_spec("rlvla_msgs") is not None:
        return Finding(subject=subject, verdict=Verdict.OK, detail="rlvla_msgs is built")
    hint = "make ros, or colcon build and source install/setup.bash (docs/ros2.md)"
    return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail="rlvla_msgs is not built", hint=hint)


def check_ros_launch() -> Finding:
    """The `ros2 launch` command, and whether ROS 2 sees this package; `rlvla run` needs neither."""
    subject = "ros2 launch"
    if shutil.which("ros2") is None or importlib.util.find_spec("launch_ros") is None:
        detail = "needed by nobody here: `rlvla run` starts the same graph"
        hint = "it comes with a ROS 2 distribution, not by pip"
        return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=hint)
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    found = [prefix for prefix in prefixes if (prefix / "share/ament_index/resource_index/packages/rlvla").is_file()]
    if found:
        return Finding(subject=subject, verdict=Verdict.OK, detail=f"sees the package rlvla in {found[0]}")
    detail, hint = "does not see the package rlvla", "colcon build, then source install/setup.bash (docs/ros2.md)"
    return Finding(subject=subject, verdict=Verdict.OPTIONAL, detail=detail, hint=hint)


ROBOT_EXTRAS = (
    ("RealSense camera", "pyrealsense2", "pyrealsense2"),
    ("Franka arm", "franky", "franky-control"),
    ("WidowX AI arm", "trossen_arm", "trossen-arm"),
    ("WidowX 250 S arm", "dynamixel_sdk", "dynamixel-sdk"),
    ("SpaceMouse", "pyspacemouse", "pyspacemouse"),
)
"""What it is for, the module, the package that brings it."""


def main_path() -> list[Callable[[], Finding]]:
    """The checks of what `make demo` needs."""
    return [check_python, check_torch, check_simulator, check_vulkan, check_video, check_disk]


def extras() -> Iterable[Finding]:
    """The checks of what it does not."""
    yield check_gpu()
    yield check_assets()
    yield check_ros()
    yield check_messages()
    yield check_ros_launch()
    yield check_kinematics()
    for subject, module, package in ROBOT_EXTRAS:
        yield check_packages(subject, (module,), Verdict.OPTIONAL, f"pip install {package}, where you have one")


def first_broken() -> Finding | None:
    """The first finding that stops the main path, or None."""
    return next((finding for check in main_path() if (finding := check()).verdict is Verdict.BROKEN), None)


def as_text(title: str, findings: Iterable[Finding]) -> Text:
    """Findings as they are printed: one line each, and a second one with the way out where there is one."""
    styles = {Verdict.OK: "green", Verdict.OPTIONAL: "yellow", Verdict.BROKEN: "bold red"}
    text = Text(f"{title}\n", style="")
    for finding in findings:
        text.append(f"  {finding.verdict.value:<9} ", style=styles[finding.verdict])
        text.append(f"{finding.subject:<19} {finding.detail}\n")
        if finding.hint:
            text.append(f"{'':<32}-> {finding.hint}\n", style="dim")
    return text


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Looks at Python, torch, the simulator, Vulkan, video, disk, ROS 2 and the optional extras.

    Exit code 1 where `make demo` cannot work on this machine, 0 otherwise.
    """

    json: bool = False
    """Print the findings as one line of JSON."""

    def run(self) -> int:
        """Look, report, and say whether the main path stands."""
        needed = [check() for check in main_path()]
        optional = list(extras())
        broken = [finding.subject for finding in needed if finding.verdict is Verdict.BROKEN]
        if self.json:
            print(json.dumps([{**_plain(finding)} for finding in needed + optional]))
            return int(bool(broken))
        console = Console()
        console.print(as_text("Needed", needed), soft_wrap=True, highlight=False)
        console.print(as_text("Optional", optional), soft_wrap=True, highlight=False)
        console.print(f"Broken: {', '.join(broken)}." if broken else "`make demo` can run here.")
        return int(bool(broken))


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "subject": finding.subject,
        "verdict": finding.verdict.value,
        "detail": finding.detail,
        "hint": finding.hint,
    }
