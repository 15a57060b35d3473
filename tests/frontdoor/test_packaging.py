"""What `pip install` and ROS 2 get to see."""

import re
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
            (source / name).write_bytes((ROOT / name).read_bytes())
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


def test_wheel_makes_the_package_visible_to_ros(wheel: set[str]) -> None:
    data = f"rlvla-{__version__}.data/data"
    assert f"{data}/share/ament_index/resource_index/packages/rlvla" in wheel
    assert f"{data}/share/rlvla/package.xml" in wheel


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
    asked = {re.split(r"[<>=; ]", text)[0] for text in package_metadata.get_all("Requires-Dist", [])}
    assert asked
    assert asked <= set(pins)
    # OpenCV 5 has no hand-eye calibration, and two of its builds in one environment overwrite each other.
    assert [name for name in pins if name.startswith("opencv")] == ["opencv-python"]
    assert int(pins["opencv-python"].split(".")[0]) < 5
