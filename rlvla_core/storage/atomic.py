"""Writing files and directories so that a power cut or a kill leaves the old content or the new one, never half of it.

Both writers work in the same way: write to a hidden sibling, force it to the disk (fsync), rename it into place, and
force the parent directory's list of names to the disk.
"""

import contextlib
import errno
import fcntl
import glob
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from rlvla_core.errors import RlvlaError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_EXISTS = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
_LOCK = ".writing"


@contextlib.contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Name of a temporary sibling to write; it replaces `path` in one step when the block ends without an exception.

    After an exception the sibling is removed and `path` is as before. Raises RlvlaError when there is no room.
    """
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{threading.get_native_id()}")
    with no_room_is_a_user_error(path):
        try:
            yield temporary
            fsync_path(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_path(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Make `content` the whole content of the file `path`, in one step. Raises RlvlaError when there is no room."""
    with staged_file(path) as temporary:
        temporary.write_bytes(content)


def remove_file_leftovers(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left. Hold a lock that keeps other writers out."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
        temporary.unlink(missing_ok=True)


class StagedDirectory:
    """A directory that is written under `path`, a hidden sibling of `target`, and appears when `commit` renames it.

    As a context manager it commits at the end, or discards everything after an exception. A writer that was killed
    leaves only its hidden sibling, which the next writer of the same target removes. Siblings of writers that still
    live are known by a lock, which the kernel drops with the process. A kill in the instant before the lock is made, or
    between its removal and the rename, leaves a sibling that nobody removes.
    """

    def __init__(self, target: Path, *, replace: bool = False) -> None:
        """replace: take the place of a directory that exists at `target`; otherwise such a directory is an error.

        Raises RlvlaError if `target` exists (without `replace`), or if nothing can be written beside it.
        """
        self.target = Path(target).absolute()
        self._replace = replace
        parent, name = self.target.parent, self.target.name
        if not replace:
            self._refuse_existing()
        self.path = parent / f".{name}.partial-{os.getpid()}-{secrets.token_hex(4)}"
        self._retired = parent / f".{name}.old-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with no_room_is_a_user_error(self.path):
                parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(self.target)
                self.path.mkdir()
                self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RlvlaError(f"cannot write beside {self.target}: {error.strerror}; choose another place") from error
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._open = True

    def files(self) -> list[Path]:
        """The files that have been written so far, in subfolders too, sorted."""
        return sorted(path for path in self.path.rglob("*") if path.is_file() and path != self.path / _LOCK)

    def commit(self) -> None:
        """Force everything to the disk and rename it to `target`.

        Raises RlvlaError if `target` has come to exist meanwhile (without `replace`). A kill between the two renames of
        a replacement leaves no `target`, and the old directory under a hidden name until the next commit.
        """
        for folder, _, names in os.walk(self.path):
            for name in names:
                fsync_path(Path(folder, name))
            fsync_path(Path(folder))
        if not self._replace:
            self._refuse_existing()
        (self.path / _LOCK).unlink()
        # rename() replaces no directory that has files: the old one steps aside first.
        if self._replace:
            with contextlib.suppress(FileNotFoundError):  # there is none, or another writer is replacing it right now
                self.target.rename(self._retired)
        try:
            self.path.rename(self.target)
        except OSError as error:
            if error.errno in _EXISTS:  # another writer came in between
                self._refuse_existing()
            if self._retired.exists():
                self._retired.rename(self.target)
            raise
        fsync_path(self.target.parent)
        os.close(self._lock)
        self._open = False
        if self._replace:
            for old in self.target.parent.glob(f".{glob.escape(self.target.name)}.old-*"):
                if old.is_symlink() or old.is_file():
                    old.unlink(missing_ok=True)
                else:
                    shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove what was written; does nothing after `commit`."""
        if self._open:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._open = False

    def __enter__(self) -> "StagedDirectory":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()

    def _refuse_existing(self) -> None:
        if os.path.lexists(self.target):
            raise RlvlaError(f"{self.target} exists already: choose another name or remove it first")


def _remove_abandoned(target: Path) -> None:
    """Remove what killed writers of `target` left unfinished beside it."""
    for sibling in target.parent.glob(f".{glob.escape(target.name)}.partial-*"):
        try:
            lock = os.open(sibling / _LOCK, os.O_RDWR)
        except OSError:
            continue  # its writer is between mkdir and lock, or between unlock and rename
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(sibling, ignore_errors=True)
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(lock)


def fsync_path(path: Path) -> None:
    """Force a file's content, or a directory's list of names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def no_room_is_a_user_error(path: Path) -> Iterator[None]:
    """Raise the kernel's "no room" (disk full, quota, file size limit) while writing `path` as one RlvlaError.

    All other errors pass unchanged.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else _os_error_number(str(error))
        if number not in _NO_ROOM:
            raise
        folder = next(each for each in (path, *path.absolute().parents) if each.is_dir())
        free = shutil.disk_usage(folder).free / 2**20
        raise RlvlaError(
            f"cannot write {path}: {os.strerror(number)} ({free:.0f} MiB free); "
            "what was saved before is intact: free some space and run the command again, with --resume if it has that"
        ) from error


def _os_error_number(message: str) -> int | None:
    """The kernel's error number, which safetensors reports only inside its message."""
    found = re.search(r"os error (\d+)", message)
    return int(found.group(1)) if found else None
