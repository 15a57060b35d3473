"""Reading text files that a person or another program may have damaged: UTF-8, regular files only, of bounded size."""

import errno
import stat
from pathlib import Path


def read_text(path: Path, *, most_bytes: int) -> str:
    """The text of a file, which is UTF-8 whatever the locale.

    Raises OSError, whose strerror is fit for a user, for a file that cannot be read, that has more than `most_bytes`
    bytes, or that is a pipe or a device, which could keep a reader waiting for ever. Raises UnicodeDecodeError for a
    file in another encoding.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a directory has an error of its own
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file", str(path))
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes:,} bytes", str(path))
    return data.decode("utf-8")
