"""Writes the two generated pages of docs/reference: the parameters of the ROS nodes and the options of the commands.

    python scripts/reference_tables.py [--check]

The text of every row stands in the code: in the parameter class of the node and in the dataclass of the command.
`--check` writes nothing and exits with 1 where a page differs from what would be written. ROS is not needed.
"""

import ast
import itertools
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro

from rlvla.cli import COMMANDS, Command
from rlvla_nodes.launch_arguments import arguments

ROOT = Path(__file__).resolve().parent.parent
NODES = ROOT / "ros2_ws" / "src" / "rlvla_nodes"
NODE_PAGE = ROOT / "docs" / "reference" / "node_parameters.md"
COMMAND_PAGE = ROOT / "docs" / "reference" / "commands.md"

NODE_HEAD = """\
# Parameters of the nodes

This page lists every parameter of every node and every argument of the launch file, with its default. It is written by
`scripts/reference_tables.py` from the parameter classes in `ros2_ws/src/rlvla_nodes/`: change the text there.

A node is given parameters by `--ros-args -p NAME:=VALUE`, by a parameter file (`config/nodes.yaml` is read first), or
by the launch file. A name that the node does not have, a value of the wrong type and a number that is not finite end
the node with one line and exit code 1. All parameters are read once, at the start.
"""
LAUNCH_HEAD = """\
## Arguments of policy.launch.py

`ros2 launch rlvla policy.launch.py NAME:=VALUE`. [Launch the nodes](../how-to/launch.md) has examples, and `rlvla run`
takes the same settings as [options](commands.md#rlvla-run).
"""
COMMAND_HEAD = """\
# Commands

This page lists every command with every option and its default, as `rlvla COMMAND --help` does. It is written by
`scripts/reference_tables.py` from the dataclasses of the commands: change the text there.

A switch `--x` has an opposite `--no-x`. Exit codes: 0 done; 1 an error that the printed line explains; 2 a command
line that cannot be read; 130 interrupted by Ctrl-C.
"""


def node_page() -> str:
    """One table a node, then the arguments of the launch file."""
    parts = [NODE_HEAD]
    for file in sorted(NODES.glob("*_node.py")):
        parts += [f"## {file.stem}\n\n{summary(file)}\n", table("parameter", parameters(file))]
    launch = [(each.name, each.default or '""', each.description) for each in arguments()]
    return "\n".join([*parts, LAUNCH_HEAD, table("argument", launch)])


def summary(file: Path) -> str:
    """The first paragraph of the module's docstring, as one line."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def parameters(file: Path) -> Iterator[tuple[str, str, str]]:
    """Name, default and description of each field of the file's `...Parameters` class; the file is not run."""
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if not (isinstance(statement, ast.ClassDef) and statement.name.endswith("Parameters")):
            continue
        for field, note in itertools.pairwise([*statement.body, ast.Pass()]):
            if isinstance(field, ast.AnnAssign) and field.value is not None:
                text = ast.literal_eval(note.value) if isinstance(note, ast.Expr) else ""
                yield ast.unparse(field.target), ast.unparse(field.value).replace("'", '"'), text


def command_page() -> str:
    """The overview as `rlvla --help` groups it, then one table a command."""
    parts = [COMMAND_HEAD]
    for group, commands in itertools.groupby(COMMANDS, lambda command: command.group):
        listed = [f"- [`rlvla {each.name}`](#rlvla-{each.name.replace(' ', '-')}): {each.summary}" for each in commands]
        parts += [f"**{group}**\n", "\n".join(listed) + "\n"]
    for command in COMMANDS:
        text = command.load().__doc__ or ""
        parts += [f"## rlvla {command.name}\n\n{' '.join(text.partition(chr(10) * 2)[0].split())}\n"]
        parts += [table("option", options(command))]
    return "\n".join(parts)


def options(command: Command) -> Iterator[tuple[str, str, str]]:
    """Name with what it takes, default and help line of each option, from the parser that reads the command line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        parser: Any = tyro.extras.get_parser(command.load())
    for action in parser._actions:
        if "--help" in action.option_strings:
            continue
        text, _, default = (action.help or "").rpartition("(")
        default = default.removesuffix(")").removeprefix("default: ").replace("repeatable, ", "")
        takes = str(action.metavar or "").replace("{None}|", "")
        text = text.replace("%%", "%")  # argparse's spelling of a percent sign
        yield " ".join([*action.option_strings[:1], takes]).strip(), '""' if default == "''" else default, text


def table(heading: str, rows: Any) -> str:
    """A Markdown table of (name, default, text)."""
    lines = [f"| {heading} | default | meaning |", "| --- | --- | --- |"]
    for name, default, text in rows:
        lines.append(f"| `{cell(name)}` | {f'`{cell(default)}`' if default else ''} | {cell(text)} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text on one line, with bars that do not end the cell."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", r"\<")


def main() -> int:
    """Write both pages, or say which one is out of date."""
    pages = {NODE_PAGE: node_page(), COMMAND_PAGE: command_page()}
    old = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in old:
            print(f"{path.relative_to(ROOT)} is out of date: run `python scripts/reference_tables.py`", file=sys.stderr)
        return 1 if old else 0
    for path in old:
        path.write_text(pages[path], encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
