"""The scripted expert: success on a sample of the episodes, short episodes, answers that stay small."""

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.assets import catalogue
from rlvla_sim.expert import ExpertConfig, collect_episodes, downward
from rlvla_sim.grasp import plan_grasp
from rlvla_sim.robots import robot
from rlvla_sim.vec_env import CpuVecEnv

CONFIG = ExpertConfig()


@pytest.mark.parametrize("arm", ["widowx250s", "panda"])
def test_succeeds_with_noise_on_every_object(arm: str) -> None:
    """One episode of each of the 16 training objects, at spread positions: at most one failure."""
    env = make_env(WorldConfig(robot=arm, image_width=16, image_height=16, supersampling=1), 16)
    assert isinstance(env, CpuVecEnv)
    ids = torch.tensor([i * 50_176 + (i * 7919) % 50_176 for i in range(16)])
    episodes = collect_episodes(env, ids, CONFIG, seed=1)
    assert {world.episode.object for world in env.worlds} == set(range(16))
    assert sum(e.success for e in episodes) >= 15
    assert np.mean([len(e) for e in episodes]) < 35
    for episode in episodes:
        assert np.linalg.norm(episode.actions[:, :3], axis=1).max() <= CONFIG.speed + 1e-6
        assert set(np.unique(episode.actions[:, 6])) <= {-1.0, 1.0}
        if episode.success:
            assert episode.rewards is not None
            assert episode.rewards.sum() == pytest.approx(1.2, abs=1e-5)


def test_noise_changes_what_happens_but_not_without_a_reason() -> None:
    env = make_env(WorldConfig(image_width=16, image_height=16, supersampling=1), 1)
    assert isinstance(env, CpuVecEnv)
    ids = torch.tensor([5])
    a, b, c = (collect_episodes(env, ids, CONFIG, seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(a.actions, b.actions)
    assert a.actions.shape != c.actions.shape or not np.array_equal(a.actions, c.actions)


def test_grasps_close_along_the_shorter_side() -> None:
    carrot = catalogue("procedural").objects[0]
    pose = np.eye(4)
    pose[:3, 3] = [0.3, 0.0, 0.014]
    for yaw in (0.0, 0.6):
        grasp = plan_grasp(carrot, pose, robot("widowx250s"), 0.0, start_yaw=yaw, yaw=yaw)
        # The carrot lies along x: the fingers must close along y.
        assert abs(np.cos(grasp.yaw)) < np.sin(np.radians(15))
        assert grasp.position[:2] == pytest.approx([0.3, 0.0], abs=0.02)
        assert grasp.position[2] > robot("widowx250s").finger_reach


def test_downward_points_the_tool_at_the_table() -> None:
    for name in ("widowx250s", "panda"):
        spec = robot(name)
        rotation = downward(spec.approach_axis, spec.closing_axis, 0.4)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        assert rotation @ spec.approach_axis == pytest.approx([0, 0, -1])
        assert rotation @ spec.closing_axis == pytest.approx([np.cos(0.4), np.sin(0.4), 0])


def test_bad_settings_are_refused() -> None:
    with pytest.raises(RlvlaError, match="gain"):
        ExpertConfig(gain=0.0)
