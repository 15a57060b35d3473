"""A sequence of commands that can be interrupted anywhere: started again, it skips what is done and continues."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.json_files import read_json, replace_json


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One command of a StageChain."""

    name: str
    """Name of the stage, and of the file of its record."""
    purpose: str
    """What the stage is for, in one line of the printed plan."""
    command: Any
    """The command with its options: a frozen dataclass with `run() -> int`."""
    output: Path
    """Path that exists once the command has succeeded."""
    minutes: float
    """Expected duration in minutes."""
    appears_complete: bool = False
    """Whether `output` appears in one step at the very end: where it exists, the stage has finished."""
    needs: tuple[str, ...] | None = None
    """Names of the stages whose output it uses; None = all stages before it."""


@dataclass(frozen=True, kw_only=True)
class StageChain:
    """Stages that run in order, each using the output of some of those before it.

    A record on disk holds the settings with which a stage was started and, once it has finished, its duration.
    """

    stages: Sequence[Stage]
    """Stages in the order in which they run."""
    records: Path
    """Folder of the records, one file per stage."""
    hint: str = "start over with --fresh, or choose another --name"
    """Advice for the user where a record was made with other settings."""

    def plan(self) -> list[str]:
        """Text lines for the user: one for each stage, and the expected time of all that is left."""
        lines = []
        width = max(15, *(len(stage.name) for stage in self.stages))
        for number, stage in enumerate(self.stages, start=1):
            state = "done already" if self.is_done(stage) else f"about {format_minutes(stage.minutes)}"
            lines.append(f"  {number:>2}. {stage.name:<{width}} {stage.purpose} ({state})")
        left = sum(stage.minutes for stage in self.stages if not self.is_done(stage))
        return [*lines, f"  In all about {format_minutes(left)}."]

    def run(self, console: Console) -> None:
        """Run what is not done yet. Raises RlvlaError for records of other settings, or a stage that fails."""
        self.check()
        for number, stage in enumerate(self.stages, start=1):
            title = f"[{number}/{len(self.stages)}] {stage.name}"
            if self.is_done(stage):
                console.print(f"{title}: done already", style="bold", markup=False, highlight=False)
                continue
            shown = f"\n{title}: about {format_minutes(stage.minutes)}"
            console.print(shown, style="bold", markup=False, highlight=False)
            self._write(stage, None)
            started = time.monotonic()
            if code := resumed(stage.command).run():
                raise RlvlaError(f"stage {stage.name} ended with {code}: its lines above say why")
            self._write(stage, round((time.monotonic() - started) / 60, 2))

    def check(self) -> None:
        """Raises RlvlaError if a stage was started before with other settings."""
        for stage in self.stages:
            if (record := self._read(stage)) and record["fingerprint"] != self.fingerprint(stage):
                raise RlvlaError(f"{self.records.parent} holds {stage.name} with other settings: {self.hint}")

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage has finished with these settings and its output still exists."""
        record = self._read(stage)
        if record is None or record["fingerprint"] != self.fingerprint(stage) or not stage.output.exists():
            return False
        return record["minutes"] is not None or stage.appears_complete

    def minutes_taken(self) -> dict[str, float]:
        """Stage name -> minutes of its last start, for stages that have finished."""
        records = {stage.name: self._read(stage) for stage in self.stages}
        return {name: record["minutes"] for name, record in records.items() if record and record["minutes"] is not None}

    def fingerprint(self, stage: Stage) -> str:
        """SHA-256 of the settings of this stage and of all stages whose output it uses, directly or indirectly."""
        wanted = {stage.name}
        before = list(self.stages[: list(self.stages).index(stage) + 1])
        for each in reversed(before):
            if each.name in wanted:
                wanted |= {other.name for other in before} if each.needs is None else set(each.needs)
        settings = [
            [type(each.command).__name__, dataclasses.asdict(each.command)] for each in before if each.name in wanted
        ]
        return hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode()).hexdigest()

    def _read(self, stage: Stage) -> dict[str, Any] | None:
        path = self.records / f"{stage.name}.json"
        return read_json(path, "remove it, the stage then starts again") if path.is_file() else None

    def _write(self, stage: Stage, minutes: float | None) -> None:
        self.records.mkdir(parents=True, exist_ok=True)
        replace_json(self.records / f"{stage.name}.json", {"fingerprint": self.fingerprint(stage), "minutes": minutes})


def resumed(command: Any) -> Any:
    """The command with `resume=True` if its directory holds an unfinished run or dataset; else the same command."""
    directory = getattr(command, "directory", None)
    if directory is None or not hasattr(command, "resume"):
        return command
    begun = (directory / "config.json").is_file() or directory.with_name(f"{directory.name}.parts").is_dir()
    return dataclasses.replace(command, resume=True) if begun else command


def format_minutes(minutes: float) -> str:
    """Minutes as text: `40 s` below one and a half minutes, `14.6 h` above three hours, else whole minutes."""
    if minutes < 1.5:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes <= 180 else f"{minutes / 60:.1f} h"
