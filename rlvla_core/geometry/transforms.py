"""Rigid transforms as homogeneous matrices [..., 4, 4]: the pose `a_T_b` of frame b in frame a."""

import numpy as np

from rlvla_core.geometry.backend import Array, array_module
from rlvla_core.geometry.rotations import rotation_vector


def rigid(rotation: Array, translation: Array) -> Array:
    """Transforms [..., 4, 4] of rotations [..., 3, 3] and translations [..., 3], metres."""
    xp = array_module(rotation)
    top = xp.concatenate([rotation, translation[..., None]], -1)
    bottom = xp.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1
    return xp.concatenate([top, bottom], -2)


def rigid_inverse(a_T_b: Array) -> Array:
    """Inverses `b_T_a` [..., 4, 4] of rigid transforms."""
    rotation = a_T_b[..., :3, :3].swapaxes(-1, -2)
    return rigid(rotation, (-rotation @ a_T_b[..., :3, 3:])[..., 0])


def transformed(a_T_b: Array, points_in_b: Array) -> Array:
    """Points [..., P, 3] in frame a, of points [..., P, 3] in frame b; metres."""
    return points_in_b @ a_T_b[..., :3, :3].swapaxes(-1, -2) + a_T_b[..., None, :3, 3]


def pose_error(pose: Array, target: Array) -> Array:
    """Translation [m] and rotation vector [rad] [..., 6] that take `pose` to `target` (both [..., 4, 4] in one frame).

    Both parts are in the axes of that frame: target = pose moved by the translation and turned by the rotation.
    """
    turn = rotation_vector(target[..., :3, :3] @ pose[..., :3, :3].swapaxes(-1, -2))
    if turn.ndim == 1 and type(turn) is np.ndarray:
        # One pose of a control loop: filling an array is quicker than concatenating two.
        error = np.empty(6)
        error[:3] = target[:3, 3] - pose[:3, 3]
        error[3:] = turn
        return error
    return array_module(pose).concatenate([target[..., :3, 3] - pose[..., :3, 3], turn], -1)
