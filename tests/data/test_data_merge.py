"""Joining parts gives the dataset that one writer would have written."""

import hashlib
import json

import pytest
from data_fakes import SPEC, make_episode, same

from rlvla_core.data import Dataset, DatasetWriter, merge
from rlvla_core.errors import RlvlaError


def write(path, seeds, **options):
    with DatasetWriter(path, **{"fps": 5, "robot": "widowx250s", **options}) as writer:
        for seed in seeds:
            writer.add(make_episode(seed, steps=3 + seed % 4))
    return path


def contents(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_merged_parts_equal_one_dataset_byte_for_byte(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    parts = [write(tmp_path / f"part-{n}", seeds) for n, seeds in enumerate([[0, 5], [3], [1, 4, 2]])]
    merged = merge(parts, tmp_path / "x/set")
    whole = write(tmp_path / "y/set", [0, 5, 3, 1, 4, 2])
    assert contents(merged) == contents(whole)
    dataset = Dataset.open(merged)
    assert [dataset.episode(n).episode_id - 10_000_000_000 for n in range(6)] == [0, 5, 3, 1, 4, 2]
    assert same(dataset.episode(4), make_episode(4, steps=3))
    assert dataset.tasks == [f"put thing {n} on plate" for n in (0, 2, 1)]
    assert all(part.exists() for part in parts)


@pytest.mark.parametrize(
    "options, word",
    [({"robot": "panda"}, "robot"), ({"fps": 10}, "fps"), ({"env_spec": SPEC}, "env_spec")],
)
def test_what_does_not_belong_together_is_refused(tmp_path, options, word):
    parts = [write(tmp_path / "a", [0]), write(tmp_path / "b", [1], **options)]
    with pytest.raises(RlvlaError, match=f"differ in {word}"):
        merge(parts, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_other_image_sizes_are_refused(tmp_path):
    with DatasetWriter(tmp_path / "b", fps=5, robot="widowx250s") as writer:
        writer.add(make_episode(0, size=(16, 16)))
    with pytest.raises(RlvlaError, match="differ in features"):
        merge([write(tmp_path / "a", [0]), tmp_path / "b"], tmp_path / "all")


def test_origin_is_kept_or_replaced(tmp_path):
    part = write(tmp_path / "a", [0], env_spec=SPEC, provenance={"attempts": 4})
    assert Dataset.open(merge([part], tmp_path / "kept")).provenance == {"attempts": 4}
    replaced = Dataset.open(merge([part], tmp_path / "new", provenance={"seed": 1}))
    assert replaced.provenance == {"seed": 1}
    assert replaced.env_spec == SPEC
    assert json.loads((tmp_path / "new/meta/rlvla.json").read_text())["env_spec"]["camera"]["fx"] == SPEC.camera.fx


def test_nothing_to_merge(tmp_path):
    with pytest.raises(RlvlaError, match="nothing to merge"):
        merge([], tmp_path / "all")
