"""The `rlvla` command: finds the subcommand, reads its options with tyro, and runs it.

Each subcommand is a frozen dataclass with `run() -> int` in a module of its own, imported only when it is called, so
that `rlvla --help` stays quick and a library that is missing for one command does not stop the others.
"""

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from rlvla.option_numbers import check_numbers
from rlvla_core import __version__
from rlvla_core.errors import RlvlaError

FAILURE, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes: a mistake that the message explains, a command line that cannot be read, Ctrl-C."""

EXTRAS = {
    "sim": ("mani_skill", "sapien", "gymnasium", "fast_simplification", "cv2"),
    "control": ("pinocchio", "ruckig"),
    "ros": ("rclpy", "sensor_msgs", "std_msgs", "std_srvs", "diagnostic_msgs", "lifecycle_msgs"),
}
"""Extra of pyproject.toml -> the Python modules that it installs and that this project imports."""
MAKE_TARGETS = {"sim": "make setup", "ros": "make ros"}
"""Extra -> the command in the repository that installs it; the others have none."""

MACHINE_ERRORS = {
    errno.ENOSPC: "free some space, or name a directory on another disk",
    errno.EDQUOT: "free some space, or name a directory on another disk",
    errno.EROFS: "name a directory that can be written",
    errno.EACCES: "change its permissions, or name another path",
    errno.EPERM: "change its permissions, or name another path",
    errno.EMFILE: "allow more open files (`ulimit -n 4096`), or use fewer processes",
    errno.ENFILE: "close other programs, or use fewer processes",
    errno.ENOMEM: "close other programs, or use fewer environments or processes",
}
"""Number of an operating system's error that is no fault of the program -> what the user can do about it."""


class Runnable(Protocol):
    """A command class of rlvla/commands: a frozen dataclass whose fields are the options."""

    def run(self) -> int:
        """Do the work and return the exit code."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A subcommand of `rlvla`: one entry of COMMANDS."""

    group: str
    """Heading under which `rlvla --help` lists the command."""
    words: tuple[str, ...]
    """Words that the user types after `rlvla`, e.g. ("train", "ppo")."""
    summary: str
    """What the command does, in one line of `rlvla --help`."""
    path: str
    """Where the command's class is, as `module:class`; imported when the command is called."""

    @property
    def name(self) -> str:
        """The words of the command as one string, e.g. `train ppo`."""
        return " ".join(self.words)

    def load(self) -> type[Runnable]:
        """Import and return the command's class."""
        module, _, attribute = self.path.partition(":")
        return cast(type[Runnable], getattr(importlib.import_module(module), attribute))


def _command(group: str, name: str, path: str, summary: str) -> Command:
    return Command(group=group, words=tuple(name.split()), summary=summary, path=f"rlvla.commands.{path}")


START, LEARN, STUDY, DEPLOY, CHECK = (
    "Start here",
    "Learn and measure",
    "Study generalisation",
    "Run on an arm",
    "Check and time",
)
COMMANDS = (
    _command(
        START, "demo", "demo:Demo", "run every step on a small scale: demonstrations, SFT, PPO, comparison, video"
    ),
    _command(START, "doctor", "doctor:Doctor", "check what works on this machine, and say how to repair the rest"),
    _command(LEARN, "pretrain", "pretrain:Pretrain", "train a new base policy to locate objects in simulator images"),
    _command(LEARN, "collect", "collect:Collect", "record demonstrations of a scripted expert (LeRobot v3 dataset)"),
    _command(LEARN, "train sft", "train_sft:TrainSft", "train a policy on demonstrations: supervised fine-tuning"),
    _command(
        LEARN, "train ppo", "train_ppo:TrainPpo", "fine-tune a policy in simulation by reinforcement learning: PPO"
    ),
    _command(LEARN, "train grpo", "train_grpo:TrainGrpo", "fine-tune a policy by GRPO: groups of episodes, no critic"),
    _command(LEARN, "train dpo", "train_dpo:TrainDpo", "fine-tune a policy by DPO: successful episodes are preferred"),
    _command(LEARN, "merge", "merge:Merge", "average the weights of policies that were trained from the same start"),
    _command(LEARN, "evaluate", "evaluate:Evaluate", "measure the success rate of a policy, with interval and video"),
    _command(
        STUDY, "study", "study:Study", "train with several methods, run sixteen out-of-distribution tests, report"
    ),
    _command(STUDY, "study tests", "study_tests:StudyTests", "run the sixteen out-of-distribution tests on one policy"),
    _command(STUDY, "study report", "study_report:StudyReport", "write the report of a study, finished or not"),
    _command(STUDY, "assets fetch", "assets_fetch:AssetsFetch", "download the paper's objects and tables (optional)"),
    _command(DEPLOY, "run", "run:Run", "run a policy on an arm through ROS 2: camera, policy, arbiter, teleoperation"),
    _command(CHECK, "parity", "parity:Parity", "compare our OpenVLA graph with recorded numbers of the original"),
    _command(CHECK, "bench sim", "bench_sim:BenchSim", "measure simulator steps per second, beside stock ManiSkill"),
    _command(
        CHECK, "bench loop", "bench_loop:BenchLoop", "measure the speed of PPO training, and which part takes how long"
    ),
)
"""All commands. A new command is a module in rlvla/commands and a line here."""

_ALONE = {command.words[0] for command in COMMANDS if len(command.words) == 1}
GROUPS = tuple(dict.fromkeys(command.words[0] for command in COMMANDS if command.words[0] not in _ALONE))
"""First words that are no command by themselves: `train`, `assets`, `bench`."""

PURPOSE = """\
Fine-tune OpenVLA-style vision-language-action policies with PPO in ManiSkill simulation,
and run them on robot arms (WidowX, Franka) through ROS 2; on two CPU cores or a GPU."""
EXAMPLES = (
    ("rlvla demo --minutes 18 --name demo", "every step in 18 minutes; table, curves and video in runs/demo"),
    ("rlvla train ppo --help", "the options of one command, with their defaults"),
)


def help_text(group_word: str | None = None) -> str:
    """Text of `rlvla --help`; with `group_word` (`train`, `bench`) only the commands that begin with this word."""
    shown = [command for command in COMMANDS if group_word in (None, command.words[0])]
    width = max(len(command.name) for command in COMMANDS) + 3
    usage = "rlvla COMMAND [OPTIONS]" if group_word is None else f"rlvla {group_word} COMMAND [OPTIONS]"
    lines = [f"usage: {usage}", ""]
    if group_word is None:
        lines += [PURPOSE, ""]
    heading = None
    for command in shown:
        if command.group != heading:
            lines += [""] * (heading is not None) + [f"{command.group}:"]
            heading = command.group
        lines.append(f"  {command.name:<{width}}{command.summary}")
    if group_word is None:
        lines += ["", "Examples:", *(f"  {line:<{width + 25}}{meaning}" for line, meaning in EXAMPLES)]
        lines += ["", "`rlvla COMMAND --help` lists a command's options; `rlvla --version` prints the version."]
    return "\n".join(lines)


def find_command(arguments: Sequence[str]) -> tuple[Command, list[str]]:
    """(the command that the first arguments name, the other arguments). Raises RlvlaError for an unknown command."""
    for command in sorted(COMMANDS, key=lambda each: -len(each.words)):  # `study tests` before `study`
        if tuple(arguments[: len(command.words)]) == command.words:
            return command, list(arguments[len(command.words) :])
    names = [command.name for command in COMMANDS]
    typed = arguments[0] if arguments[0] not in GROUPS else " ".join(arguments[:2])
    wishes = [wish for length in (2, 1) for wish in _similar(" ".join(arguments[:length]), [*names, *GROUPS])]
    hint = f"did you mean `rlvla {wishes[0]}`?" if wishes else "`rlvla --help` lists the commands"
    raise RlvlaError(f"there is no command `{typed}`: {hint}")


def _similar(typed: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(typed, names, n=1, cutoff=0.6)


def run_command(command: Command, arguments: Sequence[str]) -> int:
    """Import a command, read its options from `arguments`, run it, return its exit code.

    Raises RlvlaError where a library that the command needs is not installed, and for a number that no option can have.
    """
    import tyro

    try:
        options = tyro.cli(command.load(), args=arguments, prog=f"rlvla {command.name}")
        check_numbers(options)
        return options.run()
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module.startswith("rlvla") and module != "rlvla_msgs":
            raise
        raise RlvlaError(
            f"`rlvla {command.name}` needs the Python module `{module}`: {install_hint(module)}"
        ) from error


def install_hint(module: str) -> str:
    """How to install a Python module that is missing."""
    if module == "rlvla_msgs":
        return "build it with `make ros`, or with colcon (docs/how-to/install_ros2.md)"
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    pip = "pip install " + ("rlvla" if extra is None else f"'rlvla[{extra}]'")
    target = "make setup" if extra is None else MAKE_TARGETS.get(extra)
    ours = f"{pip}, or `{target}` in the repository" if target else pip
    return f"{ours}, or source the setup.bash of your ROS 2 distribution" if extra == "ros" else ours


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `rlvla ARGUMENTS` and return its exit code; a user's mistake is one line, no traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if arguments else USAGE
    if arguments[0] in ("-V", "--version"):
        print(f"rlvla {__version__}")
        return 0
    if arguments[0] in GROUPS and (len(arguments) == 1 or arguments[1] in ("-h", "--help")):
        print(help_text(arguments[0]))
        return 0 if len(arguments) > 1 else USAGE
    try:
        command, rest = find_command(arguments)
        return run_command(command, rest)
    except RlvlaError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has ended: without this, the interpreter would fail when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        if error.errno not in MACHINE_ERRORS:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        print(f"error: {place}{error.strerror}: {MACHINE_ERRORS[error.errno]}", file=sys.stderr)
        return FAILURE


if __name__ == "__main__":
    sys.exit(main())
