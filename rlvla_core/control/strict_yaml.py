"""Frozen dataclasses from YAML, strictly: every key known, every field there, every value of its own type."""

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from rlvla_core.errors import RlvlaError

T = TypeVar("T")


def load(cls: type[T], path: Path) -> T:
    """The dataclass in a YAML file; raises RlvlaError that names file and key."""
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise RlvlaError(f"{path} does not exist: name a file such as config/arms/widowx250s.yaml") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RlvlaError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    try:
        return build(cls, data, "")
    except RlvlaError as error:
        raise RlvlaError(f"{path}: {error}") from None


def build(cls: type[T], data: Any, where: str) -> T:
    """A dataclass from a mapping; `where` is the dotted path of keys that leads to it."""
    if not isinstance(data, dict):
        raise RlvlaError(f"`{where or 'the file'}` is {data!r}: write a mapping of keys to values")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise RlvlaError(f"unknown key `{_join(where, key)}`: use {', '.join(names)}")
    for name in names:
        if name not in data:
            raise RlvlaError(f"key `{_join(where, name)}` is missing: write it, there are no defaults")
    return cls(**{name: _value(hints[name], data[name], _join(where, name)) for name in names})


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type of the hint: a dataclass, float, str, or a tuple of these."""
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint is str:
        if not isinstance(value, str):
            raise RlvlaError(f"`{where}` is {value!r}: write a word")
        return value
    if hint is float:
        # YAML 1.1 reads 1e-3 as a word; a number is a number all the same, but a truth value is not.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RlvlaError(f"`{where}` is {value!r}: write a finite number, such as 0.05")
        return float(value)
    inner = typing.get_args(hint)
    if not isinstance(value, list):
        raise RlvlaError(f"`{where}` is {value!r}: write a list")
    hints = [inner[0]] * len(value) if inner[1:] == (...,) else list(inner)
    if len(hints) != len(value):
        raise RlvlaError(f"`{where}` has {len(value)} values: write {len(hints)}")
    return tuple(_value(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(hints, value, strict=True)))
