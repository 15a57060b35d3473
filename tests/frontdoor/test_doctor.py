"""`rlvla doctor` must survive the machines that it is for: the broken ones."""

import json

import pytest

from rlvla.cli import main
from rlvla.commands import doctor
from rlvla.commands.doctor import Finding, Verdict


def quiet(monkeypatch: pytest.MonkeyPatch, needed: list[Finding]) -> None:
    """Let the doctor meet exactly these findings."""
    monkeypatch.setattr(doctor, "main_path", lambda: [lambda f=finding: f for finding in needed])


def test_vulkan_without_a_driver_is_broken_and_has_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(name, "/dev/null")
    finding = doctor.check_vulkan()
    assert finding.verdict is Verdict.BROKEN
    assert finding.detail
    assert "vulkan.sh" in finding.way_out


def test_vulkan_probe_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(doctor.sys, "executable", str(crashing))
    finding = doctor.check_vulkan()
    assert finding.verdict is Verdict.BROKEN
    assert "-11" in finding.detail


def test_missing_package_is_named() -> None:
    finding = doctor.check_packages("thing", ("json", "no_such_package"), Verdict.OPTIONAL, "do this")
    assert (finding.verdict, finding.way_out) == (Verdict.OPTIONAL, "do this")
    assert "no_such_package" in finding.detail
    assert "json" not in finding.detail


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.OK, 0), (Verdict.OPTIONAL, 0), (Verdict.BROKEN, 1)])
def test_only_a_broken_main_path_fails(
    verdict: Verdict, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet(monkeypatch, [Finding(subject="Vulkan", verdict=verdict, detail="as set", way_out="mend it")])
    assert main(["doctor"]) == code
    shown = capsys.readouterr().out
    assert "mend it" in shown
    assert ("Broken: Vulkan" in shown) == bool(code)


def test_json_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    quiet(monkeypatch, [])
    assert main(["doctor", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {"subject", "verdict", "detail", "way_out"} == set(json.loads(line)[0])


def test_assets_that_point_nowhere_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVLA_ASSETS", "/no/such/folder")
    finding = doctor.check_assets()
    assert finding.verdict is Verdict.OPTIONAL
    assert "/no/such/folder" in finding.detail
