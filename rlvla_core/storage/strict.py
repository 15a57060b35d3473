"""Dataclasses from YAML or JSON, read strictly: unknown keys, missing fields and values of another type are errors."""

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any, TypeVar

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.yaml_files import read_yaml

T = TypeVar("T")


def load_yaml(cls: type[T], path: Path) -> T:
    """The dataclass `cls` from a YAML file; see `build`. Raises RlvlaError that names the file and the key."""
    data = read_yaml(path, "name a file such as config/arms/widowx250s.yaml")
    try:
        return build(cls, data, "")
    except RlvlaError as error:
        raise RlvlaError(f"{path}: {error}") from None


def build(cls: type[T], data: Any, where: str) -> T:
    """The dataclass `cls` from a mapping of its field names to values.

    where: dotted path of the keys that lead to `data`, for the error; "" for a whole file. Fields may be strings, whole
    numbers, finite numbers, paths or None, dataclasses, and tuples of these. Raises RlvlaError, one line that names the
    key, for unknown or missing keys and for values of another type.
    """
    if not isinstance(data, dict):
        raise RlvlaError(f"`{where or 'the file'}` is {data!r:.60}: write a mapping of keys to values")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise RlvlaError(f"unknown key `{_join(where, key)}`: use {', '.join(names)}")
    for name in names:
        if name not in data:
            raise RlvlaError(f"key `{_join(where, name)}` is missing: write it, there are no defaults")
    return cls(**{name: convert(hints[name], data[name], _join(where, name)) for name in names})


def convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `hint`; types and errors as in `build`."""
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint == Path | None:
        return None if value is None else Path(convert(str, value, where))
    if hint is str:
        if not isinstance(value, str):
            raise RlvlaError(f"`{where}` is {value!r:.60}: write a word")
        return value
    # A truth value is no number, though Python counts with it.
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RlvlaError(f"`{where}` is {value!r:.60}: write a whole number")
        return value
    if hint is float:
        # YAML 1.1 reads 1e-3 as a word.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RlvlaError(f"`{where}` is {value!r:.60}: write a finite number, such as 0.05")
        return float(value)
    inner = typing.get_args(hint)
    if not isinstance(value, (list, tuple)):
        raise RlvlaError(f"`{where}` is {value!r:.60}: write a list")
    hints = [inner[0]] * len(value) if inner[1:] == (...,) else list(inner)
    if len(hints) != len(value):
        raise RlvlaError(f"`{where}` has {len(value)} values: write {len(hints)}")
    return tuple(convert(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(hints, value, strict=True)))


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
