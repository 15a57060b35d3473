"""Rotations of one pose at a time: float64 [3, 3] matrices that act on column vectors, angles in radians.

`XYZ` Euler angles (a, b, c) mean Rx(a) Ry(b) Rz(c), the convention of BridgeData actions.
"""

import math

import numpy as np


def matrix_of_euler_xyz(angles: np.ndarray) -> np.ndarray:
    """Rx(a) Ry(b) Rz(c) [3, 3] of angles [3]."""
    a, b, c = angles.tolist()
    ca, cb, cc, sa, sb, sc = math.cos(a), math.cos(b), math.cos(c), math.sin(a), math.sin(b), math.sin(c)
    return np.array(
        [
            [cb * cc, -cb * sc, sb],
            [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
            [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
        ]
    )


def euler_xyz_of_matrix(matrix: np.ndarray) -> np.ndarray:
    """Angles [3] with Rx(a) Ry(b) Rz(c) = matrix; b in [-pi/2, pi/2]."""
    b = math.asin(min(1.0, max(-1.0, float(matrix[0, 2]))))
    a = math.atan2(-float(matrix[1, 2]), float(matrix[2, 2]))
    c = math.atan2(-float(matrix[0, 1]), float(matrix[0, 0]))
    return np.array([a, b, c])


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Axis times angle [3] of a rotation by less than pi."""
    (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = matrix.tolist()
    x, y, z = 0.5 * (r21 - r12), 0.5 * (r02 - r20), 0.5 * (r10 - r01)
    sine = math.sqrt(x * x + y * y + z * z)
    scale = math.atan2(sine, 0.5 * (r00 + r11 + r22 - 1.0)) / sine if sine > 1e-9 else 1.0
    return np.array([scale * x, scale * y, scale * z])


def matrix_of_rotation_vector(vector: np.ndarray) -> np.ndarray:
    """Rotation by |vector| about vector (Rodrigues)."""
    x, y, z = vector.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = x / angle, y / angle, z / angle
    s, v = math.sin(angle), 1.0 - math.cos(angle)
    return np.array(
        [
            [1 - v * (y * y + z * z), v * x * y - s * z, v * x * z + s * y],
            [v * x * y + s * z, 1 - v * (x * x + z * z), v * y * z - s * x],
            [v * x * z - s * y, v * y * z + s * x, 1 - v * (x * x + y * y)],
        ]
    )


def pose_error(pose: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Translation [m] and rotation vector [rad] [6], base frame, that take `pose` [4, 4] to `target` [4, 4]."""
    error = np.empty(6)
    error[:3] = target[:3, 3] - pose[:3, 3]
    error[3:] = rotation_vector(target[:3, :3] @ pose[:3, :3].T)
    return error
