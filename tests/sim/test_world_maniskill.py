"""The ManiSkill environment against the CPU world: same start, same image, same outcome of the same actions."""

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.expert import ExpertConfig, collect_episodes
from rlvla_sim.maniskill.vec_env import ManiSkillVecEnv
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.robots import View
from rlvla_sim.vec_env import CpuVecEnv

EPISODE = 383_576


def test_a_demonstration_replays_alike() -> None:
    config = WorldConfig()
    ours = make_env(config, 1)
    assert isinstance(ours, CpuVecEnv)
    played = collect_episodes(ours, torch.tensor([EPISODE]), ExpertConfig(noise_position=0, noise_rotation=0), seed=0)[
        0
    ]
    theirs = ManiSkillVecEnv(config, 1, device="cpu")
    assert theirs.spec == ours.spec
    seen = theirs.reset(torch.tensor([EPISODE]))
    assert seen.instructions == [played.instruction]
    assert seen.state is not None and played.state is not None
    assert seen.state[0].numpy() == pytest.approx(played.state[0], abs=1e-3)
    assert np.abs(seen.images[0].numpy().astype(int) - played.images[0]).mean() < 0.5
    total = 0.0
    for action in played.actions:
        result = theirs.step(torch.from_numpy(action)[None])
        total += result.rewards.item()
    assert result.success.item() and result.info["grasped_firmly"].item()
    assert total == pytest.approx(1.2, abs=1e-5)
    held = theirs.step(torch.zeros(1, 7), torch.tensor([False]))
    assert torch.equal(held.observation.images, result.observation.images)
    theirs.close()


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("dynamic-texture-strong", "whole"),
        ("dynamic-texture-strong", "workspace"),
        ("dynamic-noise-weak", "whole"),
        ("unseen-instructions", "whole"),
        ("multi-object-unseen", "whole"),
        ("multi-receptacle", "whole"),
        ("unseen-start-pose", "workspace"),
        ("moved-object", "whole"),
    ],
)
def test_the_tests_start_and_go_on_alike(name: str, view: View) -> None:
    """Past the fifth step, after which one of them moves the object."""
    config = WorldConfig(episode_set=name, image_width=32, image_height=24, view=view)
    ours, theirs = make_env(config, 1), ManiSkillVecEnv(config, 1, device="cpu")
    ids = ood_episodes(name, 1).tensor()
    one, other = ours.reset(ids), theirs.reset(ids)
    assert one.instructions == other.instructions
    action = torch.tensor([[0.01, 0.01, 0.01, 0.0, 0.0, 0.05, 1.0]])
    for _ in range(7):
        assert one.state is not None and other.state is not None
        assert other.state.numpy() == pytest.approx(one.state.numpy(), abs=2e-3)
        assert (one.images.float() - other.images.float()).abs().mean() < 0.5
        one, other = ours.step(action).observation, theirs.step(action).observation
    theirs.close()


def test_cuda_without_a_gpu_is_one_line() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RlvlaError, match="device cpu"):
        make_env(WorldConfig(), 4, device="cuda")
