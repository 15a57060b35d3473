"""The toy worlds keep the contract of an environment, and their camera is where it says."""

import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import project
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate, expert_actions
from rlvla_core.toy.world import MAX_STEP

TASKS = ("reach", "push")


def play(task, ids, seed=0, **config):
    """All images, rewards and states under the same random actions."""
    env = make_toy_env(ToyConfig(task=task, end_on_success=False, **config), len(ids))
    generator = torch.Generator().manual_seed(seed)
    observation = env.reset(torch.tensor(ids))
    results = []
    for _ in range(env.spec.max_steps):
        actions = (2 * torch.rand(1, 7, generator=generator) - 1).expand(len(ids), 7) * MAX_STEP
        results.append(env.step(actions))
    return observation, results


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_is_its_id_whatever_its_place_in_the_batch(task):
    first, results = play(task, [11, 22, 33])
    again, more = play(task, [33, 44, 22, 11])
    for mine, other in ((0, 3), (1, 2), (2, 0)):
        assert first.instructions[mine] == again.instructions[other]
        assert torch.equal(first.images[mine], again.images[other])
        for result, twin in zip(results, more, strict=True):
            assert torch.equal(result.observation.images[mine], twin.observation.images[other])
            assert torch.equal(result.rewards[mine], twin.rewards[other])
    assert not torch.equal(first.images[0], first.images[1])


@pytest.mark.parametrize("task", TASKS)
def test_rewards_add_up_to_the_final_score_and_only_the_limit_truncates(task):
    _, results = play(task, list(range(64)))
    late = ~results[0].success  # an episode that starts solved earns nothing for it
    total = torch.stack([result.rewards for result in results]).sum(0)
    assert (total >= -1.0 - 1e-5).all() and (total <= 1.8 + 1e-5).all()
    assert (total[results[-1].success & late] >= 0.99).all()
    assert (total[~results[-1].success & late] <= 0.81).all()
    truncated = torch.stack([result.truncated for result in results])
    assert truncated[-1].all() and not truncated[:-1].any()
    assert not any(result.terminated.any() for result in results)


def test_the_sentence_decides_which_disc_counts():
    env = make_toy_env(ToyConfig(), 256)
    observation = env.reset(torch.arange(256))
    for i, sentence in enumerate(observation.instructions):
        colour = "red" if "red" in sentence else "blue"
        column = dict(env.spec.state_points)[colour]
        assert torch.equal(env.goals[i], observation.state[i, column : column + 2])
    red = sum("red" in sentence for sentence in observation.instructions)
    assert 90 < red < 166  # a fair coin, 256 tosses, more than 4 deviations


@pytest.mark.parametrize("task", TASKS)
def test_named_points_project_onto_the_pixels_that_show_them(task):
    env = make_toy_env(ToyConfig(task=task), 64)
    observation = env.reset(torch.arange(64))
    colours = {"pointer": (250, 250, 250), "red": (220, 40, 40), "blue": (50, 70, 230), "puck": (40, 190, 70)}
    for name, first in env.spec.state_points:
        pixels = project(observation.state[:, first : first + 3], env.spec.camera)
        columns, rows = pixels.long().unbind(-1)
        seen = observation.images[torch.arange(64), rows, columns].float()
        shows = (seen - torch.tensor(colours[name]).float()).abs().max(-1).values < 3
        assert shows.float().mean() > 0.9, name  # things may start partly covered by later paint


@pytest.mark.parametrize(("task", "least"), [("reach", 1.0), ("push", 0.9)])
def test_the_expert_solves_it_and_a_still_hand_does_not(task, least):
    env = make_toy_env(ToyConfig(task=task, max_steps=24), 128)
    ids = torch.arange(128)
    episodes = demonstrate(env, ids, ToyExpertConfig(), generator=torch.Generator().manual_seed(0))
    assert sum(episode.success for episode in episodes) / 128 >= least
    env.reset(ids)
    result = env.step(torch.zeros(128, 7))
    assert result.success.float().mean() < 0.05


def test_a_world_that_is_not_active_stands_still():
    env = make_toy_env(ToyConfig(), 4)
    before = env.reset(torch.arange(4))
    active = torch.tensor([True, False, True, False])
    moves = expert_actions(env, ToyExpertConfig())
    result = env.step(moves, active)
    changed = (result.observation.images != before.images).flatten(1).any(1)
    assert torch.equal(changed, active)
    assert (result.rewards[~active] == 0).all()
    assert not (result.terminated | result.truncated)[~active].any()


def test_refuses_ids_outside_the_grid_and_actions_of_another_width():
    env = make_toy_env(ToyConfig(), 2)
    with pytest.raises(RlvlaError, match="outside the episode set"):
        env.reset(torch.tensor([0, env.spec.num_episodes]))
    env.reset(torch.tensor([0, 1]))
    with pytest.raises(RlvlaError, match=r"actions must be \[2, 7\]"):
        env.step(torch.zeros(2, 6))
