"""`rlvla parity`: compare our OpenVLA graph with recorded numbers of the original classes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from rlvla_core.policy.openvla_parity import Item, run_parity

MIN_WIDTH = 110
"""Least width of the printed table in columns: tensor names are long, and a log file has no width."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Compare our OpenVLA graph with recorded inputs and outputs of the original OpenVLA classes.

    Reads the directory of the recording. Prints the largest error of every item and one line of JSON; writes no files.
    Exit code 1 if an error is larger than its tolerance.
    """

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIRECTORY")]
    """Directory of the recording: checkpoint/, value_head.safetensors, adapter/ and parity.npz."""
    tokenizer: Path | None = None
    """Path of a Llama-2 tokenizer.json; with it, the token ids of prompts are compared, too."""

    def run(self) -> int:
        """Compare, print the largest error of every item and one line of JSON; returns the exit code."""
        items = list(run_parity(self.directory, self.tokenizer))
        console = Console()
        console.width = max(console.width, MIN_WIDTH)
        console.print(_table(items))
        failed = [f"{item.group}: {item.name}" for item in items if not item.passed]
        summary = {
            "command": "parity",
            "passed": not failed,
            "items": len(items),
            "failed": failed,
            "largest_logit_error": max(item.error for item in items if "logits" in item.name),
        }
        print(json.dumps(summary), flush=True)
        return 1 if failed else 0


def _table(items: list[Item]) -> Table:
    table = Table(title="Largest error of every item")
    table.add_column("part")
    table.add_column("item", overflow="fold")
    for name in ("error", "allowed"):
        table.add_column(name, justify="right")
    table.add_column("")
    previous = ""
    for item in items:
        if previous and item.group != previous:
            table.add_section()
        mark = "[green]ok[/green]" if item.passed else "[bold red]FAIL[/bold red]"
        group = item.group if item.group != previous else ""
        table.add_row(group, item.name, _number(item.error), _number(item.tolerance), mark)
        previous = item.group
    return table


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value if value < 1e9 else 0) else f"{value:.1e}"
