"""`rlvla doctor` must survive the machines that it is for: the broken ones."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rlvla.cli import main
from rlvla.commands import doctor
from rlvla.commands.doctor import Finding, Health


def quiet(monkeypatch: pytest.MonkeyPatch, needed: list[Finding]) -> None:
    """Let the doctor meet exactly these findings."""
    monkeypatch.setattr(doctor, "main_path", lambda: [lambda f=finding: f for finding in needed])


def test_vulkan_without_a_driver_is_broken_and_has_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(name, "/dev/null")
    finding = doctor.check_vulkan()
    assert finding.health is Health.BROKEN
    assert finding.detail
    assert "vulkan.sh" in finding.hint


def test_vulkan_probe_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(doctor.sys, "executable", str(crashing))
    finding = doctor.check_vulkan()
    assert finding.health is Health.BROKEN
    assert "-11" in finding.detail


def test_missing_package_is_named() -> None:
    finding = doctor.check_packages("thing", ("json", "no_such_package"), Health.OPTIONAL, "do this")
    assert (finding.health, finding.hint) == (Health.OPTIONAL, "do this")
    assert "no_such_package" in finding.detail
    assert "json" not in finding.detail


@pytest.mark.parametrize(("health", "code"), [(Health.OK, 0), (Health.OPTIONAL, 0), (Health.BROKEN, 1)])
def test_only_a_broken_main_path_fails(
    health: Health, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet(monkeypatch, [Finding(subject="Vulkan", health=health, detail="as set", hint="mend it")])
    assert main(["doctor"]) == code
    shown = capsys.readouterr().out
    assert "mend it" in shown
    assert ("Broken: Vulkan" in shown) == bool(code)


def test_json_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    quiet(monkeypatch, [])
    assert main(["doctor", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {"subject", "health", "detail", "hint"} == set(json.loads(line)[0])


def test_assets_that_point_nowhere_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVLA_ASSETS", "/no/such/folder")
    finding = doctor.check_assets()
    assert finding.health is Health.OPTIONAL
    assert "/no/such/folder" in finding.detail


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """A machine on which some modules are not installed, and all others are."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())


@pytest.mark.parametrize(
    ("missing", "check", "named", "hint"),
    [
        ("rclpy", doctor.check_ros, "rclpy", "make ros"),
        ("rlvla_msgs", doctor.check_messages, "rlvla_msgs", "colcon build"),
        ("ruckig", doctor.check_kinematics, "ruckig", "pip install pin ruckig"),
        ("launch_ros", doctor.check_ros_launch, "`rlvla run` starts the same nodes", "distribution"),
    ],
)
def test_missing_part_of_ros_is_optional_and_has_a_hint(
    missing: str, check: Callable[[], Finding], named: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, missing)
    finding = check()
    assert finding.health is Health.OPTIONAL
    assert named in finding.detail
    assert hint in finding.hint


@pytest.mark.parametrize(
    ("version", "distribution", "shown"),
    [("9.1.2", None, "kilted"), ("7.1.6", None, "jazzy"), ("12.0.0", None, "unknown"), ("7.1.6", "rolling", "rolling")],
)
def test_ros_distribution_is_named(
    version: str, distribution: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    monkeypatch.setattr(doctor, "version_of", lambda _: version)
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    if distribution:
        monkeypatch.setenv("ROS_DISTRO", distribution)
    finding = doctor.check_ros()
    assert finding.health is Health.OK
    assert version in finding.detail and shown in finding.detail
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_zenoh_cpp")
    assert "unset RMW_IMPLEMENTATION" in doctor.check_ros().hint


def test_ros2_launch_that_does_not_see_the_package_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without(monkeypatch)
    monkeypatch.setattr(doctor.shutil, "which", lambda _: "ros2")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert "install/setup.bash" in doctor.check_ros_launch().hint
    marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "rlvla"
    marker.parent.mkdir(parents=True)
    marker.touch()
    finding = doctor.check_ros_launch()
    assert (finding.health, finding.hint) == (Health.OK, "")
    assert str(tmp_path) in finding.detail
