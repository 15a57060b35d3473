"""A run lock lets one holder in, in this process and in all others."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.lock import RunLock

TAKE = textwrap.dedent("""
    import sys
    from pathlib import Path
    from rlvla_core.errors import RlvlaError
    from rlvla_core.storage.lock import RunLock
    try:
        RunLock(Path(sys.argv[1]))
    except RlvlaError as error:
        sys.exit(str(error))
""")


def take_elsewhere(path: Path) -> str:
    return subprocess.run([sys.executable, "-c", TAKE, str(path)], capture_output=True, text=True, timeout=60).stderr


def test_one_holder_at_a_time_here_and_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    lock = RunLock(path)
    with pytest.raises(RlvlaError, match="already open in this process"):
        RunLock(path)
    assert f"process {os.getpid()}" in take_elsewhere(path)
    lock.release()
    lock.release()
    assert take_elsewhere(path) == ""
    RunLock(path).release()


def test_a_forked_child_that_lives_on_does_not_hold_the_lock(tmp_path: Path) -> None:
    path, (reader, writer) = tmp_path / ".lock", os.pipe()
    fork = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from rlvla_core.storage.lock import RunLock
        lock = RunLock(Path(sys.argv[1]))
        if os.fork() == 0:
            os.read(int(sys.argv[2]), 1)  # until the test closes its end
            os._exit(0)
        os._exit(0)
    """)
    try:
        command = [sys.executable, "-c", fork, str(path), str(reader)]
        assert subprocess.run(command, pass_fds=[reader], timeout=60).returncode == 0
        RunLock(path).release()
    finally:
        os.close(writer)
        os.close(reader)
