"""A camera behind realsense2_camera's topic names: images of a V4L2 device or of files, each with its CameraInfo.

A thread of its own waits for images and publishes each at once; there is no queue that could hold an old one.
"""

import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from rlvla_core.errors import RlvlaError
from rlvla_nodes import diagnostics, topics
from rlvla_nodes.camera.files import FileSource
from rlvla_nodes.camera.intrinsics import load_camera_info
from rlvla_nodes.camera.source import CameraImage, CameraSource
from rlvla_nodes.camera.v4l2 import V4l2Source
from rlvla_nodes.convert import image_message, to_seconds, to_stamp
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node

DISCOVERY_S = 1.0
"""How long the node looks for another camera before it publishes, seconds; mostly enough to discover one."""
LATE_DISCOVERY_S = 5.0
"""How long it goes on looking while it publishes, seconds: lost announcements are repeated every three seconds."""
UNKNOWN = "_UNKNOWN_"
"""Part of the name that the middleware gives to a node whose own name it does not know yet."""
RATE_WINDOW_S = 2.0
"""The rate is measured over the images of this many last seconds."""
RATE_WARNING = 0.9
"""The diagnostics warn when the measured rate is below this fraction of rate_hz."""


@dataclass(frozen=True, kw_only=True)
class CameraParameters:
    """Parameters of camera_node."""

    source: Literal["file", "v4l2"] = "file"
    """Where images come from: `file` (a video or a folder of images) or `v4l2` (a camera of this machine)."""
    path: str = ""
    """Path of the video, of the folder, or of the device, such as /dev/video0."""
    camera_info: str = ""
    """Path of the YAML file with the camera's intrinsics, as ROS's camera_calibration saves it. The image size in it
    must be that of the images."""
    rate_hz: float = 30.0
    """Images a second: the rate at which a file is played or that a device must have."""
    loop: bool = True
    """Whether a file is played again from its beginning when it ends."""
    frame_id: str = "camera_color_optical_frame"
    """Frame of images and CameraInfo: x right, y down, z into the scene."""

    def __post_init__(self) -> None:
        if not self.path:
            raise RlvlaError("parameter `path` is empty: name a video, a folder of images or a device")
        if not self.camera_info:
            raise RlvlaError("parameter `camera_info` is empty: name the YAML that ROS's camera_calibration saves")
        if not 0.1 <= self.rate_hz <= 500.0:
            raise RlvlaError(f"rate_hz is {self.rate_hz}: choose 0.1 to 500")


class CameraNode(Node):
    """Publishes the images of one source, each with its CameraInfo."""

    # rclpy may take a node down whose __init__ raised.
    _thread: Thread | None = None
    _publishing_since: float | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("camera_node", **kwargs)
        self.given = given = declare_parameters(self, CameraParameters)
        self._stop = Event()
        self._failure: Exception | None = None
        self._image_count = 0
        self._times: deque[float] = deque(maxlen=2000)
        self._info = load_camera_info(Path(given.camera_info))
        self._source = self._open()
        try:
            self._check_size(*self._source.size)
            self._refuse_a_second_camera()
        except RlvlaError:
            self._source.close()
            raise
        self._image_publisher = self.create_publisher(Image, topics.IMAGE, topics.STREAM)
        self._publishing_since = time.monotonic()
        self._infos = self.create_publisher(CameraInfo, topics.CAMERA_INFO, topics.STREAM)
        self._diagnostics = diagnostics.Diagnostics(self, self._report)
        self.create_timer(0.05, self._look_after, clock=Clock(clock_type=ClockType.STEADY_TIME))
        # A daemon, so that a driver that never returns from a read cannot keep the process alive.
        self._thread = Thread(target=self._run, name="images", daemon=True)
        self._thread.start()

    def destroy_node(self) -> None:
        """End the thread, then give the source back."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(timeout=2.0)
            if not self._thread.is_alive():
                self._source.close()
        super().destroy_node()

    def _open(self) -> CameraSource:
        given = self.given
        if given.source == "file":
            return FileSource(Path(given.path), given.rate_hz, given.loop)
        return V4l2Source(Path(given.path), (self._info.width, self._info.height), given.rate_hz)

    def _check_size(self, width: int, height: int) -> None:
        if (width, height) != (self._info.width, self._info.height):
            raise RlvlaError(
                f"{self.given.path} gives {width}x{height} pixels, {self.given.camera_info} describes "
                f"{self._info.width}x{self._info.height}: calibrate the camera at the size that it sends"
            )

    def _refuse_a_second_camera(self) -> None:
        """Raise RlvlaError if another node publishes images: a policy must not see two cameras in turn."""
        end, name = time.monotonic() + DISCOVERY_S, ""
        # The middleware learns the name of a node a little later than its publisher.
        while time.monotonic() < end and (not name or UNKNOWN in name):
            name = self._other_publisher()
            time.sleep(0.02)
        if name:
            raise self._second_camera(name)

    def _other_publisher(self) -> str:
        """Name of another node that publishes images; empty if none is known."""
        publishers = self.get_publishers_info_by_topic(self.resolve_topic_name(topics.IMAGE))
        names = [f"{each.node_namespace.rstrip('/')}/{each.node_name}" for each in publishers]
        own = self.get_fully_qualified_name()
        if self._publishing_since is not None and own in names:
            names.remove(own)  # once: the other node may have the same name
        return names[-1] if names else ""

    def _second_camera(self, name: str) -> RlvlaError:
        name = "another node" if UNKNOWN in name else name
        topic = self.resolve_topic_name(topics.IMAGE)
        return RlvlaError(f"{name} already publishes {topic}: stop it, or do not start camera_node")

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._source.ended:
                image = self._source.read(self._stop)
                if image is not None:
                    self._publish(image)
        except Exception as error:
            # A thread cannot end the node: the executor's thread raises the error in `_look_after`.
            self._failure = error

    def _publish(self, image: CameraImage) -> None:
        height, width, _ = image.pixels.shape
        self._check_size(width, height)
        age = time.monotonic() - image.captured_s
        stamp = to_stamp(to_seconds(self.get_clock().now().to_msg()) - age)
        header = Header(stamp=stamp, frame_id=self.given.frame_id)
        self._info.header = header
        self._image_publisher.publish(image_message(image.pixels, header))
        self._infos.publish(self._info)
        self._image_count += 1
        self._times.append(time.monotonic())

    def _look_after(self) -> None:
        """Raise what must end the node: its thread has failed, or another camera has been discovered."""
        if self._failure is not None:
            raise self._failure
        if time.monotonic() < (self._publishing_since or 0.0) + LATE_DISCOVERY_S and (name := self._other_publisher()):
            raise self._second_camera(name)

    def rate_hz(self) -> float:
        """Measured images a second over the last RATE_WINDOW_S seconds; 0 if there were fewer than two."""
        now = time.monotonic()
        times = [moment for moment in list(self._times) if now - moment < RATE_WINDOW_S]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def _report(self) -> diagnostics.Report:
        source, rate = self._source, self.rate_hz()
        values = {"rate_hz": f"{rate:.2f}", "images": self._image_count, "reopenings": source.reopenings}
        if source.lost:
            return diagnostics.ERROR, source.lost, values
        if source.ended:
            return diagnostics.WARN, f"{self.given.path} has ended after {self._image_count} images", values
        if not self._image_count:
            return diagnostics.WARN, f"{self.given.path} has given no image yet", values
        if rate < RATE_WARNING * self.given.rate_hz:
            return diagnostics.WARN, f"{rate:.1f} images a second where rate_hz is {self.given.rate_hz:g}", values
        return diagnostics.OK, f"{self.given.source} {self.given.path}", values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code of the process."""
    return run_node(CameraNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
