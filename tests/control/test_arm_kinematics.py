"""Kinematics against the simulator's own (another implementation), finite differences, and its own inverse."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from control_arms import NAMES, arm_of, chain_of, start_of

from rlvla_core.control.kinematics import ArmModel
from rlvla_core.geometry.transforms import pose_error
from rlvla_sim.robots import robot


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def anywhere(name, rng, count):
    """Joint angles [count, d] within the limits with margin."""
    arm = arm_of(name)
    return rng.uniform(arm.lower, arm.upper, size=(count, arm.dof))


def test_forward_agrees_with_the_simulator(name):
    joints = anywhere(name, np.random.default_rng(0), 500)
    assert arm_of(name).forward_each(joints) == pytest.approx(chain_of(name).forward(joints), abs=1e-9)


def test_limits_are_the_simulators_less_the_margin(name):
    arm, margin = arm_of(name), arm_of(name).config.motion.joint_margin
    assert arm.lower == pytest.approx(chain_of(name).lower + margin)
    assert arm.upper == pytest.approx(chain_of(name).upper - margin)


def test_the_jacobian_is_the_derivative_of_the_pose(name):
    arm, h = arm_of(name), 1e-6
    for joints in anywhere(name, np.random.default_rng(1), 20):
        jacobian = arm.jacobian(joints)
        for i in range(arm.dof):
            step = np.eye(arm.dof)[i] * h
            difference = pose_error(arm.forward(joints - step), arm.forward(joints + step)) / (2 * h)
            assert difference == pytest.approx(jacobian[:, i], abs=1e-7)


def test_solve_gives_the_joint_angles_of_training(name):
    """From the same seed to the same target the simulator's solver and this one go the same way."""
    arm, chain, rng = arm_of(name), chain_of(name), np.random.default_rng(2)
    for _ in range(200):
        seed = start_of(name) + rng.normal(size=arm.dof) * 0.15
        target = arm.forward(seed + rng.uniform(-0.2, 0.2, size=arm.dof))
        joints, reached = arm.solve(target, seed)
        expected, expected_reached = chain.solve(target[None], seed[None])
        assert reached and expected_reached[0]
        assert joints == pytest.approx(expected[0], abs=1e-9)
        error = pose_error(arm.forward(joints), target)
        assert np.linalg.norm(error[:3]) <= 1e-4
        assert np.linalg.norm(error[3:]) <= 1e-3


def test_a_pose_that_is_reached_already_is_left_alone(name):
    arm = arm_of(name)
    joints, reached = arm.solve(arm.forward(start_of(name)), start_of(name))
    assert reached
    assert np.array_equal(joints, start_of(name))


def test_out_of_reach_gives_the_best_within_the_limits(name):
    """Outwards in steps until the arm is stretched: what comes then is no further from the target than the seed."""
    arm, joints, unreached = arm_of(name), start_of(name), 0
    for _ in range(30):
        target = arm.forward(joints)
        target[0, 3] += 0.05
        before, (joints, reached) = joints, arm.solve(target, joints)
        unreached += not reached
        assert (joints >= arm.lower).all() and (joints <= arm.upper).all()
        errors = [pose_error(arm.forward(q), target) / np.repeat([1e-4, 1e-3], 3) for q in (before, joints)]
        sizes = [max(np.linalg.norm(e[:3]), np.linalg.norm(e[3:])) for e in errors]
        assert sizes[1] <= sizes[0]
        assert reached == (sizes[1] <= 1.0)
    assert unreached > 5


def test_a_seed_beyond_the_margin_is_not_moved_by_the_limits(name):
    arm, seed = arm_of(name), start_of(name)
    seed[0] = arm.upper[0] + 0.02
    joints, reached = arm.solve(arm.forward(seed), seed)
    assert reached
    assert np.array_equal(joints, seed)
    wanted = seed.copy()
    wanted[1] += 0.05
    joints, reached = arm.solve(arm.forward(wanted), seed)
    assert reached
    assert joints[0] == pytest.approx(seed[0], abs=0.005)


def test_condition_is_that_of_the_scaled_jacobian_and_grows_at_a_singularity(name):
    arm, start = arm_of(name), start_of(name)
    scaled = np.diag([1 / 0.3] * 3 + [1] * 3) @ arm.jacobian(start)
    assert arm.condition(start) == pytest.approx(np.linalg.cond(scaled))
    assert arm.condition(start) < 11
    singular = start.copy()
    if name == "widowx250s":
        singular[4] = 0.0  # forearm_roll and wrist_rotate in one line
        assert arm.condition(singular) > 1e6
    else:
        singular[[1, 3, 5]] = [0.0, arm.upper[3], 0.05]  # stretched up, as far as the limits let
        assert arm.condition(singular) > 20


def test_poses_are_relative_to_the_base_link(name):
    """A description whose root is not the base: the arm on a pedestal."""
    config = arm_of(name).config
    tree = ElementTree.fromstring(robot(name).urdf().read_text())
    tree.insert(0, ElementTree.fromstring('<link name="floor"/>'))
    joint = f'<joint name="stand" type="fixed"><parent link="floor"/><child link="{config.base_link}"/>'
    joint += '<origin xyz="0.3 -0.2 0.9" rpy="0.1 0.2 1.0"/></joint>'
    tree.append(ElementTree.fromstring(joint))
    stood = ArmModel(ElementTree.tostring(tree, encoding="unicode"), replace(config))
    for joints in anywhere(name, np.random.default_rng(3), 5):
        assert stood.forward(joints) == pytest.approx(arm_of(name).forward(joints), abs=1e-9)
        assert stood.jacobian(joints) == pytest.approx(arm_of(name).jacobian(joints), abs=1e-9)


def test_hand_points_ride_on_the_tool(name):
    arm, rng = arm_of(name), np.random.default_rng(4)
    poses = chain_of(name).forward(anywhere(name, rng, 3))
    for pose, points in zip(poses, arm.points(poses), strict=True):
        assert points[0] == pytest.approx(pose[:3, 3])
        for tip, point in zip(arm.config.hand.fingertips, points[arm.tips][1:], strict=True):
            assert point == pytest.approx((pose @ [*tip, 1.0])[:3])
