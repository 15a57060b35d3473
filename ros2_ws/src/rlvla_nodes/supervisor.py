"""Starts the processes of a graph, shows what they say, restarts one that was killed, and ends them together.

What `ros2 launch` does where it is not installed. A node that ends by itself with an error was told something wrong, so
everything ends with it; a node that dies by a signal comes back after a second, as under the launch file.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rlvla_nodes.graph import NodeSpec, write_parameters

RESPAWN_DELAY_S = 1.0
GRACE_S = 5.0
"""A process that has not ended so long after SIGINT is killed."""
_PR_SET_PDEATHSIG = 1


class Child:
    """One process of the graph."""

    def __init__(self, spec: NodeSpec, folder: Path, say: Callable[[str, str], None]) -> None:
        self.spec = spec
        files = (*spec.parameter_files, str(write_parameters(spec, folder)))
        self.command = [sys.executable, "-m", "rlvla_nodes", spec.name, "--ros-args"]
        for file in files:
            self.command += ["--params-file", file]
        self._say = say
        self.restart_at: float | None = None
        self.start()

    def start(self) -> None:
        """Start the process, and a thread that passes on what it prints."""
        self.restart_at = None
        terminal = self.spec.parameters.get("device") == "keyboard"
        self.process = subprocess.Popen(
            self.command,
            env=os.environ | self.spec.environment | {"PYTHONUNBUFFERED": "1"},
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=_die_with_parent,
        )
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def _read(self, stream: Sequence[str]) -> None:
        for line in stream:
            self._say(self.spec.name, line.rstrip())


class Supervisor:
    """The processes of one graph."""

    def __init__(self, specs: Sequence[NodeSpec], folder: Path, show: Callable[[str], None]) -> None:
        """folder: for the parameter files that are written. show: prints one line."""
        self._show = show
        width = max(len(spec.name) for spec in specs)
        self._width = width
        self._stopping = threading.Event()
        self.children = [Child(spec, folder, self._say) for spec in specs]

    def _say(self, name: str, line: str) -> None:
        self._show(f"{name:<{self._width}} | {line}")

    def run(self) -> int:
        """Watch until `stop` is called or a node ends by itself; 0, or the exit code of the node that failed."""
        code = 0
        try:
            while not self._stopping.wait(0.1):
                failed = self._check()
                if failed is not None:
                    code = failed
                    break
        finally:
            self.end()
        return code

    def stop(self) -> None:
        """Let `run` end; may be called from a signal handler."""
        self._stopping.set()

    def _check(self) -> int | None:
        """Bring back what was killed; the exit code of a node that ended by itself."""
        for child in self.children:
            code = child.process.poll()
            if code is None:
                continue
            if code >= 0:
                self._say(child.spec.name, f"ended with exit code {code}: stopping the others")
                return code
            if child.restart_at is None:
                self._say(child.spec.name, f"was killed by signal {-code}: back in {RESPAWN_DELAY_S:g} s")
                child.restart_at = time.monotonic() + RESPAWN_DELAY_S
            elif time.monotonic() >= child.restart_at:
                child.start()
        return None

    def end(self) -> None:
        """SIGINT to all, SIGKILL to those that do not end."""
        alive = [child.process for child in self.children if child.process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + GRACE_S
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self.children:
            child.reader.join(1.0)


def _die_with_parent() -> None:
    """A supervisor that is killed must not leave an arm in motion behind it (Linux only)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
