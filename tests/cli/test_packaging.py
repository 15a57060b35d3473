"""What `pip install` and ROS 2 get to see."""

import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rlvla_core import __version__

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"rlvla": ROOT / "rlvla", "rlvla_core": ROOT / "rlvla_core", "rlvla_sim": ROOT / "sim" / "rlvla_sim"}
NODES = ROOT / "ros2_ws" / "src" / "rlvla_nodes"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel that is built, without network, from what git would commit."""
    source, out = tmp_path_factory.mktemp("source tree"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), "."]
    subprocess.run(pip, cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def wheel(archive: zipfile.ZipFile) -> set[str]:
    """Names of the files in it."""
    return set(archive.namelist())


@pytest.fixture(scope="module")
def package_metadata(archive: zipfile.ZipFile) -> Message:
    """What pip reads of it."""
    return message_from_bytes(archive.read(f"rlvla-{__version__}.dist-info/METADATA"))


def test_wheel_holds_every_module_and_every_data_file(wheel: set[str]) -> None:
    for package, folder in PACKAGES.items():
        wanted = {
            f"{package}/{path.relative_to(folder)}"
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        }
        assert wanted - wheel == set()


def test_wheel_holds_the_nodes(wheel: set[str]) -> None:
    wanted = {f"rlvla_nodes/{path.relative_to(NODES)}" for path in NODES.rglob("*.py")}
    assert {"rlvla_nodes/teleop/joy.py", "rlvla_nodes/camera/v4l2.py"} <= wanted
    assert wanted - wheel == set()


def test_installed_package_is_visible_to_ros(archive: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel = str(archive.filename)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--prefix", str(tmp_path), wheel]
    subprocess.run([*pip, "--ignore-installed"], check=True, capture_output=True, cwd=tmp_path)
    assert (tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "rlvla").is_file()
    share = tmp_path / "share" / "rlvla"
    assert (share / "package.xml").read_text() == (ROOT / "package.xml").read_text()
    for folder in ("launch", "config"):
        wanted = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.*") if path.suffix != ".pyc"}
        found = {path.relative_to(share / folder) for path in (share / folder).rglob("*.*") if path.suffix != ".pyc"}
        assert found == wanted - {path for path in wanted if "__pycache__" in path.parts}
    # `ros2 launch` looks here and nowhere else, and runs them by the Python that comes first in the path.
    executables = {path.name: path for path in (tmp_path / "lib" / "rlvla").iterdir()}
    assert set(executables) == {path.stem for path in NODES.glob("*_node.py")}
    for path in executables.values():
        assert path.stat().st_mode & 0o111 == 0o111
        assert path.read_text().startswith("#!/usr/bin/env python3\n")


def test_colcon_finds_both_packages() -> None:
    pytest.importorskip("colcon_ros", reason="no colcon here: it comes with the extra ros-build")
    program = "import sys; from colcon_core.command import main; sys.exit(main(argv=['list']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {tuple(line.split()) for line in done.stdout.splitlines()} == {
        ("rlvla", ".", "(ros.ament_python)"),
        ("rlvla_msgs", "ros2_ws/src/rlvla_msgs", "(ros.ament_cmake)"),
    }


def test_ros_packages_that_the_nodes_import_are_declared() -> None:
    declared = {str(tag.text) for tag in ElementTree.parse(ROOT / "package.xml").getroot().iter("exec_depend")}
    sources = "\n".join(path.read_text() for path in [*NODES.rglob("*.py"), *(ROOT / "launch").glob("*.py")])
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", sources, re.MULTILINE))
    ros = {name for name in imported if re.fullmatch(r"rclpy|launch|launch_ros|\w+_msgs|\w+_interfaces", name)}
    assert {"rclpy", "rlvla_msgs", "launch_ros"} <= ros
    assert ros - declared == set()


def test_wheel_carries_the_licence(wheel: set[str]) -> None:
    assert any(name.endswith("LICENSE") for name in wheel)
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_package_xml_agrees_with_the_python_package() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.findtext("name") == "rlvla"
    assert package.findtext("version") == __version__
    assert package.findtext("license") == "Apache-2.0"
    assert package.findtext("export/build_type") == "ament_python"
    maintainer = package.find("maintainer")
    assert maintainer is not None
    # catkin_pkg refuses other addresses, and colcon then takes the folder for a plain Python package.
    assert re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", maintainer.get("email", ""))


def test_metadata_is_readable_by_colcon(package_metadata: Message) -> None:
    # colcon evaluates the repr of setuptools' options; the object made of a requires-python here has none to evaluate.
    text = (ROOT / "pyproject.toml").read_text()
    assert not re.search(r"^requires-python", text, re.MULTILINE)
    assert package_metadata["Requires-Python"] == ">=3.10"


def test_constraints_pin_what_the_package_asks_for(package_metadata: Message) -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {}
    for line in lines:
        name, version = line.partition(";")[0].split("==")
        assert re.fullmatch(r"[0-9.]+", version), f"{line}: a plain version, without a local suffix"
        pins[name] = version
    asked = {re.split(r"[<>=;\[ ]", text)[0] for text in package_metadata.get_all("Requires-Dist", [])}
    assert asked
    assert asked - {"rlvla"} <= set(pins)
    assert "rlvla" not in pins
    # OpenCV 5 has no hand-eye calibration, and two of its builds in one environment overwrite each other.
    assert [name for name in pins if name.startswith("opencv")] == ["opencv-python"]
    assert int(pins["opencv-python"].split(".")[0]) < 5
