"""Reading safetensors files, with errors that a user can act on. Nothing here can run code from a file."""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from rlvla_core.errors import RlvlaError


def read_tensors(path: Path, device: str = "cpu") -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor (on `device`) of each entry of a safetensors file, read one at a time.

    Raises RlvlaError if the file is missing or damaged.
    """
    if not path.is_file():
        raise RlvlaError(f"{path} is missing: copy the whole directory again")
    try:
        with safe_open(str(path), framework="pt", device=device) as file:
            for name in file.keys():  # noqa: SIM118, safe_open is no mapping
                yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise RlvlaError(f"{path} is damaged ({error}): copy it again") from None
