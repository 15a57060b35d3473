"""Child processes get the environment that they are started in, and end with their parent."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rlvla_core.processes import environment, one_thread


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    with pytest.raises(ZeroDivisionError), one_thread():
        told = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
        assert {"OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1", "LP_NUM_THREADS=0"} <= set(told)
        raise ZeroDivisionError
    assert os.environ["OMP_NUM_THREADS"] == "7" and "LP_NUM_THREADS" not in os.environ
    with environment({"LP_NUM_THREADS": "3"}):
        del os.environ["LP_NUM_THREADS"]  # what the block removes stays removed
    assert "LP_NUM_THREADS" not in os.environ


PARENT = """
import multiprocessing, os, signal, time
from rlvla_core.processes import end_with_parent

def work(connection):
    end_with_parent()
    connection.send(os.getpid())
    time.sleep(600)

if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=work, args=(theirs,)).start()
    print(ours.recv(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(textwrap.dedent(PARENT))
    with subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)
