"""The fields of GraphSettings as launch arguments, which are strings: names, defaults, descriptions and choices.

A field of a nested dataclass has the name of both, joined by `_`: `sim.episode` is the launch argument `sim_episode`.
"""

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from rlvla_core.errors import RlvlaError
from rlvla_nodes.graph import GraphSettings

TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
"""Words for a truth value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchArgument:
    """One `name:=value` of `ros2 launch`."""

    name: str
    """The argument's name."""
    default: str
    """Its default as a string."""
    description: str
    """What it means: the line under the field."""
    choices: list[str] | None
    """Values that it may have; None: any."""


@cache
def arguments() -> tuple[LaunchArgument, ...]:
    """One launch argument for each field of GraphSettings, nested fields included."""
    return tuple(_arguments(GraphSettings, ""))


def _arguments(settings: type, prefix: str) -> Iterator[LaunchArgument]:
    types, notes = get_type_hints(settings), _notes(settings)
    for field in dataclasses.fields(settings):
        kind = types[field.name]
        if dataclasses.is_dataclass(kind):
            yield from _arguments(kind, f"{prefix}{field.name}_")  # type: ignore[arg-type]
            continue
        choices = [str(choice) for choice in get_args(kind)] if get_origin(kind) is not None else None
        default = str(field.default).lower() if kind is bool else str(field.default)
        name = prefix + field.name
        yield LaunchArgument(name=name, default=default, description=notes[field.name], choices=choices)


def settings_from(given: Mapping[str, str]) -> GraphSettings:
    """The settings that these strings say; an argument that is missing keeps its default.

    Raises RlvlaError for a string that cannot be read.
    """
    return _settings(GraphSettings, "", given)


def _settings(settings: type, prefix: str, given: Mapping[str, str]) -> Any:
    values = {}
    for name, kind in get_type_hints(settings).items():
        if dataclasses.is_dataclass(kind):
            values[name] = _settings(kind, f"{prefix}{name}_", given)  # type: ignore[arg-type]
        elif prefix + name in given:
            values[name] = _read(prefix + name, given[prefix + name], kind)
    return settings(**values)


def _read(name: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() not in (*TRUE, *FALSE):
            raise RlvlaError(f"{name}:={text} is neither true nor false")
        return text.lower() in TRUE
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise RlvlaError(f"{name}:={text} is no {'whole ' * (kind is int)}number") from None
    if get_origin(kind) is not None and text not in get_args(kind):
        raise RlvlaError(f"{name}:={text}: choose one of {', '.join(get_args(kind))}")
    return text


def _notes(settings: type) -> dict[str, str]:
    """Field -> the string under it in the source."""
    body = ast.parse(inspect.getsource(settings)).body[0].body  # type: ignore[attr-defined]
    return {
        ast.unparse(field.target): " ".join(str(note.value.value).split())
        for field, note in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant)
    }
