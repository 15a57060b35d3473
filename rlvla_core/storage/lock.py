"""The lock on a run: two processes never write one run directory (or one unfinished collection)."""

import fcntl
import os
from pathlib import Path

from rlvla_core.errors import RlvlaError

LOCK_NAME = ".lock"
"""Name of the lock file within the directory that it protects."""
_held: set[tuple[int, str]] = set()


class RunLock:
    """An exclusive lock on a file, held by one process. The kernel drops it when the process ends, however it ends.

    A POSIX record lock, not flock(): children that are forked do not inherit it, so a worker that outlives a killed
    trainer does not keep the run locked. Record locks do not exclude a second holder in the same process; `_held` does.
    """

    def __init__(self, path: Path) -> None:
        """Lock the file `path`, which is created if missing. Raises RlvlaError, naming the holder's process id, if the
        lock is held already."""
        self._key = (os.getpid(), str(path.resolve()))
        if self._key in _held:
            raise RlvlaError(f"{path.parent} is already open in this process (pid {os.getpid()}): close it first")
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise RlvlaError(
                f"{path.parent} is being written by process {holder}: wait for it, stop it, or choose another name"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        _held.add(self._key)

    def release(self) -> None:
        """Release the lock; releasing twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard(self._key)
