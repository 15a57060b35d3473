"""Between ROS messages and what the rooms use: arrays, seconds, camera descriptions."""

from typing import TYPE_CHECKING

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from rlvla_core.errors import RlvlaError

if TYPE_CHECKING:
    # The module loads torch, which only policy_node needs: a second at every start.
    from rlvla_core.geometry.camera import CameraSpec

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
"""Image encoding that a camera may send -> its bytes a pixel."""


def to_seconds(stamp: Time) -> float:
    """A stamp as seconds since its clock's zero."""
    return stamp.sec + 1e-9 * stamp.nanosec


def to_stamp(seconds: float) -> Time:
    """Seconds since a clock's zero as a stamp, rounded to the nanosecond; the inverse of `to_seconds`."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def image_of(message: Image) -> np.ndarray:
    """The image of a message, uint8 [H, W, 3] RGB; not copied if the message is rgb8 without padding.

    Raises RlvlaError for another encoding and for a length that does not fit the stated size.
    """
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise RlvlaError(f"image encoding {message.encoding!r} is not known: publish one of {', '.join(CHANNELS)}")
    size = message.height * message.step
    if len(message.data) != size or message.step < message.width * channels:
        raise RlvlaError(
            f"an image of {message.width}x{message.height} {message.encoding} with step {message.step} has "
            f"{len(message.data)} bytes, expected {size}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : message.width * channels].reshape(message.height, message.width, channels)
    if message.encoding == "mono8":
        return np.repeat(pixels, 3, axis=2)
    return pixels[..., 2::-1] if message.encoding.startswith("bgr") else pixels[..., :3]


def image_message(image: np.ndarray, header: Header) -> Image:
    """An image, uint8 [H, W, 3] RGB, as a message with the encoding rgb8."""
    height, width, _ = image.shape
    message = Image(header=header, height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width)
    message.data.frombytes(np.ascontiguousarray(image).tobytes())
    return message


def camera_info_message(camera: "CameraSpec", header: Header) -> CameraInfo:
    """A pinhole camera without distortion as CameraInfo. Its pose is not part of that message."""
    message = CameraInfo(header=header, width=camera.width, height=camera.height, distortion_model="plumb_bob")
    message.d = [0.0] * 5
    message.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
