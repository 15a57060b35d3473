"""A frozen dataclass from a YAML file; see `rlvla_core.storage.strict`."""

from pathlib import Path
from typing import TypeVar

import yaml

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.strict import build

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
