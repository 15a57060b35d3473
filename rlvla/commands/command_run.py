"""The run directory of a training command: its options are the run's configuration."""

import dataclasses
import json
from collections.abc import Collection
from typing import Any

from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.open_run import open_run
from rlvla_core.runs import RunDirectory


def open_command_run(command: Any, ranks: Ranks, *, may_change: Collection[str]) -> RunDirectory:
    """The run in `command.directory`, new or, with `command.resume`, continued; options in `may_change` may then be
    others. Raises RlvlaError where a run is in the way, is missing, or has other settings."""
    return open_run(
        command.directory,
        resolved(command),
        ranks,
        resume=command.resume,
        may_change=may_change,
        defaults=_defaults(command),
    )


def resolved(command: object) -> dict[str, Any]:
    """The configuration as JSON values, defaults included."""
    return json.loads(json.dumps(dataclasses.asdict(command), default=str))  # type: ignore[call-overload]


def _defaults(command: Any) -> dict[str, Any]:
    """`resolved`, with every option that has a default put back to it."""
    plain = {}
    for option in dataclasses.fields(command):
        if option.default_factory is not dataclasses.MISSING:
            plain[option.name] = option.default_factory()
        elif option.default is not dataclasses.MISSING:
            plain[option.name] = option.default
    return resolved(dataclasses.replace(command, **plain))
