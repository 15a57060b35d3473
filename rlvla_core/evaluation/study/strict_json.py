"""Frozen dataclasses from JSON, strictly: every key known, every field there, every value of its own type."""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from rlvla_core.errors import RlvlaError

T = TypeVar("T")


def read_json(path: Path, way_out: str) -> Any:
    """The value in a file. Raises RlvlaError, with the way out, if it is missing or is not JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise RlvlaError(f"{path} is missing: {way_out}") from None
    except (OSError, ValueError) as error:
        raise RlvlaError(f"{path} cannot be read ({' '.join(str(error).split())}): {way_out}") from None


def build(cls: type[T], value: Any, where: str) -> T:
    """A dataclass of words, whole numbers, numbers, paths or None, dataclasses, and tuples of these.

    where: what leads to the value, for the errors: RlvlaError for unknown or missing keys and for other types.
    """
    if not isinstance(value, dict):
        raise RlvlaError(f"`{where}` is {value!r:.60}: it must be an object with keys")
    hints = get_type_hints(cls)
    for key in value:
        if key not in hints:
            raise RlvlaError(f"`{where}` has the unknown key {key!r}: use {', '.join(hints)}")
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name not in value:
            raise RlvlaError(f"`{where}` has no {field.name}: write the study again")
    return cls(**{name: convert(hints[name], entry, f"{where}.{name}") for name, entry in value.items()})


def convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type of the hint. Raises RlvlaError."""
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise RlvlaError(f"`{where}` is {value!r:.60}: it must be a list")
        return tuple(convert(get_args(hint)[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if hint == Path | None:
        return None if value is None else Path(convert(str, value, where))
    if isinstance(value, bool) or not isinstance(value, (int, float) if hint is float else hint):
        raise RlvlaError(f"`{where}` is {value!r:.60}, not of type {hint.__name__}: write the study again")
    return float(value) if hint is float else value
