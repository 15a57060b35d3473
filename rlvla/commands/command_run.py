"""Opening the run of a training command, whose options are the run's configuration."""

import dataclasses
import json
from collections.abc import Collection
from typing import Any

from rlvla_core.learning.distributed import Ranks
from rlvla_core.runs import RunDirectory, open_run

MAY_CHANGE = ("resume", "ranks")
"""Options that do not describe a run. (Another number of ranks gives another learning curve, but a valid one.)"""


def open_command_run(command: Any, ranks: Ranks, *, may_change: Collection[str]) -> RunDirectory:
    """Open the run in `command.directory` on all ranks: a new one or, with `command.resume`, the one that is there.

    may_change: dotted names of options that a resumed run may give another value, besides MAY_CHANGE.
    Raises RlvlaError if a run is in the way, if there is none to resume, or if it has other options.
    """
    return open_run(
        command.directory,
        resolved(command),
        ranks,
        resume=command.resume,
        may_change=(*MAY_CHANGE, *may_change),
        defaults=_defaults(command),
    )


def resolved(command: object) -> dict[str, Any]:
    """All options of a command as JSON values, defaults included."""
    return json.loads(json.dumps(dataclasses.asdict(command), default=str))  # type: ignore[call-overload]


def _defaults(command: Any) -> dict[str, Any]:
    """`resolved`, with every option that has a default at its default."""
    plain = {}
    for option in dataclasses.fields(command):
        if option.default_factory is not dataclasses.MISSING:
            plain[option.name] = option.default_factory()
        elif option.default is not dataclasses.MISSING:
            plain[option.name] = option.default
    return resolved(dataclasses.replace(command, **plain))
