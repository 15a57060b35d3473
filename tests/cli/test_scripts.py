"""The set-up scripts, from another folder, in a path with spaces, against an interpreter that only notes its calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

INTERPRETER = """\
#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *" venv "*) for d; do :; done; mkdir -p "$d/bin"; cp "$0" "$d/bin/python" ;;
  *" pip "*) [ -z "$PIP_BREAKS" ] || { echo 'ERROR: no space left'; exit 1; } ;;
  *vulkan_probe*) [ -z "$VULKAN_BREAKS" ] || exit 1; echo drawn ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the scripts read, in a folder whose name has a space."""
    folder = tmp_path / "my robots" / "rlvla"
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in ("pyproject.toml", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "fake python").write_text(INTERPRETER)
    (folder / "fake python").chmod(0o755)
    return folder


def call(checkout: Path, script: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a script from the root folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "CALLS": str(checkout / "calls"),
        "PYTHON": str(checkout / "fake python"),
    }
    command = ["bash", str(checkout / "scripts" / script), *arguments]
    return subprocess.run(command, cwd="/", env=environment | extra, capture_output=True, text=True)


def calls(checkout: Path, word: str) -> int:
    """How many of the interpreter's calls hold a word."""
    return (checkout / "calls").read_text().count(word)


def test_second_setup_installs_nothing(checkout: Path) -> None:
    assert call(checkout, "setup.sh").returncode == 0
    again = call(checkout, "setup.sh")
    assert (again.returncode, again.stdout) == (0, "")
    assert (calls(checkout, " venv "), calls(checkout, " pip "), calls(checkout, "vulkan_probe")) == (1, 1, 1)
    assert (checkout / ".venv" / "bin" / "python").exists()


def test_changed_constraints_are_installed(checkout: Path) -> None:
    call(checkout, "setup.sh")
    with (checkout / "constraints.txt").open("a") as file:
        file.write("numpy==9\n")
    assert call(checkout, "setup.sh").returncode == 0
    assert (calls(checkout, " venv "), calls(checkout, " pip ")) == (1, 2)


def test_failed_installation_says_why_and_is_tried_again(checkout: Path) -> None:
    failed = call(checkout, "setup.sh", PIP_BREAKS="1")
    assert failed.returncode == 1
    assert "no space left" in failed.stderr
    assert call(checkout, "setup.sh").returncode == 0
    assert calls(checkout, " pip ") == 2


def test_user_arguments_reach_pip_word_by_word(checkout: Path) -> None:
    assert call(checkout, "setup.sh", PIP_ARGS="--find-links /some/where").returncode == 0
    assert calls(checkout, "-c constraints.txt --find-links /some/where -e .[sim,dev]") == 1


def test_no_vulkan_and_no_administrator_ends_with_advice(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mktemp", "timeout", "env", "rm", "grep", "tail", "sh", "bash"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = call(checkout, "vulkan.sh", str(checkout / "fake python"), PATH=str(tools), VULKAN_BREAKS="1")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "administrator" in line
    assert "Mesa 24" in line


@pytest.mark.parametrize("script", ["check.sh", "test.sh"])
def test_a_failing_step_fails_the_script(script: str, checkout: Path) -> None:
    broken = checkout / ".venv" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text('#!/bin/sh\ncase "$*" in *mypy*) exit 3;; esac\n')
    broken.chmod(0o755)
    assert call(checkout, script).returncode == 3


def test_ros_needs_the_environment_first(checkout: Path) -> None:
    failed = call(checkout, "ros.sh")
    assert failed.returncode == 1
    assert failed.stderr == "[ros] error: there is no environment .venv: run `make setup` first\n"


def test_a_failed_installation_of_ros_says_why(checkout: Path) -> None:
    call(checkout, "setup.sh")
    failed = call(checkout, "ros.sh", PIP_BREAKS="1")
    assert failed.returncode == 1
    assert "no space left" in failed.stderr and "[ros] error: pip could not install them" in failed.stderr
