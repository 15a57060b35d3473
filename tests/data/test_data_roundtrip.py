"""What is written is what is read, bit for bit."""

import dataclasses

import numpy as np
import pytest
import torch
from data_fakes import SPEC, make_episode, same

from rlvla_core.data import Dataset, DatasetWriter, Episode
from rlvla_core.errors import RlvlaError


def write(path, episodes, **options):
    with DatasetWriter(path, fps=5, robot="widowx250s", **options) as writer:
        for episode in episodes:
            writer.add(episode)
    return path


@pytest.mark.parametrize("state, rewards", [(5, True), (1, True), (0, False)])
def test_episodes_come_back_bit_for_bit(tmp_path, state, rewards):
    episodes = [make_episode(seed, steps=seed + 3, state=state, rewards=rewards) for seed in range(5)]
    dataset = Dataset.open(write(tmp_path / "set", episodes))
    assert dataset.num_episodes == 5
    assert dataset.num_frames == sum(range(3, 8))
    assert all(same(dataset.episode(number), episode) for number, episode in enumerate(episodes))


def test_facts_come_back(tmp_path):
    dataset = Dataset.open(write(tmp_path / "set", [make_episode(0)], env_spec=SPEC, provenance={"seed": 7}))
    assert (dataset.fps, dataset.robot, dataset.image_size) == (5.0, "widowx250s", (8, 16))
    assert dataset.env_spec == SPEC
    assert dataset.provenance == {"seed": 7}
    assert dataset.tasks == ["put thing 0 on plate"]


def test_frames_are_those_asked_for_in_that_order(tmp_path):
    episodes = [make_episode(seed, steps=4) for seed in range(3)]
    dataset = Dataset.open(write(tmp_path / "set", episodes))
    batch = dataset.frames([9, 2, 9])
    assert batch.images.dtype == torch.uint8 and batch.actions.dtype == torch.float32
    assert np.array_equal(batch.images[0].numpy(), episodes[2].images[1])
    assert np.array_equal(batch.images[1].numpy(), episodes[0].images[2])
    assert torch.equal(batch.images[0], batch.images[2])
    assert np.array_equal(batch.actions[1].numpy(), episodes[0].actions[2])
    assert batch.state is not None and episodes[0].state is not None
    assert np.array_equal(batch.state[1].numpy(), episodes[0].state[2])
    assert batch.instructions == [episodes[2].instruction, episodes[0].instruction, episodes[2].instruction]
    with pytest.raises(RlvlaError, match=r"0 \.\. 11"):
        dataset.frames([12])
    with pytest.raises(RlvlaError, match=r"0 \.\. 11"):
        dataset.frames([-1])


def test_memory_mapped_images_are_the_same_and_are_decoded_once(tmp_path):
    path = write(tmp_path / "set", [make_episode(seed) for seed in range(4)])
    in_memory = Dataset.open(path)
    mapped = Dataset.open(path, memory_limit=0, cache=tmp_path / "cache")
    assert torch.equal(in_memory.images, mapped.images)
    (file,) = (tmp_path / "cache").rglob("*.npy")
    before = file.stat().st_mtime_ns
    again = Dataset.open(path, memory_limit=0, cache=tmp_path / "cache")
    assert torch.equal(again.images, mapped.images)
    assert file.stat().st_mtime_ns == before
    again.images[0] = 0  # a reader's slip must not reach the file that others share
    assert torch.equal(Dataset.open(path, memory_limit=0, cache=tmp_path / "cache").images, in_memory.images)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": np.zeros((6, 8, 16, 4), np.uint8)}, "images must be uint8"),
        ({"images": np.zeros((6, 8, 16, 3), np.float32)}, "images must be uint8"),
        ({"actions": np.zeros((5, 7), np.float32)}, r"actions must be float32 \[6, 7\], got float32 \[5, 7\]"),
        ({"actions": np.full((6, 7), np.nan, np.float32)}, "not finite at step 0"),
        ({"state": np.zeros((6, 2), np.float64)}, "state must be float32"),
        ({"rewards": np.zeros((6, 1), np.float32)}, "rewards must be float32"),
        ({"instruction": ""}, "no instruction"),
    ],
)
def test_an_episode_of_wrong_shapes_is_refused(change, message):
    with pytest.raises(RlvlaError, match=message):
        dataclasses.replace(make_episode(0), **change)


def test_an_episode_without_steps_is_refused():
    with pytest.raises(RlvlaError, match="no steps"):
        make_episode(0).select(np.zeros(6, bool))


@pytest.mark.parametrize(
    "other", [make_episode(1, size=(16, 8)), make_episode(1, state=4), make_episode(1, rewards=False)]
)
def test_episodes_that_do_not_fit_together_are_refused(tmp_path, other: Episode):
    with pytest.raises(RlvlaError, match="dataset of its own"):
        write(tmp_path / "set", [make_episode(0), other])
    assert not (tmp_path / "set").exists()


def test_a_world_of_another_rate_is_refused(tmp_path):
    with pytest.raises(RlvlaError, match=r"5\.0 Hz.*10"):
        DatasetWriter(tmp_path / "set", fps=10, robot="widowx250s", env_spec=SPEC)
