"""The CPU world behind the VecEnv contract: determinism, the camera, the flags, bad input."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlvla_core.data.episode import Episode
from rlvla_core.errors import RlvlaError
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.expert import ExpertConfig, collect_episodes
from rlvla_sim.vec_env import CpuVecEnv
from rlvla_sim.world import STATE_SLICES

GRASPS = 383_576
"""An episode that the expert solves, with a lot of contact."""

PLAY = """
import torch
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.expert import ExpertConfig, collect_episodes
from test_world_env import GRASPS, digest
env = make_env(WorldConfig(), 1)
print(digest(collect_episodes(env, torch.tensor([GRASPS]), ExpertConfig(), seed=0)[0]))
"""
"""For a process of its own, started in this folder."""


def digest(episode: Episode) -> str:
    """Hash of all images, states and actions."""
    assert episode.state is not None
    parts = (episode.images, episode.state, episode.actions)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


@pytest.fixture(scope="module")
def pair() -> CpuVecEnv:
    """Two WidowX worlds."""
    env = make_env(WorldConfig(), 2)
    assert isinstance(env, CpuVecEnv)
    return env


def still(num_envs: int) -> torch.Tensor:
    """Actions that hold the arm with an open gripper."""
    actions = torch.zeros(num_envs, 7)
    actions[:, 6] = 1.0
    return actions


def test_an_episode_is_the_same_whatever_was_played_before_and_beside_it(pair: CpuVecEnv) -> None:
    def play(ids: list[int]) -> list[Episode]:
        return collect_episodes(pair, torch.tensor(ids), ExpertConfig(), seed=0)

    first = play([GRASPS, GRASPS - 50_176])[0]
    assert first.success and len(first) > 10
    again = play([GRASPS + 50_176, GRASPS])[1]
    assert digest(first) == digest(again)
    fresh = subprocess.run(
        [sys.executable, "-c", PLAY], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert fresh.stdout.split()[-1] == digest(first)


def test_observation_and_result_keep_the_contract(pair: CpuVecEnv) -> None:
    seen = pair.reset(torch.tensor([5, GRASPS]))
    assert seen.images.shape == (2, 64, 64, 3) and seen.images.dtype == torch.uint8
    assert seen.instructions == ["put carrot on plate", "put watering can on plate"]
    assert seen.state is not None and seen.state.shape == (2, pair.spec.state_dim)
    result = pair.step(still(2))
    assert result.rewards.dtype == torch.float32 and result.rewards.tolist() == [0.0, 0.0]
    assert not result.terminated.any() and not result.truncated.any()
    assert result.info["steps"].tolist() == [1, 1]


def test_state_points_say_where_things_were_put(pair: CpuVecEnv) -> None:
    seen = pair.reset(torch.tensor([5, GRASPS]))
    assert seen.state is not None
    columns = dict(pair.spec.state_points)
    for row, episode_id in enumerate((5, GRASPS)):
        start = pair.episodes.decode(episode_id)
        for name, xy in (("object", start.object_xy), ("receptacle", start.receptacle_xy)):
            # The base stands at (0.147, 0.028) and is turned by 180 degrees.
            expected = [0.147 - xy[0], 0.028 - xy[1]]
            assert seen.state[row, columns[name] : columns[name] + 2].tolist() == pytest.approx(expected, abs=0.004)


def test_the_object_is_seen_where_the_camera_model_puts_it(pair: CpuVecEnv) -> None:
    """Project the object's position with the spec's pinhole camera: its pixel must differ from the empty table."""
    from rlvla_core.geometry.rotations import matrix_of_quaternion

    camera = pair.spec.camera
    ids = torch.tensor([5, 5 + 784 * 4 * 15])
    state = pair.reset(ids).state
    assert state is not None
    rotation = matrix_of_quaternion(np.array(camera.quaternion_in_base))
    for row, world in enumerate(pair.worlds):
        point = state[row, STATE_SLICES["receptacle_position"]].numpy() - np.array(camera.position_in_base)
        forward, left, up = rotation.T @ point
        u, v = camera.cx - camera.fx * left / forward, camera.cy - camera.fy * up / forward
        foreground = world.renderer.render()[..., 3].reshape(64, 2, 64, 2).mean(axis=(1, 3))
        assert foreground[int(v), int(u)] == 255, "the plate's centre is drawn at its projection"
        assert foreground[60, 40] == 0, "the free table is background"


def test_inactive_environments_are_left_as_they_are(pair: CpuVecEnv) -> None:
    before = pair.reset(torch.tensor([5, 6]))
    actions = still(2)
    actions[:, 2] = -0.02
    result = pair.step(actions, torch.tensor([False, True]))
    assert torch.equal(result.observation.images[0], before.images[0])
    assert not torch.equal(result.observation.images[1], before.images[1])
    assert result.info["steps"].tolist() == [0, 1]


def test_the_tool_follows_the_commanded_deltas(pair: CpuVecEnv) -> None:
    start = pair.reset(torch.tensor([5, 6])).state
    assert start is not None
    actions = still(2)
    actions[:, :3] = torch.tensor([0.01, -0.02, 0.01])
    pair.step(actions)
    for _ in range(12):
        state = pair.step(still(2)).observation.state
    assert state is not None
    moved = state[:, STATE_SLICES["tcp_position"]] - start[:, STATE_SLICES["tcp_position"]]
    assert moved.numpy() == pytest.approx(np.tile([0.01, -0.02, 0.01], (2, 1)), abs=0.0015)


def test_time_limit_truncates_and_success_ends_where_asked() -> None:
    env = make_env(WorldConfig(max_steps=2, image_width=16, image_height=16), 1)
    env.reset(torch.tensor([5]))
    assert not env.step(still(1)).truncated.item()
    assert env.step(still(1)).truncated.item()
    config = WorldConfig(end_on_success=True, image_width=16, image_height=16)
    env = make_env(config, 1)
    assert isinstance(env, CpuVecEnv)
    short = collect_episodes(env, torch.tensor([GRASPS]), ExpertConfig(), seed=0)[0]
    assert short.success and short.rewards is not None
    assert short.rewards.sum() == pytest.approx(1.2) and short.rewards[-1] == pytest.approx(1.0)


def test_supersampling_changes_edges_only_a_little() -> None:
    images = []
    for scale in (1, 3):
        env = make_env(WorldConfig(supersampling=scale), 1)
        images.append(env.reset(torch.tensor([5])).images.float())
    assert 0.0 < (images[0] - images[1]).abs().mean() < 4.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"robot": "fetch"}, "fetch"),
        ({"episode_set": "trian"}, "trian"),
        ({"image_width": 4}, "4 x 64"),
        ({"physics_hz": 61}, "61"),
        ({"max_steps": 0}, "max_steps 0"),
    ],
)
def test_bad_configurations_are_one_line(change: dict, named: str) -> None:
    with pytest.raises(RlvlaError, match=named) as error:
        make_env(replace(WorldConfig(), **change), 1)
    assert "\n" not in str(error.value)


def test_bad_calls_are_one_line(pair: CpuVecEnv) -> None:
    pair.reset(torch.tensor([5, 6]))
    with pytest.raises(RlvlaError, match=r"\[2, 6\]"):
        pair.step(torch.zeros(2, 6))
    with pytest.raises(RlvlaError, match="environment 1 is not finite"):
        pair.step(torch.tensor([[0.0] * 7, [float("nan")] * 7]))
    with pytest.raises(RlvlaError, match="802816"):
        pair.reset(torch.tensor([5, 802_816]))
    with pytest.raises(RlvlaError, match="step before reset"):
        make_env(WorldConfig(), 1).step(still(1))
    with pytest.raises(RlvlaError, match="tpu"):
        make_env(WorldConfig(), 1, device="tpu")
