"""Axioms of the rotations (after mink's lie tests): group laws, round trips, edges, batches and torch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rlvla_core.geometry.rotations import (
    euler_xyz_of_matrix,
    matrix_of_euler_xyz,
    matrix_of_quaternion,
    matrix_of_rotation_vector,
    quaternion_about_z,
    quaternion_product,
    rotation_about_z,
    rotation_vector,
)

EXACT = 1e-12
RNG_ROWS = 200

angles = st.floats(-math.pi, math.pi)
units = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array).filter(lambda v: np.linalg.norm(v) > 1e-3)


def random_quaternions(seed: int, count: int = RNG_ROWS) -> np.ndarray:
    """Unit quaternions wxyz [count, 4], uniform over the rotations."""
    q = np.random.default_rng(seed).normal(size=(count, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def of_scipy(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(np.roll(q, -1, axis=-1))


@given(units, angles)
@settings(deadline=None)
def test_a_rotation_is_orthogonal_with_determinant_one_and_keeps_its_axis(axis, angle):
    axis = axis / np.linalg.norm(axis)
    matrix = matrix_of_rotation_vector(angle * axis)
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=EXACT)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert matrix @ axis == pytest.approx(axis, abs=EXACT)


def test_identity_and_inverse():
    assert np.array_equal(matrix_of_rotation_vector(np.zeros(3)), np.eye(3))
    assert np.array_equal(matrix_of_euler_xyz(np.zeros(3)), np.eye(3))
    assert np.array_equal(matrix_of_quaternion(np.array([1.0, 0.0, 0.0, 0.0])), np.eye(3))
    vectors = np.random.default_rng(0).normal(size=(RNG_ROWS, 3))
    there, back = matrix_of_rotation_vector(vectors), matrix_of_rotation_vector(-vectors)
    assert there @ back == pytest.approx(np.broadcast_to(np.eye(3), there.shape), abs=EXACT)
    q = random_quaternions(1)
    one = quaternion_product(q, q * [1.0, -1.0, -1.0, -1.0])
    assert one == pytest.approx(np.broadcast_to([1.0, 0.0, 0.0, 0.0], one.shape), abs=EXACT)


def test_the_quaternion_product_is_associative_and_the_product_of_the_matrices():
    a, b, c = (random_quaternions(seed) for seed in (2, 3, 4))
    left, right = quaternion_product(quaternion_product(a, b), c), quaternion_product(a, quaternion_product(b, c))
    assert left == pytest.approx(right, abs=EXACT)
    product = matrix_of_quaternion(a) @ matrix_of_quaternion(b)
    assert matrix_of_quaternion(quaternion_product(a, b)) == pytest.approx(product, abs=EXACT)


def test_all_conventions_are_those_of_scipy():
    q = random_quaternions(5)
    theirs = of_scipy(q)
    assert matrix_of_quaternion(q) == pytest.approx(theirs.as_matrix(), abs=EXACT)
    assert rotation_vector(theirs.as_matrix()) == pytest.approx(theirs.as_rotvec(), abs=1e-9)
    assert euler_xyz_of_matrix(theirs.as_matrix()) == pytest.approx(theirs.as_euler("XYZ"), abs=1e-9)
    euler = np.random.default_rng(6).uniform(-math.pi, math.pi, size=(RNG_ROWS, 3))
    assert matrix_of_euler_xyz(euler) == pytest.approx(Rotation.from_euler("XYZ", euler).as_matrix(), abs=EXACT)


@given(angles)
def test_turns_about_z_agree_in_every_form(angle):
    matrix = rotation_about_z(angle)
    assert matrix == pytest.approx(matrix_of_euler_xyz(np.array([0.0, 0.0, angle])), abs=EXACT)
    assert matrix == pytest.approx(matrix_of_rotation_vector(np.array([0.0, 0.0, angle])), abs=EXACT)
    assert matrix == pytest.approx(matrix_of_quaternion(quaternion_about_z(angle)), abs=EXACT)


@given(units, st.floats(0.0, math.pi - 1e-3))
@settings(deadline=None)
def test_the_rotation_vector_comes_back(axis, angle):
    vector = angle * axis / np.linalg.norm(axis)
    assert rotation_vector(matrix_of_rotation_vector(vector)) == pytest.approx(vector, abs=1e-9)


@pytest.mark.parametrize("short_of_pi", [0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4])
@pytest.mark.parametrize("axis", [[1, 0, 0], [0, -1, 0], [0, 0, 1], [0.6, 0, -0.8], [1, 1, 1], [-0.1, 0.2, 0.97]])
def test_near_half_a_turn_the_rotation_vector_is_the_rotation_still(short_of_pi, axis):
    """At pi the axis has no sign and the skew part no direction: what must hold is that the rotation comes back."""
    unit = np.array(axis) / np.linalg.norm(axis)
    matrix = matrix_of_rotation_vector((math.pi - short_of_pi) * unit)
    for found in (rotation_vector(matrix), rotation_vector(matrix[None])[0]):
        assert np.linalg.norm(found) == pytest.approx(math.pi, abs=short_of_pi + 1e-6)
        assert abs(found @ unit) == pytest.approx(math.pi - short_of_pi, abs=1e-6)
        assert matrix_of_rotation_vector(found) == pytest.approx(matrix, abs=1e-6)


@given(angles, st.floats(-math.pi / 2 + 1e-3, math.pi / 2 - 1e-3), angles)
@settings(deadline=None)
def test_euler_angles_come_back(a, b, c):
    euler = np.array([a, b, c])
    found = euler_xyz_of_matrix(matrix_of_euler_xyz(euler))
    assert np.cos(found - euler) == pytest.approx(np.ones(3), abs=1e-9)  # -pi and pi are one angle


@pytest.mark.parametrize("b", [math.pi / 2, -math.pi / 2])
@pytest.mark.parametrize("a", [-2.0, 0.0, 1.3])
@pytest.mark.parametrize("c", [-1.0, 0.0, 2.5])
def test_in_gimbal_lock_the_angles_give_the_rotation_still(a, b, c):
    matrix = matrix_of_euler_xyz(np.array([a, b, c]))
    for found in (euler_xyz_of_matrix(matrix), euler_xyz_of_matrix(matrix[None])[0]):
        assert found[2] == 0.0
        assert matrix_of_euler_xyz(found) == pytest.approx(matrix, abs=1e-7)


CASES = [
    (matrix_of_euler_xyz, 3),
    (matrix_of_rotation_vector, 3),
    (matrix_of_quaternion, 4),
    (lambda q: rotation_vector(matrix_of_quaternion(q)), 4),
    (lambda q: euler_xyz_of_matrix(matrix_of_quaternion(q)), 4),
    (lambda q: quaternion_product(q, q), 4),
]


def inputs(size: int) -> np.ndarray:
    return random_quaternions(7, 24) if size == 4 else np.random.default_rng(8).uniform(-1.5, 1.5, size=(24, 3))


@pytest.mark.parametrize(("function", "size"), CASES)
def test_a_batch_is_its_rows_one_by_one(function, size):
    rows = inputs(size)
    one_by_one = np.array([function(row) for row in rows])
    assert function(rows) == pytest.approx(one_by_one, abs=EXACT)
    shape = one_by_one.shape[1:]
    assert function(rows.reshape(2, 3, 4, size)) == pytest.approx(one_by_one.reshape(2, 3, 4, *shape), abs=EXACT)


@pytest.mark.parametrize(("function", "size"), CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_gives_what_numpy_gives_in_its_own_dtype(function, size, dtype):
    rows = inputs(size)
    found = function(torch.tensor(rows, dtype=dtype))
    assert found.dtype == dtype
    assert found.double().numpy() == pytest.approx(function(rows), abs=EXACT if dtype == torch.float64 else 1e-4)


def test_torch_has_the_same_edges():
    half = matrix_of_rotation_vector(math.pi * np.array([[0.6, 0.0, -0.8]]))
    assert rotation_vector(torch.from_numpy(half)).numpy() == pytest.approx(rotation_vector(half), abs=EXACT)
    assert torch.equal(rotation_vector(torch.eye(3)), torch.zeros(3))
    locked = matrix_of_euler_xyz(np.array([[0.4, math.pi / 2, -0.9]]))
    assert euler_xyz_of_matrix(torch.from_numpy(locked)).numpy() == pytest.approx(euler_xyz_of_matrix(locked))
