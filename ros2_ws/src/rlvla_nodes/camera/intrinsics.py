"""Reads the lens of a camera from the YAML file that ROS's camera_calibration writes."""

import math
from pathlib import Path
from typing import Any

from sensor_msgs.msg import CameraInfo

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.yaml_files import read_yaml

DISTORTIONS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}
"""Distortion model of ROS -> number of its coefficients."""
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
"""The identity matrix [3, 3], row by row."""


def load_camera_info(path: Path) -> CameraInfo:
    """The lens as a CameraInfo without a header. Raises RlvlaError that names file and key.

    Size, camera matrix and distortion must be in the file. `rectification_matrix` and `projection_matrix` describe a
    stereo pair or a cropped image; a file may lack them, and they are then the identity and [K | 0].
    """
    data = read_yaml(path, "run ROS's camera_calibration and name the YAML that it saves")
    if not isinstance(data, dict):
        raise RlvlaError(f"{path} holds no keys: name the YAML that ROS's camera_calibration saves")
    try:
        return _message(data)
    except RlvlaError as error:
        raise RlvlaError(f"{path}: {error}") from None


def _message(data: dict[str, Any]) -> CameraInfo:
    message = CameraInfo(width=_pixels(data, "image_width"), height=_pixels(data, "image_height"))
    k = _numbers(data, "camera_matrix", 9)
    if k[0] <= 0 or k[4] <= 0 or k[6:] != [0.0, 0.0, 1.0]:
        raise RlvlaError(f"`camera_matrix.data` is {k}: expected fx 0 cx, 0 fy cy, 0 0 1 with positive fx and fy")
    model = _get(data, "distortion_model")
    if model not in DISTORTIONS:
        raise RlvlaError(f"`distortion_model` is {model!r}: write one of {', '.join(DISTORTIONS)}")
    message.distortion_model = model
    message.d = _numbers(data, "distortion_coefficients", DISTORTIONS[model])
    message.k = k
    message.r = _numbers(data, "rectification_matrix", 9) if "rectification_matrix" in data else list(IDENTITY)
    if "projection_matrix" in data:
        message.p = _numbers(data, "projection_matrix", 12)
    else:
        message.p = [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0]
    return message


def _get(data: dict[str, Any], key: str) -> Any:
    if key not in data:
        raise RlvlaError(f"`{key}` is missing: name the YAML that ROS's camera_calibration saves")
    return data[key]


def _pixels(data: dict[str, Any], key: str) -> int:
    value = _get(data, key)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise RlvlaError(f"`{key}` is {value!r}: write a whole number of pixels")
    return value


def _numbers(data: dict[str, Any], key: str, count: int) -> list[float]:
    matrix = _get(data, key)
    values = matrix.get("data") if isinstance(matrix, dict) else None
    if not isinstance(values, list) or len(values) != count:
        raise RlvlaError(f"`{key}.data` is {values!r}: write a list of {count} numbers")
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        raise RlvlaError(f"`{key}.data` is {values!r}: every value must be a number")
    if not all(math.isfinite(value) for value in values):
        raise RlvlaError(f"`{key}.data` is {values!r}: every number must be finite")
    return [float(value) for value in values]
