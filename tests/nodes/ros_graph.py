"""A ROS graph of one test: nodes of this process that are spun by the test itself, and nodes as real processes."""

import contextlib
import fcntl
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

N = TypeVar("N", bound=Node)
DOMAINS = 100
"""Domain ids above 101 would use ports that the system hands out to others."""
_NUMBERS = itertools.count(random.randrange(DOMAINS))


@contextlib.contextmanager
def free_domain() -> Iterator[int]:
    """A domain id that no other test on this machine uses now, and none of this run has used lately.

    What a killed process has said stays in its domain for some seconds.
    """
    for _ in range(DOMAINS):
        domain = 1 + next(_NUMBERS) % DOMAINS
        lock = (Path(tempfile.gettempdir()) / f"rlvla-ros-domain-{domain}.{os.getuid()}").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
    raise RuntimeError("every ROS domain is in use by another test run")


class Graph:
    """`add` nodes, `spin` them, start `process`es beside them; all of it ends with the test."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.domain = self._stack.enter_context(free_domain())
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._nodes: list[Node] = []
        self._processes: list[Process] = []

    def add(self, node: N) -> N:
        """Spin a node that was made with `context=graph.context`, and destroy it at the end."""
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def make(self, kind: type[N], name: str = "", /, **parameters: Any) -> N:
        """Make and add a node of the kind, with parameters by name. A plain rclpy Node needs a name."""
        overrides = [Parameter(key, value=value) for key, value in parameters.items()]
        return self.add(kind(*[name] if name else [], context=self.context, parameter_overrides=overrides))

    def remove(self, node: Node) -> None:
        """End one node before the others."""
        self._nodes.remove(node)
        self.executor.remove_node(node)
        node.destroy_node()

    def until(self, condition: Callable[[], object], timeout: float = 10.0) -> bool:
        """Spin until the condition holds, looked at after every callback; whether it held in time [s]."""
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.executor.spin_once(timeout_sec=min(left, 0.01))
        return True

    def spin(self, seconds: float) -> None:
        """Spin for a time."""
        self.until(lambda: False, seconds)

    def process(self, module: str, *arguments: str, **options: Any) -> "Process":
        """Start `python -m module arguments` in the domain of this graph; options as of subprocess.Popen."""
        process = Process(self.domain, [sys.executable, "-m", module, *arguments], **options)
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End everything, in the order that leaves nothing behind."""
        for process in self._processes:
            process.close()
        self.executor.shutdown(timeout_sec=2.0)
        for node in self._nodes:
            node.destroy_node()
        rclpy.try_shutdown(context=self.context)
        self._stack.close()


class Process:
    """A node as its own process. `output` is what it has printed so far, both streams in one."""

    def __init__(self, domain: int, command: list[str], **options: Any) -> None:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
        options.setdefault("stdin", subprocess.DEVNULL)
        self.popen = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self._lines.append(line)

    @property
    def output(self) -> str:
        """Everything printed so far; complete once `wait` has returned."""
        return "".join(self._lines)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def wait(self, timeout: float = 10.0) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        code = self.popen.wait(timeout)
        self._reader.join(timeout)
        return code

    def close(self) -> None:
        """End it politely, else not."""
        if self.runs:
            self.popen.send_signal(signal.SIGINT)
            try:
                self.popen.wait(5.0)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self._reader.join(2.0)
