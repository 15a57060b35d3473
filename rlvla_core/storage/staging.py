"""A directory that appears complete or not at all."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import fsync_path

_LOCK = ".writing"


class StagedDirectory:
    """Files are written under `path`, a hidden sibling of `target`, which `commit` renames in one step.

    A writer that was killed leaves only its hidden sibling; the next writer of the same target removes it. Siblings of
    writers that still live are known by a lock, which the kernel drops with the process.
    """

    def __init__(self, target: Path) -> None:
        """Raises RlvlaError if `target` exists already or its parent cannot be written."""
        self.target = Path(target).absolute()
        self._refuse_existing()
        prefix = f".{self.target.name}.partial-"
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self.target.parent, prefix)
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=self.target.parent))
        except OSError as error:
            raise RlvlaError(f"cannot write beside {self.target}: {error.strerror}; choose another place") from error
        self.path.chmod(0o755)
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._open = True

    def commit(self) -> None:
        """Force everything to disk and rename to `target`. Raises RlvlaError if that has come to exist meanwhile."""
        for folder, _, names in os.walk(self.path):
            for name in names:
                fsync_path(Path(folder, name))
            fsync_path(Path(folder))
        self._refuse_existing()
        (self.path / _LOCK).unlink()
        self.path.rename(self.target)
        fsync_path(self.target.parent)
        os.close(self._lock)
        self._open = False

    def discard(self) -> None:
        """Remove what was written; does nothing after `commit`."""
        if self._open:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._open = False

    def _refuse_existing(self) -> None:
        if os.path.lexists(self.target):
            raise RlvlaError(f"{self.target} exists already: choose another name or remove it first")


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for sibling in parent.glob(f"{prefix}*"):
        try:
            lock = os.open(sibling / _LOCK, os.O_RDWR)
        except OSError:
            continue  # its writer is between mkdir and lock
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(sibling, ignore_errors=True)
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(lock)
