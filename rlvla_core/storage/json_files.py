"""Reading and writing JSON files, with errors that a user can act on."""

import json
from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import replace_file


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """The object in a JSON file (UTF-8).

    hint: what the user can do; it ends the RlvlaError that is raised if the file is missing, cannot be read, is not
    JSON or holds something other than an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RlvlaError(f"{path} is missing: {hint}") from None
    except OSError as error:
        raise RlvlaError(f"{path} cannot be read ({error.strerror}): {hint}") from error
    except (ValueError, RecursionError) as error:  # wrong UTF-8 is a ValueError, too
        raise RlvlaError(f"{path} is not valid JSON ({error}): {hint}") from None
    if not isinstance(data, dict):
        raise RlvlaError(f"{path} does not hold a JSON object: {hint}")
    return data


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, for a file in a StagedDirectory; elsewhere `replace_json` is the safe one."""
    path.write_bytes(_encode(value))


def replace_json(path: Path, value: Any) -> None:
    """Make `value`, as indented JSON, the whole content of the file `path`, in one step (see `replace_file`)."""
    replace_file(path, _encode(value))


def _encode(value: Any) -> bytes:
    # A command line may hold bytes that are no UTF-8; Python keeps them as lone surrogates. As \udcXX they are JSON.
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
