"""The `rlvla` command: finds the subcommand, lets tyro read its options, runs it.

Each command is a frozen dataclass with `run() -> int` in a module of its own that is imported only when it is called:
`rlvla --help` stays quick, and a library that one command misses does not stop the others.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from rlvla_core import __version__
from rlvla_core.errors import RlvlaError

FAILURE, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes: a mistake that the message explains, a command line that cannot be read, Ctrl-C."""


class Runnable(Protocol):
    """What every command class offers."""

    def run(self) -> int:
        """Do the work; the exit code."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One line of the table below."""

    group: str
    """Heading in `rlvla --help`."""
    words: tuple[str, ...]
    """What the user types after `rlvla`."""
    summary: str
    """One line."""
    path: str
    """`module:class`."""

    @property
    def name(self) -> str:
        """The words as one string."""
        return " ".join(self.words)

    def load(self) -> type[Runnable]:
        """Import the command's class."""
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
    _command(START, "demo", "demo:Demo", "the whole way: collect, warm up, PPO, compare, film (make demo)"),
    _command(START, "doctor", "doctor:Doctor", "what works on this machine, and what to do about the rest"),
    _command(LEARN, "pretrain", "pretrain:Pretrain", "teach a fresh policy to see, in posed images of the simulator"),
    _command(LEARN, "collect", "collect:Collect", "let the scripted expert write demonstrations (LeRobot v3)"),
    _command(LEARN, "train sft", "train_sft:TrainSft", "warm a policy up on demonstrations"),
    _command(LEARN, "train ppo", "train_ppo:TrainPpo", "improve a policy by reinforcement learning"),
    _command(LEARN, "train grpo", "train_grpo:TrainGrpo", "the same without a critic, by groups of episodes"),
    _command(LEARN, "train dpo", "train_dpo:TrainDpo", "the same by preferring episodes that succeed"),
    _command(LEARN, "merge", "merge:Merge", "several runs from one start become one policy: the mean of their weights"),
    _command(LEARN, "evaluate", "evaluate:Evaluate", "success rate of a policy bundle, with interval and video"),
    _command(STUDY, "study", "study:Study", "every method, sixteen out-of-distribution tests, one report; resumable"),
    _command(STUDY, "study tests", "study_tests:StudyTests", "the sixteen tests of one policy bundle"),
    _command(STUDY, "study report", "study_report:StudyReport", "page, tables and figures of a study, finished or not"),
    _command(STUDY, "assets fetch", "assets_fetch:AssetsFetch", "download the paper's assets; ours need no download"),
    _command(DEPLOY, "run", "run:Run", "the ROS 2 graph on a simulated arm: camera, policy, arbiter, teleop"),
    _command(CHECK, "parity", "parity:Parity", "compare our OpenVLA graph with recorded numbers of the original"),
    _command(CHECK, "bench sim", "bench_sim:BenchSim", "simulator steps per second, against stock ManiSkill"),
    _command(CHECK, "bench loop", "bench_loop:BenchLoop", "whole training loop, split into world, policy and update"),
)
"""Every command there is. A new one is a module in rlvla/commands and a line here."""

_ALONE = {command.words[0] for command in COMMANDS if len(command.words) == 1}
GROUPS = tuple(dict.fromkeys(command.words[0] for command in COMMANDS if command.words[0] not in _ALONE))
"""First words that alone name no command."""

PURPOSE = "Vision-Language-Action policies: warmed up on demonstrations, improved by reinforcement learning."
EXAMPLES = (
    ("rlvla demo --minutes 18 --name demo", "demonstrations, warm-up, PPO; a table, curves and a video in runs/demo"),
    ("rlvla train ppo --help", "every option of one command, with its default"),
)


def help_text(group_word: str | None = None) -> str:
    """The overview; with `group_word` (`train`, `bench`) only the commands that begin with it."""
    shown = [command for command in COMMANDS if group_word in (None, command.words[0])]
    width = max(len(command.name) for command in COMMANDS) + 3
    usage = "rlvla COMMAND [OPTIONS]" if group_word is None else f"rlvla {group_word} COMMAND [OPTIONS]"
    lines = [f"usage: {usage}", ""]
    if group_word is None:
        lines += [
            "Vision-Language-Action policies: warmed up on demonstrations, improved by reinforcement learning.",
            "",
        ]
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


def find(arguments: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that the first words name, and what is left for it. Raises RlvlaError for an unknown one."""
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
    """Import the command, read its options, run it."""
    import tyro

    try:
        options = tyro.cli(command.load(), args=arguments, prog=f"rlvla {command.name}")
        return options.run()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package.startswith("rlvla"):
            raise
        hint = "pip install 'rlvla[sim]', or `make setup` in the repository"
        raise RlvlaError(f"`rlvla {command.name}` needs the Python package `{package}`: {hint}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point: an exit code, never a traceback for a mistake that the user can mend."""
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
        command, rest = find(arguments)
        return run_command(command, rest)
    except RlvlaError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing is left to say, and the interpreter must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE


if __name__ == "__main__":
    sys.exit(main())
