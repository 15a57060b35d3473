"""The `rlvla` command as a user meets it."""

import errno
import re
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from rlvla import cli
from rlvla_core import __version__
from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True)
class Fragile:
    """A command that ends as it is told."""

    how: str = "well"
    """What happens."""

    def run(self) -> int:
        match self.how:
            case "mistake":
                raise RlvlaError("there is no preset `huge`:\n   use tiny or openvla-7b")
            case "interrupt":
                raise KeyboardInterrupt
            case "library":
                raise ModuleNotFoundError("No module named 'mani_skill.envs'", name="mani_skill.envs")
            case "full":
                raise OSError(errno.ENOSPC, "No space left on device", "runs/ppo/curves.png")
            case "files":
                raise OSError(errno.EMFILE, "Too many open files")
            case "bug of a file":
                raise OSError(errno.EBADF, "Bad file descriptor")
            case "bug":
                raise ModuleNotFoundError("No module named 'rlvla_core.gone'", name="rlvla_core.gone")
        return 7


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("rlvla.commands.fragile")
    module.Fragile = Fragile  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rlvla.commands.fragile", module)
    command = cli.Command(group="Test", words=("fragile",), summary="breaks", path="rlvla.commands.fragile:Fragile")
    monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, command))


def test_exit_code_of_a_command_is_the_exit_code(fragile: None) -> None:
    assert cli.main(["fragile"]) == 7


def test_users_mistake_is_one_line_without_traceback(fragile: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fragile", "--how", "mistake"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "error: there is no preset `huge`: use tiny or openvla-7b\n"
    assert shown.out == ""


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("full", "runs/ppo/curves.png: No space left on device: free some space, or name a directory on another disk"),
        ("files", "Too many open files: allow more open files (`ulimit -n 4096`), or use fewer processes"),
    ],
)
def test_an_error_of_the_machine_is_one_line(
    fragile: None, capsys: pytest.CaptureFixture[str], how: str, line: str
) -> None:
    assert cli.main(["fragile", "--how", how]) == 1
    assert capsys.readouterr().err == f"error: {line}\n"


def test_an_error_of_a_file_that_is_a_fault_of_ours_keeps_its_traceback(fragile: None) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        cli.main(["fragile", "--how", "bug of a file"])


def test_interrupt_is_one_line(fragile: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fragile", "--how", "interrupt"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_missing_library_is_named_with_a_hint(fragile: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fragile", "--how", "library"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "`mani_skill`" in line
    assert "make setup" in line


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("mani_skill", ["rlvla[sim]", "make setup"]),
        ("pinocchio", ["rlvla[control]"]),
        ("rclpy", ["rlvla[ros]", "make ros", "setup.bash"]),
        ("rlvla_msgs", ["make ros", "colcon"]),
        ("tyro", ["pip install rlvla", "make setup"]),
    ],
)
def test_the_hint_names_what_installs_the_missing_module(module: str, named: list[str]) -> None:
    assert [words for words in named if words not in cli.install_hint(module)] == []


def test_hints_name_the_extra_that_installs_the_module() -> None:
    """Every extra in the hints exists, and one of its distributions holds the module."""
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    distributions = metadata.packages_distributions() | {"pinocchio": ["pin"], "ruckig": ["ruckig"]}
    for extra, modules in cli.EXTRAS.items():
        found = re.search(rf"^{extra} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
        assert found is not None, f"pyproject.toml has no extra `{extra}`"
        installed = {re.split("[<>=]", name)[0] for name in re.findall(r'"([^"]+)"', found.group(1))}
        for module in set(modules) - {"std_msgs"}:  # a dependency of sensor_msgs
            names = {name.replace("_", "-") for name in distributions.get(module, [f"ros-{module}"])}
            assert names & installed, f"`{module}` is not installed by the extra `{extra}`"


def test_missing_module_of_our_own_is_a_bug_and_keeps_its_traceback(fragile: None) -> None:
    with pytest.raises(ModuleNotFoundError):
        cli.main(["fragile", "--how", "bug"])


@pytest.mark.parametrize(
    ("typed", "suggestion"),
    [
        ("colect", "rlvla collect"),
        ("train pppo", "rlvla train ppo"),
        ("bnch sim", "rlvla bench sim"),
        ("docter", "doctor"),
    ],
)
def test_unknown_command_gets_a_suggestion(typed: str, suggestion: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(typed.split()) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: there is no command")
    assert suggestion in line


def test_unlike_anything_points_to_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["xyzzy"]) == 1
    assert "rlvla --help" in capsys.readouterr().err


def test_overview_lists_every_command_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in cli.COMMANDS:
        # Two blanks end a name: `study` is not the start of `study tests`.
        assert sum(line.startswith(f"  {command.name}  ") for line in lines) == 1
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", ["ppo", "grpo", "dpo"])
def test_the_toy_world_of_tests_is_no_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", name, "--help"])
    assert "toy" not in capsys.readouterr().out


def test_a_command_that_is_also_a_first_word_is_found_and_so_are_its_longer_ones() -> None:
    for words, name, rest in (
        (["study", "--plan-only"], "study", ["--plan-only"]),
        (["study", "tests", "b"], "study tests", ["b"]),
        (["study", "report"], "study report", []),
    ):
        command, left = cli.find_command(words)
        assert (command.name, left) == (name, rest)
    assert "study" not in cli.GROUPS


def test_group_word_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train"]) == 2
    shown = capsys.readouterr().out
    assert "train sft" in shown
    assert "collect" not in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"rlvla {__version__}\n"


def test_help_of_the_installed_program_is_quick() -> None:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "rlvla", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert time.perf_counter() - started < 1.0
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "numpy", "tyro", "rich", "sapien"}
