"""Statistics against numpy on the raw arrays."""

import json

import numpy as np
import pytest
from data_fakes import make_episode

from rlvla_core.data import Dataset, DatasetWriter, action_statistics, merge
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.norm_stats import NormStats


def test_uniform_actions_have_their_closed_form():
    """k / 100 for k = 0 .. 100: quantile q is q, the mean 1/2, the variance (101² - 1) / 12 / 100²."""
    actions = np.repeat(np.arange(101)[:, None] / 100, 7, axis=1).astype(np.float32)
    found = action_statistics(actions, episodes=3)
    assert found["num_transitions"] == 101 and found["num_trajectories"] == 3
    action = found["action"]
    assert action["q01"] == pytest.approx([0.01] * 7, abs=1e-7)
    assert action["q99"] == pytest.approx([0.99] * 7, abs=1e-7)
    assert action["mean"] == pytest.approx([0.5] * 7)
    assert action["std"] == pytest.approx([np.sqrt((101**2 - 1) / 12) / 100] * 7)
    assert (action["min"], action["max"]) == ([0.0] * 7, [1.0] * 7)
    assert action["mask"] == [True] * 6 + [False]


def test_a_dimension_that_never_moves_gets_a_narrow_interval_about_its_constant():
    actions = np.random.default_rng(0).normal(0, 0.02, (500, 7)).astype(np.float32)
    actions[:, 3] = 0.25
    actions[:, 4] = 1e-8 * actions[:, 0]
    actions[:, 6] = 1.0
    found = action_statistics(actions, episodes=1)["action"]
    stats = NormStats.from_json(found)  # refuses q01 == q99 where the mask is true
    assert stats.q01[3] == pytest.approx(0.25 - 0.0005) and stats.q99[3] == pytest.approx(0.25 + 0.0005)
    normalised = 2 * (actions - np.array(stats.q01)) / np.maximum(np.array(stats.q99) - np.array(stats.q01), 1e-9) - 1
    assert np.abs(normalised[:, 3:5]).max() < 1 / 255  # all in the middle one of 255 intervals
    assert found["q01"][6] == found["q99"][6] == 1.0  # not normalised, so left alone


def test_what_is_stored_are_the_statistics_of_all_frames(tmp_path):
    episodes = [make_episode(seed, steps=5 + seed) for seed in range(6)]
    parts = []
    for name, chosen in (("a", episodes[:2]), ("b", episodes[2:])):
        with DatasetWriter(tmp_path / name, fps=5, robot="r") as writer:
            for episode in chosen:
                writer.add(episode)
        parts.append(tmp_path / name)
    merged = merge(parts, tmp_path / "all")
    actions = np.concatenate([episode.actions for episode in episodes]).astype(np.float64)
    images = np.concatenate([episode.images for episode in episodes]).reshape(-1, 3) / 255.0
    norm = json.loads((merged / "meta/norm_stats.json").read_text())
    assert list(norm) == ["all"]
    assert norm["all"]["num_transitions"] == len(actions) and norm["all"]["num_trajectories"] == 6
    assert norm["all"]["action"]["q99"] == pytest.approx(np.quantile(actions, 0.99, axis=0))
    assert norm["all"]["action"]["std"] == pytest.approx(actions.std(axis=0))
    assert Dataset.open(merged).norm_stats() == norm["all"]
    stats = json.loads((merged / "meta/stats.json").read_text())
    assert stats["action"]["q01"] == pytest.approx(np.quantile(actions, 0.01, axis=0))
    assert stats["frame_index"]["max"] == [9]
    image = stats["observation.images.third_person"]
    assert np.ravel(image["mean"]) == pytest.approx(images.mean(axis=0))
    assert np.ravel(image["std"]) == pytest.approx(images.std(axis=0))
    assert np.ravel(image["min"]) == pytest.approx(images.min(axis=0))
    assert np.ravel(image["max"]) == pytest.approx(images.max(axis=0))
    assert image["count"] == [len(actions)]


def test_no_actions_are_refused():
    with pytest.raises(RlvlaError, match="N >= 1"):
        action_statistics(np.zeros((0, 7), np.float32), episodes=0)
