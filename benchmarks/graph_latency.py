"""Measures the time from an image to the policy's command in the running ROS graph, over minutes.

    python benchmarks/graph_latency.py runs/demo/policy [--minutes 5] [--camera-hz 30]

camera_node plays 640x480 images of the simulator to the policy, and the simulated arm follows the arbiter, each node in
a process of its own. For every decision: time from the image's stamp to the published command, less the network's own.
Ends with one line of JSON; exit code 1 if the median is over 5 ms, the 99th percentile over 25 ms, the policy is not at
5 Hz (+- 2 %), an image is lost, or a process's memory grows by more than 2 % between first and last fifth of the time.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from PIL import Image
from rich.console import Console
from running_graph import running

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec
from rlvla_nodes.graph import GraphSettings
from rlvla_sim import WorldConfig
from rlvla_sim.sim_robot import SimRobot

IMAGES = 16
"""Number of different images, which are played in a loop."""
MEDIAN_MS, P99_MS, GROWTH, RATE = 5.0, 25.0, 0.02, 0.02


def write_camera(folder: Path) -> Path:
    """Images of the simulated robot at 640x480 in `folder`, and their intrinsics in a file that is returned."""
    sim_robot = SimRobot(WorldConfig(image_width=640, image_height=480, supersampling=1))
    images = folder / "images"
    images.mkdir()
    for i in range(IMAGES):
        sim_robot.reset(1000 * i)
        Image.fromarray(sim_robot.world.image()).save(images / f"{i:03d}.png")
    path = folder / "camera_info.yaml"
    path.write_text(yaml.safe_dump(camera_info(sim_robot.camera)), encoding="utf-8")
    return path


def camera_info(camera: CameraSpec) -> dict[str, Any]:
    """The camera's intrinsics as ROS's camera_calibration saves them."""
    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": camera.name,
        "camera_matrix": {"rows": 3, "cols": 3, "data": k},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0]},
        "projection_matrix": {"rows": 3, "cols": 4, "data": p},
    }


class Watch:
    """Records decisions, image counts and memory over time."""

    def __init__(self, client: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        from rlvla_msgs.msg import ArbiterState, PolicyStep
        from rlvla_nodes import topics

        self._client = client
        self.steps: list[Any] = []
        self.mode = -1
        self.reasons: list[str] = []
        self.counts: dict[str, list[int]] = {"camera_node": [], "policy_node": []}
        self.memory: dict[str, list[int]] = {child.spec.name: [] for child in client.supervisor.children}
        node = client.node
        self._policy_mode = ArbiterState.POLICY
        node.create_subscription(PolicyStep, topics.POLICY_STEP, self.steps.append, topics.EVENTS)
        node.create_subscription(ArbiterState, topics.ARBITER_STATE, self._on_state, topics.LATCHED)
        node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_diagnostics, topics.EVENTS)
        node.create_timer(1.0, self._weigh)

    def _on_state(self, message: Any) -> None:
        self.mode, self.reasons = message.mode, list(message.reasons)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            for value in status.values:
                if status.name in self.counts and value.key == "images":
                    self.counts[status.name].append(int(value.value))

    def _weigh(self) -> None:
        for child in self._client.supervisor.children:
            self.memory[child.spec.name].append(psutil.Process(child.process.pid).memory_info().rss)

    @property
    def acting(self) -> bool:
        return self.mode == self._policy_mode


def measure(settings: GraphSettings, minutes: float, console: Console) -> dict[str, Any]:
    """Run the graph for some minutes; returns the metrics."""
    with running(settings, console) as client:
        watch = Watch(client)
        client.spin(lambda: watch.acting and len(watch.steps) > 10, 120.0, "starting the graph")
        watch.steps.clear()
        for column in (*watch.counts.values(), *watch.memory.values()):
            column.clear()
        end = time.monotonic() + 60.0 * minutes
        while time.monotonic() < end:
            left = end - time.monotonic()
            client.pass_time(min(10.0, left))
            console.print(f"{left:4.0f} s left, {len(watch.steps)} decisions", style="dim")
            if not watch.acting:
                raise RlvlaError(f"the arbiter left POLICY: {watch.reasons[-1:]}")
    columns = ("wait_ms", "prepare_ms", "model_ms", "publish_ms")
    table = np.array([[getattr(step, name) for name in columns] for step in watch.steps])
    without_model = table.sum(axis=1) - table[:, 2]
    stamps = [step.header.stamp.sec + 1e-9 * step.header.stamp.nanosec for step in watch.steps]
    sent, seen = (column[-1] - column[0] for column in watch.counts.values())
    return {
        "benchmark": "graph_latency",
        "minutes": minutes,
        "camera_hz": settings.camera_hz,
        "decisions": len(table),
        "rate_hz": (len(stamps) - 1) / (stamps[-1] - stamps[0]),
        "overhead_ms": quantiles(without_model),
        **{name: quantiles(table[:, i]) for i, name in enumerate(columns)},
        "images": {"published": sent, "received": seen},
        "memory_mib": {name: growth(column) for name, column in watch.memory.items()},
    }


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Median, 99th percentile and largest, rounded to microseconds."""
    return {name: round(float(np.quantile(values, q)), 3) for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def growth(column: list[int]) -> dict[str, float]:
    """Mean resident MiB in the first and the last fifth of the time."""
    fifth = max(1, len(column) // 5)
    first, last = (float(np.mean(part)) / 2**20 for part in (column[:fifth], column[-fifth:]))
    return {"first": round(first, 1), "last": round(last, 1)}


def failures(metrics: dict[str, Any]) -> list[str]:
    """One line for each metric that misses its bar."""
    found = []
    overhead = metrics["overhead_ms"]
    if overhead["p50"] > MEDIAN_MS or overhead["p99"] > P99_MS:
        found.append(f"overhead {overhead} ms, wanted p50 <= {MEDIAN_MS} and p99 <= {P99_MS}")
    if abs(metrics["rate_hz"] / 5.0 - 1.0) > RATE:
        found.append(f"rate {metrics['rate_hz']:.3f} Hz, wanted 5")
    # The two nodes report once a second at different moments, so the counts may differ by a second's images.
    lost = metrics["images"]["published"] - metrics["images"]["received"]
    if abs(lost) > metrics["camera_hz"]:
        found.append(f"{lost} images lost")
    for name, mib in metrics["memory_mib"].items():
        if mib["last"] > (1.0 + GROWTH) * mib["first"]:
            found.append(f"{name} grew from {mib['first']} to {mib['last']} MiB")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="policy bundle of the simulated WidowX, e.g. runs/demo/policy")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--camera-hz", type=float, default=30.0)
    given = parser.parse_args()
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="rlvla-latency-") as name:
            folder = Path(name)
            settings = GraphSettings(
                bundle=str(given.bundle),
                camera="file",
                camera_info=str(write_camera(folder)),
                camera_source=str(folder / "images"),
                camera_hz=given.camera_hz,
            )
            metrics = measure(settings, given.minutes, console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    missed = failures(metrics)
    for line in missed:
        print(f"missed: {line}")
    print(json.dumps(metrics), flush=True)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
