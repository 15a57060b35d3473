"""Rotations and rigid transforms on arrays with leading batch dimensions.

Quaternions are wxyz and unit; matrices act on column vectors; `XYZ` Euler angles (a, b, c) mean Rx(a) Ry(b) Rz(c), the
convention of BridgeData actions. Angles are radians, lengths metres.
"""

import math
from types import ModuleType
from typing import Any

import numpy as np
import torch


def array_module(x: Any) -> ModuleType:
    """`torch` for a tensor, else `numpy`: the two name what is used here alike."""
    return torch if isinstance(x, torch.Tensor) else np


def matrix_of_quaternion(q: Any) -> Any:
    """Rotation matrix [..., 3, 3] of unit quaternions [..., 4], numpy or torch."""
    xp = array_module(q)
    w, x, y, z = xp.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return xp.stack([xp.stack(row, -1) for row in rows], -2)


def rotation_about_z(angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] by `angle` about z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def quaternion_about_z(angle: float) -> tuple[float, float, float, float]:
    """Unit quaternion of a rotation by `angle` about z."""
    return (math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2))


def quaternion_product(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Hamilton product: the rotation b, then a."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def matrix_of_euler_xyz(angles: Any) -> Any:
    """Rx(a) Ry(b) Rz(c) [..., 3, 3] of angles [..., 3], numpy or torch."""
    xp = array_module(angles)
    (ca, cb, cc), (sa, sb, sc) = xp.moveaxis(xp.cos(angles), -1, 0), xp.moveaxis(xp.sin(angles), -1, 0)
    rows = [
        [cb * cc, -cb * sc, sb],
        [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
        [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
    ]
    return xp.stack([xp.stack(row, -1) for row in rows], -2)


def rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Homogeneous transform [4, 4] of a rotation [3, 3] and a translation [3]."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def rigid_inverse(transform: np.ndarray) -> np.ndarray:
    """Inverse [4, 4] of a rigid transform."""
    rotation = transform[:3, :3].T
    return rigid(rotation, -rotation @ transform[:3, 3])
