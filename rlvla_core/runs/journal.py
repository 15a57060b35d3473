"""The journal of a run: one JSON object per line, on the disk before `append` returns, mirrored to TensorBoard."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import fsync_path, no_room_is_a_user_error, replace_file
from rlvla_core.storage.json_files import parse_json


class Journal:
    """The file `metrics.jsonl`: one process appends records, any may read them.

    A process that is killed while it writes leaves a last line without its line end. `append` had not returned for such
    a line: readers pass over it, and the next writer cuts it off.
    """

    def __init__(
        self,
        path: Path,
        *,
        tensorboard: Path | None = None,
        step_key: str = "iteration",
        read_only: bool = False,
    ) -> None:
        """path: the file. tensorboard: directory of the TensorBoard mirror, or None for no mirror.

        step_key: the entry of a record that is TensorBoard's step. read_only: refuse to write (RuntimeError).
        """
        self.path = Path(path)
        self.step_key = step_key
        self.read_only = read_only
        self._tensorboard = tensorboard
        self._writer: Any = None
        self._purge_step: int | None = None
        self._file: Any = None

    def append(self, record: dict[str, Any]) -> None:
        """Write one record: JSON values, tensors and numpy arrays; nested dictionaries are allowed.

        Arrays of one element become numbers, others lists; NaN and infinities become null, which is what JSON has for
        them. Append the record of an iteration before saving its checkpoint: then no checkpoint is ahead of the
        journal. Raises RlvlaError when the disk is full.
        """
        plain = _plain(record)
        line = json.dumps(plain, allow_nan=False) + "\n"
        with no_room_is_a_user_error(self.path):
            file = self._open()
            start = os.fstat(file.fileno()).st_size
            try:
                rest = memoryview(line.encode())
                while rest:  # the kernel may take only a part, on a disk that is nearly full
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), start)
                raise
        self._mirror(plain)

    def read(self) -> list[dict[str, Any]]:
        """All records, oldest first, without an unfinished last line. Raises RlvlaError for any other broken line."""
        return [record for record, _ in self._read_with_ends()]

    def truncate_after(self, key: str, value: float) -> int:
        """Drop the first record whose `key` exceeds `value` and all after it, in one step. Returns how many.

        A run that resumes from the checkpoint of iteration n calls `truncate_after("iteration", n)` and then writes
        the same lines again. A record without `key` (an event, an evaluation) is dropped if it stands after that first
        record.
        """
        kept, end = 0, 0
        records = self._read_with_ends()
        for record, line_end in records:
            if key in record and record[key] is not None and record[key] > value:
                break
            kept, end = kept + 1, line_end
        self.close()
        self._purge_step = int(value) + 1
        if self.path.exists() and self.path.stat().st_size > end:
            self._refuse_if_read_only()
            replace_file(self.path, self.path.read_bytes()[:end])
        return len(records) - kept

    def close(self) -> None:
        """Close the file and the TensorBoard mirror; a later `append` opens them again."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> Any:
        if self._file is None:
            self._refuse_if_read_only()
            is_new = not self.path.exists()
            self._file = self.path.open("ab", buffering=0)
            os.ftruncate(self._file.fileno(), _confirmed_size(self.path))
            if is_new:
                fsync_path(self.path.parent)
        return self._file

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise RuntimeError(f"{self.path} was opened for reading: only rank 0 writes the journal")

    def _read_with_ends(self) -> list[tuple[dict[str, Any], int]]:
        """All records with the byte offset at which each line ends."""
        if not self.path.exists():
            return []
        records: list[tuple[dict[str, Any], int]] = []
        end = 0
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                break
            end += len(line)
            try:
                record = parse_json(line.decode())
                if not isinstance(record, dict):
                    raise ValueError("not an object")
            except ValueError as error:
                raise RlvlaError(
                    f"{self.path}, line {number} is not a JSON object ({error}): mend or remove it"
                ) from None
            records.append((record, end))
        return records

    def _mirror(self, record: dict[str, Any]) -> None:
        step = record.get(self.step_key)
        if self._tensorboard is None or step is None:
            return
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # here: it takes a second to import

            self._writer = SummaryWriter(str(self._tensorboard), purge_step=self._purge_step)
        for name, value in flat_scalars(record).items():
            if name != self.step_key:
                self._writer.add_scalar(name, value, int(step))
        self._writer.flush()


def flat_scalars(record: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a record, nested names joined by `/`: {"seconds": {"policy": 3}} -> {"seconds/policy": 3.0}."""
    result: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            result.update(flat_scalars(value, f"{prefix}{name}/"))
        elif isinstance(value, (int, float)):
            result[prefix + name] = float(value)
    return result


def _confirmed_size(path: Path) -> int:
    """Size of the file in bytes up to and including its last line end."""
    return path.read_bytes().rfind(b"\n") + 1


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (torch.Tensor, np.generic, np.ndarray)):
        return _plain(value.item() if np.prod(value.shape) == 1 else value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
