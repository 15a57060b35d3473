"""Rotations as matrices [..., 3, 3], unit quaternions [..., 4], Euler angles [..., 3] and rotation vectors [..., 3].

A rotation vector is axis times angle (the logarithm of the rotation). `XYZ` Euler angles (a, b, c) mean
Rx(a) Ry(b) Rz(c), the convention of BridgeData actions.

A control loop turns one pose at a time. There the arrays cost more than the arithmetic, so one numpy rotation without
batch dimensions is computed with Python floats instead, by the same formula. CPU time on one core, numpy 2.4, against a
batch of one: matrix_of_euler_xyz 2.1 instead of 44 microseconds, euler_xyz_of_matrix 1.7 instead of 32, rotation_vector
1.4 instead of 49, matrix_of_rotation_vector 2.5 instead of 70.
"""

import math

import numpy as np

from rlvla_core.geometry.backend import Array, array_module

TINY = 1e-9
"""Sines and cosines below this count as 0: less than that, their direction is rounding."""


def matrix_of_quaternion(quaternion: Array) -> Array:
    """Rotation matrices [..., 3, 3] of unit quaternions wxyz [..., 4]."""
    w, x, y, z = array_module(quaternion).moveaxis(quaternion, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return _stacked(rows)


def quaternion_product(a: Array, b: Array) -> Array:
    """Hamilton products [..., 4] of quaternions wxyz [..., 4]: the rotation b first, then a."""
    xp = array_module(a)
    (aw, ax, ay, az), (bw, bx, by, bz) = xp.moveaxis(a, -1, 0), xp.moveaxis(b, -1, 0)
    return xp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def rotation_about_z(angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] by `angle` radians about z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def quaternion_about_z(angle: float) -> np.ndarray:
    """Unit quaternion wxyz [4] of the rotation by `angle` radians about z."""
    return np.array([math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)])


def matrix_of_euler_xyz(angles: Array) -> Array:
    """Rotation matrices Rx(a) Ry(b) Rz(c) [..., 3, 3] of XYZ Euler angles (a, b, c) [..., 3], radians."""
    one = type(angles) is np.ndarray and angles.ndim == 1
    if one:
        a, b, c = angles.tolist()
        ca, cb, cc, sa, sb, sc = math.cos(a), math.cos(b), math.cos(c), math.sin(a), math.sin(b), math.sin(c)
    else:
        xp = array_module(angles)
        (ca, cb, cc), (sa, sb, sc) = xp.moveaxis(xp.cos(angles), -1, 0), xp.moveaxis(xp.sin(angles), -1, 0)
    rows = [
        [cb * cc, -cb * sc, sb],
        [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
        [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
    ]
    return np.array(rows) if one else _stacked(rows)


def euler_xyz_of_matrix(matrix: Array) -> Array:
    """XYZ Euler angles (a, b, c) [..., 3] of rotation matrices [..., 3, 3], radians; b is in [-pi/2, pi/2].

    At b = +-pi/2 (gimbal lock) only a + c or a - c is defined: c is 0 there.
    """
    if type(matrix) is np.ndarray and matrix.ndim == 2:
        (r00, r01, r02), (_, r11, r12), (_, r21, r22) = matrix.tolist()
        b = math.asin(min(1.0, max(-1.0, r02)))
        if abs(r00) + abs(r01) < TINY:
            return np.array([math.atan2(r21, r11), b, 0.0])
        return np.array([math.atan2(-r12, r22), b, math.atan2(-r01, r00)])
    xp = array_module(matrix)
    (r00, r01, r02), (_, r11, r12), (_, r21, r22) = xp.moveaxis(matrix, (-2, -1), (0, 1))
    locked = abs(r00) + abs(r01) < TINY
    a = xp.where(locked, xp.arctan2(r21, r11), xp.arctan2(-r12, r22))
    c = xp.where(locked, xp.zeros_like(r00), xp.arctan2(-r01, r00))
    return xp.stack([a, xp.arcsin(xp.clip(r02, -1.0, 1.0)), c], -1)


def rotation_vector(matrix: Array) -> Array:
    """Rotation vectors [..., 3] of rotation matrices [..., 3, 3]: unit axis times angle, the angle in [0, pi] radians.

    The axis times the sine of the angle is the skew part of the matrix. It vanishes at pi, where the axis (either
    direction) is read from the symmetric part; closer to pi than 1e-6, the axis is good to 1e-7 or so.
    """
    if type(matrix) is np.ndarray and matrix.ndim == 2:
        (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = matrix.tolist()
        x, y, z = 0.5 * (r21 - r12), 0.5 * (r02 - r20), 0.5 * (r10 - r01)
        sine, cosine = math.sqrt(x * x + y * y + z * z), 0.5 * (r00 + r11 + r22 - 1.0)
        if sine <= TINY and cosine < 0.0:
            half_turn: np.ndarray = _half_turns(matrix[None])[0]
            return half_turn
        scale = math.atan2(sine, cosine) / sine if sine > TINY else 1.0
        return np.array([scale * x, scale * y, scale * z])
    xp = array_module(matrix)
    (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = xp.moveaxis(matrix, (-2, -1), (0, 1))
    vector = 0.5 * xp.stack([r21 - r12, r02 - r20, r10 - r01], -1)
    sine, cosine = xp.sqrt((vector * vector).sum(-1)), 0.5 * (r00 + r11 + r22 - 1)
    scale = xp.where(sine > TINY, xp.arctan2(sine, cosine) / xp.clip(sine, TINY, None), xp.ones_like(sine))
    vector = scale[..., None] * vector
    half = (sine <= TINY) & (cosine < 0)
    if half.any():
        vector[half] = _half_turns(matrix[half])
    return vector


def _half_turns(matrix: Array) -> Array:
    """Rotation vectors [N, 3] of rotations by pi [N, 3, 3], from R + R^2 = R + 1 = 2 n n^T with the axis n."""
    outer = matrix + matrix @ matrix
    diagonal = array_module(matrix).stack([outer[:, i, i] for i in range(3)], -1)
    column = outer[range(len(outer)), diagonal.argmax(-1)]
    return math.pi * column / (column * column).sum(-1)[:, None] ** 0.5


def matrix_of_rotation_vector(vector: Array) -> Array:
    """Rotation matrices [..., 3, 3] by |vector| radians about the direction of `vector` [..., 3] (Rodrigues)."""
    one = type(vector) is np.ndarray and vector.ndim == 1
    if one:
        x, y, z = vector.tolist()
        angle = math.sqrt(x * x + y * y + z * z)
        if angle < 1e-12:
            return np.eye(3)
        x, y, z = x / angle, y / angle, z / angle
        s, v = math.sin(angle), 1.0 - math.cos(angle)
    else:
        xp = array_module(vector)
        angle = xp.sqrt((vector * vector).sum(-1))
        x, y, z = xp.moveaxis(vector, -1, 0) / xp.where(angle < 1e-12, xp.ones_like(angle), angle)
        s, v = xp.sin(angle), 1.0 - xp.cos(angle)
    rows = [
        [1 - v * (y * y + z * z), v * x * y - s * z, v * x * z + s * y],
        [v * x * y + s * z, 1 - v * (x * x + z * z), v * y * z - s * x],
        [v * x * z - s * y, v * y * z + s * x, 1 - v * (x * x + y * y)],
    ]
    return np.array(rows) if one else _stacked(rows)


def _stacked(rows: list[list[Array]]) -> Array:
    """Matrices [..., 3, 3] of their entries [...]."""
    xp = array_module(rows[0][0])
    return xp.stack([xp.stack(row, -1) for row in rows], -2)
