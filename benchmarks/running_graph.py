"""Runs a graph of real node processes for a benchmark, with a node of the benchmark's own in it."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from rlvla_core.errors import RlvlaError
from rlvla_nodes.graph import GraphSettings, describe
from rlvla_nodes.supervisor import Supervisor


class Client:
    """The benchmark's own node, which is spun by hand until something has happened."""

    def __init__(self, supervisor: Supervisor) -> None:
        import rclpy
        from rclpy.node import Node

        rclpy.init()
        self._rclpy = rclpy
        self.supervisor = supervisor
        self.node = Node("benchmark")

    def spin(self, done: Callable[[], Any], timeout: float, what: str) -> None:
        """Spin until `done()`. Raises RlvlaError when that takes longer than `timeout` seconds."""
        end = time.monotonic() + timeout
        while not done():
            if time.monotonic() > end:
                raise RlvlaError(f"{what} took longer than {timeout:g} s")
            self._rclpy.spin_once(self.node, timeout_sec=0.02)

    def pass_time(self, seconds: float) -> None:
        """Spin for so many seconds."""
        end = time.monotonic() + seconds
        self.spin(lambda: time.monotonic() >= end, 2 * seconds + 1, "waiting")

    def close(self) -> None:
        self.node.destroy_node()
        self._rclpy.try_shutdown()


@contextlib.contextmanager
def running(settings: GraphSettings, console: Console) -> Iterator[Client]:
    """Run the graph of these settings, in a ROS domain of its own, for as long as the block lasts."""
    specs = describe(settings)
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.update(specs[0].environment)
    with tempfile.TemporaryDirectory(prefix="rlvla-benchmark-") as folder:
        supervisor = Supervisor(specs, Path(folder), lambda line: console.print(line, markup=False, style="dim"))
        watcher = threading.Thread(target=supervisor.run, daemon=True)
        watcher.start()
        client = Client(supervisor)
        try:
            yield client
        finally:
            client.close()
            supervisor.stop()
            watcher.join(20.0)
