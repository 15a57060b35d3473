"""Scenes on disk: complete after an interruption, never mixed, read as frames."""

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_sim.pretraining import dataset
from rlvla_sim.pretraining.dataset import LabelledImage, SceneDataset, ScenePlan, collect_scenes, shard_path


class FakeSource:
    point_names = ("hand", "cube")

    def draw(self, seed, number):
        return LabelledImage(
            image=np.full((4, 4, 3), number % 256, dtype=np.uint8),
            instruction=f"point at {number}",
            target=np.full(7, seed + number, dtype=np.float32),
            pixels=np.array([[number, 1.0], [np.nan, np.nan]], dtype=np.float32),
        )


class DyingSource(FakeSource):
    def draw(self, seed, number):
        import os

        os._exit(3)


def plan(count=25, **changes):
    return ScenePlan(**{"scenes": count, "seed": 0, "settings": {"robot": "fake"}} | changes)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(dataset, "SHARD", 10)


def test_what_is_missing_is_drawn_again_and_only_that(tmp_path):
    assert list(collect_scenes(FakeSource, plan(), tmp_path, processes=1))[-1] == 25
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(before) == 3
    shard_path(tmp_path, 10).unlink()
    assert list(collect_scenes(FakeSource, plan(), tmp_path, processes=1)) == [15, 25]
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert [name for name in before if before[name] != after[name]] == [shard_path(tmp_path, 10).name]


def test_frames_are_the_scenes_in_their_order(tmp_path):
    list(collect_scenes(FakeSource, plan(), tmp_path, processes=2))
    dataset = SceneDataset([tmp_path])
    assert dataset.num_frames == 25
    frames = dataset.frames(torch.tensor([24, 3]))
    assert frames.instructions == ["point at 24", "point at 3"]
    assert frames.actions[:, 0].tolist() == [24.0, 3.0]
    assert frames.images[:, 0, 0, 0].tolist() == [24, 3]
    pixels = dataset.pixels(frames)
    assert pixels.shape == (2, 2, 2)
    assert pixels[:, 0, 0].tolist() == [24.0, 3.0]
    assert pixels[:, 1].isnan().all()


def test_another_plan_or_an_empty_folder_is_refused(tmp_path):
    list(collect_scenes(FakeSource, plan(5), tmp_path, processes=1))
    with pytest.raises(RlvlaError, match="other settings"):
        list(collect_scenes(FakeSource, plan(5, seed=1), tmp_path, processes=1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RlvlaError, match="holds no scenes"):
        SceneDataset([tmp_path / "empty"])


def test_a_dead_worker_is_one_clear_line(tmp_path):
    with pytest.raises(RlvlaError, match="stays, start again"):
        list(collect_scenes(DyingSource, plan(), tmp_path, processes=1))


class BrokenSource(FakeSource):
    def __init__(self):
        raise RlvlaError("no Vulkan device: install one")


def test_what_fails_in_a_worker_is_said_in_its_own_words(tmp_path):
    with pytest.raises(RlvlaError, match="no Vulkan device"):
        list(collect_scenes(BrokenSource, plan(), tmp_path, processes=1))
