"""Kinematics: against transforms written out by hand, against finite differences, and numpy against torch."""

import math

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.rotations import (
    euler_xyz_of_matrix,
    matrix_of_euler_xyz,
    matrix_of_quaternion,
    rotation_about_z,
)
from rlvla_core.geometry.transforms import pose_error
from rlvla_sim.kinematics import DeltaPoseController, KinematicChain
from rlvla_sim.robots import ROBOTS, robot


def chain_of(name: str) -> KinematicChain:
    spec = robot(name)
    return KinematicChain.from_urdf(spec.urdf(), spec.tcp_link, spec.arm_joints)


@pytest.fixture(params=sorted(ROBOTS))
def arm(request: pytest.FixtureRequest) -> tuple[KinematicChain, np.ndarray]:
    """A chain and its start angles."""
    return chain_of(request.param), np.array(robot(request.param).arm_start)


def step(x: float = 0.0, y: float = 0.0, z: float = 0.0, axis: str = "", angle: float = 0.0) -> np.ndarray:
    """Translation, then a rotation about one axis, as one transform."""
    c, s = math.cos(angle), math.sin(angle)
    rotation = {
        "": np.eye(3),
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, (x, y, z)
    return transform


def test_widowx_pose_is_the_product_of_its_data_sheet() -> None:
    rng = np.random.default_rng(0)
    for q in rng.uniform(-1.2, 1.2, size=(5, 6)):
        expected = step(z=0.072, axis="z", angle=q[0]) @ step(z=0.03865, axis="y", angle=q[1])
        expected = expected @ step(x=0.04975, z=0.25, axis="y", angle=q[2]) @ step(x=0.175, axis="x", angle=q[3])
        expected = expected @ step(x=0.075, axis="y", angle=q[4]) @ step(x=0.065, axis="x", angle=q[5])
        expected = expected @ step(x=0.043 + 0.023 + 0.027575)
        assert chain_of("widowx250s").forward(q[None])[0] == pytest.approx(expected, abs=1e-12)


def test_jacobian_is_the_derivative_of_the_pose(arm: tuple[KinematicChain, np.ndarray]) -> None:
    chain, start = arm
    frames, tool = chain.joint_frames(start[None])
    jacobian, h = chain.jacobian(frames, tool)[0], 1e-6
    for i in range(len(start)):
        moved = start.copy()
        moved[i] += h
        assert pose_error(tool, chain.forward(moved[None]))[0] / h == pytest.approx(jacobian[:, i], abs=1e-5)


def test_solve_inverts_forward(arm: tuple[KinematicChain, np.ndarray]) -> None:
    chain, start = arm
    rng = np.random.default_rng(1)
    wanted = start + rng.uniform(-0.15, 0.15, size=(20, len(start)))
    target = chain.forward(np.clip(wanted, chain.lower, chain.upper))
    found, reached = chain.solve(target, np.repeat(start[None], 20, axis=0))
    assert reached.all()
    error = pose_error(chain.forward(found), target)
    assert np.abs(error[:, :3]).max() < 1e-4
    assert np.abs(error[:, 3:]).max() < 1e-3
    assert (found >= chain.lower).all() and (found <= chain.upper).all()


def test_rows_do_not_depend_on_their_neighbours(arm: tuple[KinematicChain, np.ndarray]) -> None:
    chain, start = arm
    rng = np.random.default_rng(2)
    seed = np.repeat(start[None], 9, axis=0)
    target = chain.forward(seed + rng.uniform(-0.2, 0.2, size=seed.shape))
    together = chain.solve(target, seed)[0]
    alone = np.concatenate([chain.solve(target[i : i + 1], seed[i : i + 1])[0] for i in range(9)])
    assert np.array_equal(together, alone)


def test_deltas_add_up_in_the_base_frame(arm: tuple[KinematicChain, np.ndarray]) -> None:
    chain, start = arm
    controller = DeltaPoseController(chain, start[None])
    before = controller.targets[0].copy()
    controller.step(np.array([0]), np.array([[0.02, -0.01, 0.015, 0.0, 0.0, 0.3]]))
    assert controller.targets[0, :3, 3] == pytest.approx(before[:3, 3] + [0.02, -0.01, 0.015])
    assert controller.targets[0, :3, :3] == pytest.approx(rotation_about_z(0.3) @ before[:3, :3])
    assert pose_error(chain.forward(controller.joints), controller.targets)[0] == pytest.approx(np.zeros(6), abs=1e-3)


def test_the_commanded_pose_never_leaves_the_arms_reach(arm: tuple[KinematicChain, np.ndarray]) -> None:
    chain, start = arm
    controller = DeltaPoseController(chain, start[None])
    for _ in range(60):
        controller.step(np.array([0]), np.array([[0.05, 0.0, 0.02, 0.0, 0.0, 0.0]]))
    assert np.linalg.norm(controller.targets[0, :3, 3]) < 1.3
    assert pose_error(chain.forward(controller.joints), controller.targets)[0] == pytest.approx(np.zeros(6), abs=1e-3)


def test_torch_gives_what_numpy_gives(arm: tuple[KinematicChain, np.ndarray]) -> None:
    chain, start = arm
    joints = np.repeat(start[None], 3, axis=0)
    ours, theirs = (
        DeltaPoseController(chain, joints),
        DeltaPoseController(chain.to_torch("cpu"), torch.from_numpy(joints)),
    )
    rng = np.random.default_rng(3)
    for _ in range(5):
        deltas = rng.normal(size=(3, 6)) * [0.01, 0.01, 0.01, 0.05, 0.05, 0.05]
        a, b = ours.step(np.arange(3), deltas), theirs.step(slice(None), torch.from_numpy(deltas))
        assert b.numpy() == pytest.approx(a, abs=1e-9)


def test_euler_angles_are_rx_ry_rz_and_invert() -> None:
    angles = np.array([0.3, -0.4, 0.5])
    expected = (step(axis="x", angle=0.3) @ step(axis="y", angle=-0.4) @ step(axis="z", angle=0.5))[:3, :3]
    assert matrix_of_euler_xyz(angles) == pytest.approx(expected)
    assert euler_xyz_of_matrix(expected) == pytest.approx(angles)
    half = math.sqrt(0.5)
    assert matrix_of_quaternion(np.array([half, 0.0, 0.0, half])) == pytest.approx(rotation_about_z(math.pi / 2))


def test_wrong_joint_names_are_refused() -> None:
    spec = robot("widowx250s")
    with pytest.raises(RlvlaError, match="waist"):
        KinematicChain.from_urdf(spec.urdf(), spec.tcp_link, ("joint1",))
    with pytest.raises(RlvlaError, match="fetch"):
        robot("fetch")
