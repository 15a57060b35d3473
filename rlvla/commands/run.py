"""`rlvla run`: starts the graph of `ros2 launch rlvla policy.launch.py` without launch."""

import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rlvla_nodes.graph import GraphSettings, describe
from rlvla_nodes.supervisor import Supervisor


@dataclass(frozen=True, kw_only=True)
class Run(GraphSettings):
    """Run a policy bundle on an arm through ROS 2: starts camera, policy, arbiter and teleoperation.

    Starts the same nodes with the same parameters as `ros2 launch rlvla policy.launch.py`, for machines that have rclpy
    but no `ros2` command. Ctrl-C ends them all; a node that was killed is started again.
    """

    def run(self) -> int:
        """Start the nodes, watch them, end them; returns the exit code."""
        specs = describe(self)
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"starting {', '.join(spec.name for spec in specs)}; Ctrl-C ends them", markup=False)
        with tempfile.TemporaryDirectory(prefix="rlvla-run-") as folder:
            supervisor = Supervisor(specs, Path(folder), lambda line: console.print(line, markup=False))
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: supervisor.stop())
            return supervisor.run()
