"""The scripted expert's own commands go through the filter untouched and lead where they led in the simulator."""

import pytest
import torch
from control_arms import NAMES, chain_of, command, filter_of, lowest_tip, settle

from rlvla_sim import WorldConfig, make_env
from rlvla_sim.expert import ExpertConfig, collect_episodes


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_clamped_and_the_target_is_the_simulators(name):
    env = make_env(WorldConfig(robot=name, image_width=16, image_height=16, supersampling=1), 3)
    quiet = ExpertConfig(noise_position=0.0, noise_rotation=0.0)
    episodes = collect_episodes(env, torch.tensor([5, 100_003, 333_337]), quiet, seed=0)
    for row, episode in enumerate(episodes):
        safety, lowest = filter_of(name), 1.0
        for step, action in enumerate(episode.actions):
            now = 0.2 * step
            verdict = safety.propose(command(action.astype(float), step=step, now=now), now)
            assert verdict.accepted
            assert verdict.interventions == ()
            path = [safety.tick().joints for _ in range(20)]
            lowest = min(lowest, lowest_tip(name, path))
        assert len(episode.actions) > 10
        assert 0.002 < lowest < 0.02
        assert safety.target == pytest.approx(env.controller.targets[row], abs=1e-9)
        assert chain_of(name).forward(settle(safety)[-1:])[0] == pytest.approx(safety.target, abs=1e-3)
