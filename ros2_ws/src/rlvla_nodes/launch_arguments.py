"""The fields of GraphSettings as launch arguments, which are strings: names, defaults, descriptions and choices."""

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from rlvla_core.errors import RlvlaError
from rlvla_nodes.graph import GraphSettings

TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchArgument:
    """One `name:=value`."""

    name: str
    default: str
    """As a string."""
    description: str
    """The line under the field."""
    choices: list[str] | None
    """None: anything."""


@cache
def arguments() -> tuple[LaunchArgument, ...]:
    """One for each field of GraphSettings."""
    types = get_type_hints(GraphSettings)
    notes = _notes()
    found = []
    for field in dataclasses.fields(GraphSettings):
        kind = types[field.name]
        choices = [str(choice) for choice in get_args(kind)] if get_origin(kind) is not None else None
        default = str(field.default).lower() if kind is bool else str(field.default)
        found.append(LaunchArgument(name=field.name, default=default, description=notes[field.name], choices=choices))
    return tuple(found)


def settings_from(given: Mapping[str, str]) -> GraphSettings:
    """The settings of these strings. Raises RlvlaError for one that cannot be read."""
    types = get_type_hints(GraphSettings)
    return GraphSettings(**{name: _read(name, text, types[name]) for name, text in given.items()})


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


def _notes() -> dict[str, str]:
    """Field -> the string under it in the source."""
    body = ast.parse(inspect.getsource(GraphSettings)).body[0].body  # type: ignore[attr-defined]
    return {
        ast.unparse(field.target): " ".join(str(note.value.value).split())
        for field, note in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant)
    }
