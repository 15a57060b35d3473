"""Axioms of rigid transforms: identity, inverse, associativity, action on points, and the error between poses."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from rlvla_core.geometry.rotations import matrix_of_rotation_vector
from rlvla_core.geometry.transforms import pose_error, rigid, rigid_inverse, transformed

EXACT = 1e-12


def poses(seed: int, *shape: int) -> np.ndarray:
    """Random transforms [*shape, 4, 4]."""
    rng = np.random.default_rng(seed)
    return rigid(matrix_of_rotation_vector(rng.normal(size=(*shape, 3))), rng.normal(size=(*shape, 3)))


def test_a_transform_holds_its_rotation_and_translation():
    rotation, translation = matrix_of_rotation_vector(np.array([0.1, 0.2, 0.3])), np.array([1.0, 2.0, 3.0])
    pose = rigid(rotation, translation)
    assert np.array_equal(pose[:3, :3], rotation)
    assert np.array_equal(pose[:3, 3], translation)
    assert pose[3].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_group_laws():
    a, b, c = (poses(seed, 50) for seed in (0, 1, 2))
    identity = np.broadcast_to(np.eye(4), a.shape)
    assert a @ rigid_inverse(a) == pytest.approx(identity, abs=EXACT)
    assert rigid_inverse(a) @ a == pytest.approx(identity, abs=EXACT)
    assert rigid_inverse(rigid_inverse(a)) == pytest.approx(a, abs=EXACT)
    assert rigid_inverse(a @ b) == pytest.approx(rigid_inverse(b) @ rigid_inverse(a), abs=EXACT)
    assert (a @ b) @ c == pytest.approx(a @ (b @ c), abs=EXACT)


def test_action_on_points_is_that_of_the_product_and_keeps_distances():
    base_T_tcp, tcp_T_tip = poses(3), poses(4)
    points = np.random.default_rng(5).normal(size=(7, 3))
    in_base = transformed(base_T_tcp @ tcp_T_tip, points)
    assert in_base == pytest.approx(transformed(base_T_tcp, transformed(tcp_T_tip, points)), abs=EXACT)
    homogeneous = np.column_stack([points, np.ones(7)]) @ (base_T_tcp @ tcp_T_tip).T
    assert in_base == pytest.approx(homogeneous[:, :3], abs=EXACT)
    assert transformed(rigid_inverse(base_T_tcp @ tcp_T_tip), in_base) == pytest.approx(points, abs=EXACT)
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    assert np.linalg.norm(in_base[:, None] - in_base, axis=-1) == pytest.approx(apart, abs=EXACT)


def test_the_error_takes_one_pose_to_the_other():
    start, target = poses(6, 40), poses(7, 40)
    error = pose_error(start, target)
    assert start[:, :3, 3] + error[:, :3] == pytest.approx(target[:, :3, 3], abs=EXACT)
    turned = matrix_of_rotation_vector(error[:, 3:]) @ start[:, :3, :3]
    assert turned == pytest.approx(target[:, :3, :3], abs=1e-9)
    assert pose_error(start, start) == pytest.approx(np.zeros((40, 6)), abs=EXACT)
    assert pose_error(target, start)[:, :3] == pytest.approx(-error[:, :3])


def test_batches_are_their_rows_and_torch_gives_what_numpy_gives():
    a, b = poses(8, 2, 5), poses(9, 2, 5)
    points = np.random.default_rng(10).normal(size=(2, 5, 3, 3))
    for function, given in ((rigid_inverse, (a,)), (transformed, (a, points)), (pose_error, (a, b))):
        whole = function(*given)
        rows = [function(*(x[i, j] for x in given)) for i in range(2) for j in range(5)]
        assert whole.reshape(10, *whole.shape[2:]) == pytest.approx(np.array(rows), abs=EXACT)
        found = function(*(torch.from_numpy(x) for x in given))
        assert found.dtype == torch.float64
        assert found.numpy() == pytest.approx(whole, abs=EXACT)


def test_geometry_needs_no_torch():
    """Nodes that command an arm start without it."""
    rooms = ", ".join(f"rlvla_core.geometry.{name}" for name in ("rotations", "transforms", "camera"))
    program = f"import sys, {rooms}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "False"
