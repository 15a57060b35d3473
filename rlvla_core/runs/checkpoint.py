"""Checkpoints of a run: safetensors and JSON, hashed; each appears whole or not at all.

    checkpoints/step-00000120/
        tensors.safetensors     every tensor, flat names
        state.json              everything that is not a tensor
        MANIFEST.json           size and SHA-256 of the two files above

Nothing is pickled: reading a checkpoint never runs code from it.
"""

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import StagedDirectory, no_room_is_a_user_error, sha256_of
from rlvla_core.storage.json_files import read_json, write_json

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "MANIFEST.json"
_NAME = re.compile(r"step-(\d+)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One checkpoint, read and verified."""

    step: int
    """The step it was saved under (an iteration of the training)."""
    directory: Path
    """Where it was read from."""
    tensors: dict[str, torch.Tensor]
    """All tensors, on the CPU, by the names that they were saved under."""
    state: dict[str, Any]
    """The JSON state that was saved with the tensors."""


class CheckpointStore:
    """The checkpoints of one run, of which the newest `keep` stay on the disk. One process writes, any may read."""

    def __init__(self, directory: Path, keep: int = 2, warn: Callable[[str], None] | None = None) -> None:
        """warn: called with one line for every damaged checkpoint that is passed over (default: to standard error).

        Raises RlvlaError for `keep` below 1.
        """
        if keep < 1:
            raise RlvlaError(f"a checkpoint store keeps at least 1 checkpoint, got keep={keep}")
        self.directory = Path(directory)
        self.keep = keep
        self._warn = warn or (lambda line: print(line, file=sys.stderr, flush=True))

    def steps(self) -> list[int]:
        """Steps of all checkpoints, ascending, damaged ones included."""
        if not self.directory.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    def save(self, step: int, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> Path:
        """Write checkpoint `step` and make it the newest. Returns its directory.

        Once it is safely on the disk, older ones beyond `keep` are removed, and so are those of later steps, which were
        saved before the run went back to an earlier step. `state` must be JSON. Raises RlvlaError when there is no
        room; earlier checkpoints are not touched then.
        """
        final = self._path(step)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        # A run saves a step twice only when the first one was damaged: a kill while it is replaced loses nothing.
        with no_room_is_a_user_error(self.directory), StagedDirectory(final, replace=True) as staged:
            save_file(_storable(tensors), staged.path / TENSORS)
            write_json(staged.path / STATE, dict(state))
            write_json(staged.path / MANIFEST, {"step": step, "files": _fingerprints(staged.path)})
        self._prune(step)
        return final

    def load(self, step: int) -> Checkpoint:
        """Read checkpoint `step`. Raises RlvlaError if it is missing or damaged."""
        directory = self._path(step)
        if not directory.is_dir():
            known = ", ".join(map(str, self.steps())) or "none"
            raise RlvlaError(f"no checkpoint of step {step} in {self.directory}: there are {known}")
        if damage := damage_of(directory):
            raise RlvlaError(f"checkpoint {directory} is damaged ({damage}): resume from another step")
        return _read(step, directory)

    def latest(self) -> Checkpoint | None:
        """The newest undamaged checkpoint, or None; damaged ones are passed over with a warning line each."""
        for step in reversed(self.steps()):
            if damage := damage_of(self._path(step)):
                self._warn(f"warning: passing over the damaged checkpoint {self._path(step)} ({damage})")
            else:
                return _read(step, self._path(step))
        return None

    def _path(self, step: int) -> Path:
        if step < 0:
            raise RlvlaError(f"a checkpoint step is 0 or more, got {step}")
        return self.directory / f"step-{step:08d}"

    def _remove_leftovers(self) -> None:
        """Remove what a killed writer left, of any step. Only the writer calls this, and it holds the run's lock."""
        for path in self.directory.glob(".step-*"):
            shutil.rmtree(path)

    def _prune(self, newest: int) -> None:
        steps = self.steps()
        earlier = [step for step in steps if step <= newest]
        for step in [*earlier[: -self.keep], *(step for step in steps if step > newest)]:
            shutil.rmtree(self._path(step))


def _read(step: int, directory: Path) -> Checkpoint:
    state = read_json(directory / STATE, "resume from another step")
    return Checkpoint(step=step, directory=directory, tensors=load_file(directory / TENSORS), state=state)


def damage_of(directory: Path) -> str | None:
    """What is wrong with a checkpoint directory in one line; None if all sizes and hashes agree with its manifest."""
    try:
        files = dict(read_json(directory / MANIFEST, "it was not written, or changed since")["files"])
        if set(files) != {TENSORS, STATE}:
            return f"{MANIFEST} lists {sorted(files)}"
        for name, expected in files.items():
            path = directory / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != expected["bytes"]:
                return f"{name} has {path.stat().st_size} bytes instead of {expected['bytes']}"
            if sha256_of(path) != expected["sha256"]:
                return f"{name} does not match its SHA-256"
    except RlvlaError as error:
        return str(error)
    except (ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} has other content than expected: {error!r}"
    return None


def _fingerprints(directory: Path) -> dict[str, dict[str, Any]]:
    paths = (directory / TENSORS, directory / STATE)
    return {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}


def _storable(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors contiguous, on the CPU and without shared memory (safetensors refuses views of one storage)."""
    result: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        storage = plain.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != plain.numel() * plain.element_size():
            plain = plain.clone()
        seen.add(plain.untyped_storage().data_ptr())
        result[name] = plain
    return result
