"""Reading and writing JSON files, with errors that a user can act on.

Every JSON file of the project is read here, within limits: a file that a person, a crash or an attacker has damaged is
one line of error, never a traceback, a hang or a full memory.
"""

import json
from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import replace_file
from rlvla_core.storage.text_files import read_text

MOST_BYTES = 64 * 2**20
"""Largest JSON file that is read; the largest of ours, the results of a study, have less than a hundredth of it."""
MOST_DEPTH = 64
"""Most brackets of a JSON text that may be open at once; no file of ours has more than ten."""
MOST_DIGITS = 100
"""Most digits of a whole number in a JSON text; with more than 308 it would not fit a floating-point number."""


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """The object in a JSON file (UTF-8).

    hint: what the user can do; it ends the RlvlaError that is raised if the file is missing, cannot be read, is not
    JSON, passes a limit of this module or holds something other than an object.
    """
    data = read_json_value(path, hint)
    if not isinstance(data, dict):
        raise RlvlaError(f"{path} does not hold a JSON object: {hint}")
    return data


def read_json_value(path: Path, hint: str) -> Any:
    """The value in a JSON file, of any kind; otherwise as `read_json`."""
    try:
        return parse_json(read_text(path, most_bytes=MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise RlvlaError(f"{path} is missing: {hint}") from None
    except OSError as error:
        raise RlvlaError(f"{path} cannot be read ({error.strerror}): {hint}") from error
    except ValueError as error:  # wrong UTF-8 is a ValueError, too
        raise RlvlaError(f"{path} is not valid JSON ({error}): {hint}") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for a text that is not JSON or passes MOST_DEPTH or MOST_DIGITS."""
    too_deep = f"more than {MOST_DEPTH} brackets are open at once"
    try:
        value = json.loads(text, parse_int=_whole_number)
    except RecursionError:
        raise ValueError(too_deep) from None
    level, depth = [value], 0
    while level := [inner for each in level for inner in _inside(each)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(too_deep)
    return value


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _whole_number(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a number has {len(digits.lstrip('-'))} digits, more than {MOST_DIGITS}")
    return int(digits)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, for a file in a StagedDirectory; elsewhere `replace_json` is the safe one."""
    path.write_bytes(_encode(value))


def replace_json(path: Path, value: Any) -> None:
    """Make `value`, as indented JSON, the whole content of the file `path`, in one step (see `replace_file`)."""
    replace_file(path, _encode(value))


def _encode(value: Any) -> bytes:
    # A command line may hold bytes that are no UTF-8; Python keeps them as lone surrogates. As \udcXX they are JSON.
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
