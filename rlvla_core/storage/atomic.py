"""Writing files so that a power cut or a kill leaves either the old content or the new one, never half of it."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from rlvla_core.errors import RlvlaError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def fsync_path(path: Path) -> None:
    """Force a file's content, or a directory's list of names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: temporary sibling, fsync, rename, fsync of the directory."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with no_room_is_a_user_error(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_path(path.parent)


def replace_json(path: Path, value: Any) -> None:
    """`replace_file` with indented JSON."""
    replace_file(path, (json.dumps(value, indent=2) + "\n").encode())


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def no_room_is_a_user_error(path: Path) -> Iterator[None]:
    """Turn the kernel's "no room" (disk full, quota, file size limit) into one readable line; pass on all else."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else _os_error_number(str(error))
        if number not in _NO_ROOM:
            raise
        folder = path if path.is_dir() else path.parent
        free = shutil.disk_usage(folder).free / 2**20
        raise RlvlaError(
            f"cannot write {path}: {os.strerror(number)} ({free:.0f} MiB free); "
            "what was saved before is intact: free some space and continue with --resume"
        ) from error


def _os_error_number(message: str) -> int | None:
    """safetensors reports the kernel's error number only inside its message."""
    found = re.search(r"os error (\d+)", message)
    return int(found.group(1)) if found else None
