"""Checks the numbers of a command line before the command starts anything."""

import dataclasses
import math
import typing
from collections.abc import Iterator
from typing import Any

from rlvla_core.errors import RlvlaError

LARGEST = {"num_envs": 65_536, "ranks": 1_024, "processes": 1_024}
"""Largest values of options of which each unit costs memory; a larger one is a slip of the hand."""


def check_numbers(options: Any) -> None:
    """Raise RlvlaError, which names the option, for a number that is not finite, below 0 or far too large.

    options: the command, a dataclass; its dataclasses inside are checked as well. No option of rlvla has a meaning
    below zero.
    """
    for option, name, value in _numbers(options, ""):
        if not math.isfinite(value):
            raise RlvlaError(f"{option} {value}: use a finite number")
        if value < 0:
            raise RlvlaError(f"{option} {value}: use 0 or more")
        if value > LARGEST.get(name, math.inf):
            raise RlvlaError(f"{option} {value}: use {LARGEST[name]} or less")


def _numbers(options: Any, prefix: str) -> Iterator[tuple[str, str, int | float]]:
    """(option as it is typed, name of its field, value) of every number."""
    hints = typing.get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        metadata = getattr(hints[field.name], "__metadata__", ())
        name = field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            merged = any(getattr(entry, "name", None) == "" for entry in metadata)  # tyro.conf.arg(name="")
            yield from _numbers(value, prefix if merged else f"{prefix}{name}.")
            continue
        for entry in value if isinstance(value, tuple) else (value,):
            if isinstance(entry, (int, float)):
                yield f"--{prefix}{name}", field.name, entry
