"""Reading YAML files, with errors that a user can act on."""

from pathlib import Path
from typing import Any

import yaml

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.text_files import read_text

MOST_BYTES = 256 * 2**10
"""Largest YAML file that is read; ours are a few kilobytes, and PyYAML takes a second for this many."""
MOST_DEPTH = 64
"""Most mappings and lists of a YAML file that may lie inside one another."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, with which 300 bytes can stand for gigabytes, and of bounded depth."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="an alias (`*name`) is not allowed: write the value out", problem_mark=mark
            )
        if self.depth >= MOST_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"values are nested more than {MOST_DEPTH} deep", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(path: Path, hint: str) -> Any:
    """The value in a YAML file (UTF-8).

    hint: which file the user should name; it ends the RlvlaError that is raised if the file does not exist. Raises
    RlvlaError as well for a file that cannot be read, is not YAML, or has aliases or too many bytes or levels.
    """
    try:
        return yaml.load(read_text(path, most_bytes=MOST_BYTES), Loader=_Loader)
    except FileNotFoundError:
        raise RlvlaError(f"{path} does not exist: {hint}") from None
    except OSError as error:
        raise RlvlaError(f"{path} cannot be read as YAML: {error.strerror}") from error
    except Exception as error:  # for a date or a number that is none, PyYAML raises whatever Python raised
        raise RlvlaError(f"{path} cannot be read as YAML: {' '.join(str(error).split()) or repr(error)}") from error
