"""Starts the processes of a graph, shows what they print, restarts one that was killed, and ends them together.

It does what `ros2 launch` does, for machines without it. When a node ends by itself with an error, everything ends; a
node that was killed, or was asked to end, comes back after a second, as under the launch file.
"""

import ctypes
import functools
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_nodes.graph import RESPAWN_DELAY_S, NodeSpec, write_parameters

LOOK_S = 0.1
"""How often the processes are looked at, seconds."""
GRACE_S = 5.0
"""A process that has not ended this long after SIGTERM is killed, seconds."""
NEEDED = {
    "pinocchio": "pip install 'rlvla[control]'",
    "rclpy": "run `make ros`, or source a distribution of ROS 2 (docs/how-to/install_ros2.md)",
    "rlvla_msgs": "run `make ros`, or `colcon build` and source install/setup.bash (docs/how-to/install_ros2.md)",
}
"""Python module that every node needs -> how to install it."""
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Child:
    """One process of the graph."""

    process: subprocess.Popen[str]
    reader: threading.Thread

    def __init__(self, spec: NodeSpec, folder: Path, say: Callable[[str, str], None]) -> None:
        self.spec = spec
        files = (*spec.parameter_files, str(write_parameters(spec, folder)))
        self.command = [sys.executable, "-m", "rlvla_nodes", spec.name, "--ros-args"]
        for file in files:
            self.command += ["--params-file", file]
        self._say = say
        self.restart_at: float | None = None

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
            preexec_fn=functools.partial(_prepare, os.getpid()),
        )
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def _read(self, stream: Sequence[str]) -> None:
        for line in stream:
            self._say(self.spec.name, line.rstrip())


class Supervisor:
    """The processes of one graph."""

    def __init__(self, specs: Sequence[NodeSpec], folder: Path, show: Callable[[str], None]) -> None:
        """Check what is installed, without starting anything. `folder`: for the parameter files that are written.
        `show`: prints one line. Raises RlvlaError if a module that every node needs is missing."""
        for module, hint in NEEDED.items():
            if importlib.util.find_spec(module) is None:
                raise RlvlaError(f"no Python module {module}: {hint}")
        self._show = show
        self._width = max(len(spec.name) for spec in specs)
        # Not a threading.Event: a signal that comes while another one sets it would wait for itself for good.
        self._stopping = False
        self.children = [Child(spec, folder, self._say) for spec in specs]
        self._started: list[Child] = []

    def _say(self, name: str, line: str) -> None:
        try:
            self._show(f"{name:<{self._width}} | {line}")
        except (OSError, SystemExit):
            # Whoever read our output (`| head`) has gone; rich leaves by SystemExit. The nodes must still be read, for
            # a node that cannot print stands still.
            self.stop()

    def run(self) -> int:
        """Start all nodes and watch them until `stop` is called or one ends with an error.

        Returns 0, or the exit code of the node that ended with an error.
        """
        code = 0
        try:
            for child in self.children:
                child.start()
                self._started.append(child)
            while not self._stopping:
                failed = self._check()
                if failed is not None:
                    code = failed
                    break
                time.sleep(LOOK_S)
        finally:
            self.end()
        return code

    def stop(self) -> None:
        """Let `run` end; may be called from a signal handler."""
        self._stopping = True

    def _check(self) -> int | None:
        """Bring back nodes that were killed; returns the exit code of a node that ended with an error, else None."""
        for child in self.children:
            code = child.process.poll()
            if code is None:
                continue
            if code > 0:
                self._say(child.spec.name, f"ended with exit code {code}: stopping the others")
                return code
            if child.restart_at is None:
                how = f"was killed by signal {-code}" if code else "has ended"
                self._say(child.spec.name, f"{how}: back in {RESPAWN_DELAY_S:g} s")
                child.restart_at = time.monotonic() + RESPAWN_DELAY_S
            elif time.monotonic() >= child.restart_at:
                child.start()
        return None

    def end(self) -> None:
        """End all nodes: SIGTERM, then SIGKILL for those that have not ended after GRACE_S."""
        alive = [child.process for child in self._started if child.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._started:
            child.reader.join(1.0)


def _prepare(parent: int) -> None:
    """In the new process, before it becomes the node (Linux only).

    A supervisor that is killed must not leave an arm in motion behind it: its end is a SIGTERM to the node. And a
    terminal's Ctrl-C reaches the node as well, which would answer with a traceback before it has a handler of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
