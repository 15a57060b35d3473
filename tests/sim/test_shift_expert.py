"""All sixteen tests can be solved: the scripted expert does, from privileged state (`benchmarks/shift_expert.py` plays
more episodes)."""

import os
from pathlib import Path

import numpy as np
import pytest

from rlvla_core.data.episode import Episode
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.expert import ExpertConfig, collect_episodes
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.shifts import shifts
from rlvla_sim.vec_env import CpuVecEnv
from rlvla_sim.world import STATE_SLICES

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "assets"
PAPER = os.environ.get("RLVLA_ASSETS") or (str(BESIDE) if (BESIDE / "rl4vla").is_dir() else None)
SMALL = {"image_width": 16, "image_height": 16, "supersampling": 1}


def play(config: WorldConfig, n: int) -> list[Episode]:
    """The first n episodes of the configuration's test."""
    env = make_env(config, n)
    assert isinstance(env, CpuVecEnv)
    episodes = ood_episodes(config.episode_set, n, as_released=config.as_released)
    return collect_episodes(env, episodes.tensor(), ExpertConfig(), seed=0)


@pytest.mark.parametrize("name", [shift.name for shift in shifts()])
def test_every_test_can_be_solved(name: str) -> None:
    played = play(WorldConfig(episode_set=name, **SMALL), 5)
    assert sum(episode.success for episode in played) >= 4
    assert np.mean([len(episode) for episode in played if episode.success]) < 50


@pytest.mark.parametrize("name", ["multi-object-unseen", "multi-receptacle", "unseen-start-pose", "moved-object"])
def test_with_the_other_arm_too(name: str) -> None:
    assert sum(e.success for e in play(WorldConfig(robot="panda", episode_set=name, **SMALL), 5)) >= 4


def test_a_moved_object_is_followed() -> None:
    """What was on the receptacle at the end had been taken 15 cm away after five steps."""
    played = play(WorldConfig(episode_set="moved-object", **SMALL), 5)
    for episode in played:
        assert episode.state is not None and len(episode) > 20
        places = episode.state[:, STATE_SLICES["object_position"]]
        jumps = np.linalg.norm(np.diff(places[:, :2], axis=0), axis=1)
        assert np.flatnonzero(jumps > 0.1).tolist() == [4]
    assert sum(episode.success for episode in played) >= 4


@pytest.mark.skipif(PAPER is None, reason="the paper's assets are not here")
@pytest.mark.parametrize("name", ["multi-object-seen", "multi-receptacle", "dynamic-texture-weak", "moved-object"])
def test_with_the_papers_assets_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVLA_ASSETS", str(PAPER))
    assert sum(e.success for e in play(WorldConfig(assets="paper", episode_set=name, **SMALL), 4)) >= 3
