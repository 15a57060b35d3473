"""Reading JSON and safetensors with errors that a user can act on. Nothing here can run code from a file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from rlvla_core.errors import RlvlaError


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """The object in a JSON file. `hint` ends the error line if it is missing or damaged."""
    if not path.is_file():
        raise RlvlaError(f"{path} is missing: {hint}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RlvlaError(f"{path} is not valid JSON ({error}): {hint}") from None
    if not isinstance(data, dict):
        raise RlvlaError(f"{path} does not hold a JSON object: {hint}")
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Indented, so that a person can read it."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_tensors(path: Path, device: str = "cpu") -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of a safetensors file, one at a time."""
    if not path.is_file():
        raise RlvlaError(f"{path} is missing: copy the whole directory again")
    try:
        with safe_open(str(path), framework="pt", device=device) as file:
            for name in file.keys():  # noqa: SIM118, safe_open is no mapping
                yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise RlvlaError(f"{path} is damaged ({error}): copy it again") from None
