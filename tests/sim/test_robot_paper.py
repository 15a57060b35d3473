"""The paper's WidowX against our own: same joints and kinematics, its meshes in worlds with the paper's assets."""

import os
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from sapien import physx

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.transforms import pose_error
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.camera_renderer import CameraRenderer
from rlvla_sim.expert import ExpertConfig, collect_episodes
from rlvla_sim.kinematics import KinematicChain
from rlvla_sim.maniskill.vec_env import ManiSkillVecEnv
from rlvla_sim.physics import Physics
from rlvla_sim.robots import RobotSpec, robot
from rlvla_sim.vec_env import CpuVecEnv

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "assets"
REAL = Path(os.environ.get("RLVLA_ASSETS") or BESIDE)
real = pytest.mark.skipif(not (REAL / "widowx250s").is_dir(), reason="the paper's WidowX is not on this machine")

OWN, PAPER = robot("widowx250s"), robot("widowx250s", "paper")
CONFIG = WorldConfig(assets="paper", image_width=16, image_height=16, supersampling=1)
BOX, MESH = physx.PhysxCollisionShapeBox, physx.PhysxCollisionShapeConvexMesh
EPISODES = torch.arange(8) * 100_352 + 12_345
"""One of every second training object, at other places and on other tables."""


@pytest.fixture
def assets(monkeypatch: pytest.MonkeyPatch) -> None:
    """RLVLA_ASSETS names the real folder."""
    monkeypatch.setenv("RLVLA_ASSETS", str(REAL))


def chain_of(spec: RobotSpec) -> KinematicChain:
    return KinematicChain.from_urdf(spec.urdf(), spec.tcp_link, spec.arm_joints)


def joints_of(spec: RobotSpec) -> dict[str, tuple]:
    """Joint name -> type, parent link, child link and, where it has them, lower and upper limit."""
    found = {}
    for joint in ElementTree.parse(spec.urdf()).getroot().iter("joint"):
        limit, ends = joint.find("limit"), [joint.find(end) for end in ("parent", "child")]
        names = [end.get("link") for end in ends if end is not None]
        limits = () if limit is None else tuple(float(limit.get(side, "nan")) for side in ("lower", "upper"))
        found[joint.get("name", "")] = (joint.get("type"), *names, limits)
    return found


def test_a_folder_without_the_robot_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVLA_ASSETS", str(tmp_path))
    missing = re.escape(str(tmp_path / "widowx250s" / "wx250s.urdf"))
    with pytest.raises(RlvlaError, match=rf"{missing} is missing.*assets=procedural"):
        PAPER.urdf()
    monkeypatch.delenv("RLVLA_ASSETS")
    with pytest.raises(RlvlaError, match="RLVLA_ASSETS is not set"):
        PAPER.urdf()


def test_robots_that_the_paper_lacks_are_the_same_everywhere() -> None:
    assert robot("panda", "paper") is robot("panda")
    assert OWN != PAPER
    assert OWN.name == PAPER.name
    with pytest.raises(RlvlaError, match="fetch"):
        robot("fetch", "paper")


@real
def test_a_missing_mesh_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REAL / "widowx250s", tmp_path / "widowx250s", copy_function=shutil.copyfile)
    monkeypatch.setenv("RLVLA_ASSETS", str(tmp_path))
    gone = next((tmp_path / "widowx250s").rglob("*Finger.stl"))
    gone.unlink()
    with pytest.raises(RlvlaError, match=re.escape(str(gone))):
        PAPER.urdf()


@real
def test_joints_and_limits_are_the_same(assets: None) -> None:
    ours = joints_of(OWN)
    assert len(ours) == 13
    assert ours == joints_of(PAPER)


@real
def test_forward_kinematics_agree(assets: None) -> None:
    """200 joint angles over the whole range: tool poses within 1e-6 m and 1e-6 rad."""
    ours, theirs = chain_of(OWN), chain_of(PAPER)
    assert np.array_equal(ours.lower, theirs.lower)
    assert np.array_equal(ours.upper, theirs.upper)
    q = np.random.default_rng(0).uniform(ours.lower, ours.upper, size=(200, 6))
    assert np.abs(pose_error(ours.forward(q), theirs.forward(q))).max() < 1e-6


@real
def test_every_link_stands_at_the_same_place(assets: None) -> None:
    """The simulator's own reading of both files, fingers included: within a micrometre and 1e-6 of a quaternion."""
    poses = []
    for spec in (OWN, PAPER):
        physics = Physics(spec, 0.01)
        physics.place_robot(np.array([0.4, -0.5, 0.6, 0.7, -0.8, 0.9]))
        poses.append({link.name: np.concatenate([link.entity.pose.p, link.entity.pose.q]) for link in physics.links})
    assert poses[0].keys() == poses[1].keys()
    assert max(np.abs(poses[0][name] - poses[1][name]).max() for name in poses[0]) < 1e-6


@real
def test_each_kind_of_world_has_its_own_shapes(assets: None) -> None:
    """In one process: our finger is a box, the paper's a mesh that reaches 43.2 mm beyond its joint."""
    fingers, shown = [], []
    for spec in (OWN, PAPER, OWN):
        (shape,) = Physics(spec, 0.01).fingers[0].collision_shapes
        fingers.append(shape)
        shown.append(set(CameraRenderer(spec, spec.seen("whole", 16, 16), 1).links))
    assert [type(finger) for finger in fingers] == [BOX, MESH, BOX]
    pose = fingers[1].local_pose
    corners = fingers[1].vertices * fingers[1].scale @ pose.to_transformation_matrix()[:3, :3].T + pose.p
    assert corners[:, 0].max() == pytest.approx(0.0432, abs=1e-4)
    assert shown[1] - shown[0] == {"gripper_prop_link"}
    assert shown[0] == shown[2]


@real
def test_the_expert_succeeds(assets: None) -> None:
    env = make_env(CONFIG, 8)
    assert isinstance(env, CpuVecEnv)
    episodes = collect_episodes(env, EPISODES, ExpertConfig(), seed=0)
    assert {world.episode.object for world in env.worlds} == set(range(0, 16, 2))
    assert all(episode.success for episode in episodes)


@real
def test_maniskill_shows_the_same(assets: None) -> None:
    ours, theirs = make_env(CONFIG, 1), ManiSkillVecEnv(CONFIG, 1, device="cpu")
    assert ours.spec == theirs.spec
    images = [env.reset(EPISODES[:1]).images.numpy().astype(int) for env in (ours, theirs)]
    theirs.close()
    assert np.abs(images[0] - images[1]).mean() < 0.5
