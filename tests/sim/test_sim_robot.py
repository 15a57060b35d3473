"""The sim_robot plays what the world plays, only at another rate."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.sim_robot import SimRobot

CONFIG = WorldConfig(max_steps=6)


@pytest.mark.parametrize("name", ["train", "moved-object"])
def test_step_targets_give_the_world_of_training_bit_for_bit(name):
    config = replace(CONFIG, episode_set=name)
    env, sim_robot = make_env(config, 1), SimRobot(config)
    observation = env.reset(torch.tensor([77]))
    sim_robot.reset(77)
    generator = torch.Generator().manual_seed(0)
    for _ in range(CONFIG.max_steps):
        assert np.array_equal(observation.images[0].numpy(), sim_robot.world.image())
        action = 0.02 * torch.randn((1, 7), generator=generator)
        result = env.step(action)
        world = env.worlds[0]
        sim_robot.play(env.controller.joints, np.array([world.physics.finger_joints[0].drive_target[0]]), 0.2)
        assert np.array_equal(world.physics.articulation.qpos, sim_robot.world.physics.articulation.qpos)
        observation = result.observation
    assert sim_robot.over and sim_robot.world.steps == CONFIG.max_steps


def test_points_within_a_step_are_followed_in_order():
    sim_robot = SimRobot(CONFIG)
    start, opening = sim_robot.target
    points = np.stack([start + 0.01 * i for i in range(20)])
    seen = []
    sim_robot.world.advance = lambda joints, opening, substeps: seen.append(joints[0] - start[0])
    sim_robot.play(points, np.full(20, opening), 0.01)
    assert len(seen) == CONFIG.substeps
    expected = [0.01 * min(int(i / 120 / 0.01 + 1e-6), 19) for i in range(24)]
    assert np.allclose(seen, expected, atol=1e-12)


def test_verdict_stands_still_after_the_time_limit():
    sim_robot = SimRobot(CONFIG)
    sim_robot.advance(20 * CONFIG.substeps)
    assert sim_robot.world.steps == CONFIG.max_steps
    sim_robot.reset(3)
    assert sim_robot.world.steps == 0 and sim_robot.episode_id == 3 and not sim_robot.over


def test_bad_targets_move_nothing():
    sim_robot = SimRobot(CONFIG)
    start, opening = sim_robot.target
    with pytest.raises(RlvlaError, match="5 joint targets for widowx250s, which has 6"):
        sim_robot.aim(np.zeros(5), opening)
    with pytest.raises(RlvlaError, match="not finite"):
        sim_robot.aim(np.full(6, np.nan), opening)
    with pytest.raises(RlvlaError, match="episode id -1 is outside the episode set `train`"):
        sim_robot.reset(-1)
    assert np.array_equal(sim_robot.target[0], start)
