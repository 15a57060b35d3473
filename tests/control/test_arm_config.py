"""The arm's file: what stands in the repository fits the descriptions, and what does not fit is refused by name."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from control_arms import ARMS, NAMES, arm_of, chain_of, start_of

from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.errors import RlvlaError
from rlvla_sim.robots import robot


@pytest.mark.parametrize("name", NAMES)
def test_the_files_agree_with_the_simulated_robots(name):
    config, spec = ArmConfig.from_yaml(ARMS / f"{name}.yaml"), robot(name)
    assert (config.name, config.joints, config.tcp_link) == (name, spec.arm_joints, spec.tcp_link)
    assert (config.hand.closed, config.hand.open) == (spec.finger_closed, spec.finger_open)
    assert config.workspace.table_z == pytest.approx(0.8695 - spec.base_position[2])
    reach = np.array(config.hand.fingertips) @ spec.approach_axis
    assert reach.max() == pytest.approx(spec.finger_reach)


@pytest.mark.parametrize("name", NAMES)
def test_the_start_pose_is_inside_every_limit(name):
    arm, start = arm_of(name), start_of(name)
    assert (start > chain_of(name).lower + arm.config.motion.joint_margin).all()
    assert (start < chain_of(name).upper - arm.config.motion.joint_margin).all()
    points = arm.points(chain_of(name).forward(start[None])[0])
    assert (points[arm.tips] > arm.config.workspace.box_min).all()
    assert (points[arm.tips] < arm.config.workspace.box_max).all()


BREAKS = {
    "unknown key": (lambda d: d["motion"].update(colour=1), r"unknown key `motion\.colour`"),
    "missing key": (lambda d: d["hand"].pop("dwell_s"), r"key `hand\.dwell_s` is missing"),
    "word for number": (lambda d: d["motion"].update(tcp_speed="fast"), r"`motion\.tcp_speed` is 'fast'"),
    "truth for number": (lambda d: d["motion"].update(tcp_speed=True), r"`motion\.tcp_speed` is True"),
    "nan": (lambda d: d["motion"].update(tcp_speed=float("nan")), r"`motion\.tcp_speed` is nan"),
    "number for word": (lambda d: d.update(name=7), r"`name` is 7"),
    "short point": (lambda d: d["workspace"].update(box_min=[0, 0]), r"`workspace\.box_min` has 2 values: write 3"),
    "point in list": (lambda d: d["hand"]["fingertips"].append([0.0]), r"`hand\.fingertips\[4\]` has 1 values"),
    "wall without offset": (
        lambda d: d["workspace"].update(walls=[{"name": "post", "normal": [1, 0, 0]}]),
        r"`workspace\.walls\[0\]\.offset` is missing",
    ),
    "no list": (lambda d: d.update(joints="waist"), r"`joints` is 'waist': write a list"),
    "no mapping": (lambda d: d.update(hand=[]), r"`hand` is \[\]: write a mapping"),
    "one speed too few": (lambda d: d["motion"]["joint_speed"].pop(), r"`motion\.joint_speed`"),
    "negative": (lambda d: d["freshness"].update(command_s=-0.1), r"`freshness\.command_s` is -0\.1"),
    "box inside out": (lambda d: d["workspace"].update(box_min=[9, 9, 9]), r"`workspace\.box_min`"),
    "no fingertips": (lambda d: d["hand"].update(fingertips=[]), r"`hand\.fingertips` is empty"),
    "slow above stop": (lambda d: d["motion"].update(singularity_slow=40.0), r"`motion\.singularity_slow`"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_file_is_refused_by_file_and_key(case, tmp_path):
    data = yaml.safe_load((ARMS / "widowx250s.yaml").read_text())
    change, message = BREAKS[case]
    change(data)
    path = tmp_path / "arm.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(RlvlaError, match=message) as caught:
        ArmConfig.from_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(RlvlaError, match="does not exist"):
        ArmConfig.from_yaml(tmp_path / "none.yaml")
    for content in (b"a: [", b"a: 2026-13-01", b"a: !!int x", b"\xff", b"[" * 5000):
        (tmp_path / "bad.yaml").write_bytes(content)
        with pytest.raises(RlvlaError, match=re.escape("bad.yaml cannot be read as YAML")) as caught:
            ArmConfig.from_yaml(tmp_path / "bad.yaml")
        assert "\n" not in str(caught.value)


def test_a_description_that_does_not_fit_is_refused():
    config, urdf = arm_of("widowx250s").config, robot("widowx250s").urdf().read_text()
    with pytest.raises(RlvlaError, match="no link `hand`"):
        ArmModel(urdf, replace(config, tcp_link="hand"))
    with pytest.raises(RlvlaError, match="expected"):
        ArmModel(urdf, replace(config, joints=tuple(reversed(config.joints))))
    with pytest.raises(RlvlaError, match="expected"):
        ArmModel(urdf, replace(config, tcp_link="wrist_link"))
    with pytest.raises(RlvlaError, match="it is no base"):
        ArmModel(urdf, replace(config, base_link="shoulder_link"))
    with pytest.raises(RlvlaError, match="is no URDF"):
        ArmModel("<robot", config)
    motion = config.motion
    with pytest.raises(RlvlaError, match="joint_speed` of `elbow`"):
        ArmModel(urdf, replace(config, motion=replace(motion, joint_speed=(3.0, 3.0, 4.0, 3.0, 3.0, 3.0))))
    with pytest.raises(RlvlaError, match="joint_margin"):
        ArmModel(urdf, replace(config, motion=replace(motion, joint_margin=2.0)))
