"""The files are those of LeRobot's v3.0 layout.

The expectations are facts of the format (huggingface/lerobot, src/lerobot/datasets, version 0.4 and later), restated
here by hand; the code under test is not asked for them.
"""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_fakes import SPEC, make_episode
from PIL import Image

from rlvla_core.data import Dataset, DatasetWriter, merge

LENGTHS = [4, 7, 5]


@pytest.fixture
def written(tmp_path):
    with DatasetWriter(tmp_path / "demos", fps=5, robot="widowx250s", env_spec=SPEC) as writer:
        for seed, steps in enumerate(LENGTHS):
            writer.add(make_episode(seed, steps=steps))
    return tmp_path / "demos"


def test_files(written):
    files = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert files == {
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
        "meta/rlvla.json",
        "meta/norm_stats.json",
    }


def test_info(written):
    info = json.loads((written / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["robot_type"] == "widowx250s"
    assert info["fps"] == 5 and isinstance(info["fps"], int)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 16, 3)
    assert info["chunks_size"] == 1000
    assert info["splits"] == {"train": "0:3"}
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["video_path"] is None
    features = info["features"]
    assert features["observation.images.third_person"] == {
        "dtype": "image",
        "shape": [8, 16, 3],
        "names": ["height", "width", "channels"],
    }
    assert features["action"]["dtype"] == "float32" and features["action"]["shape"] == [7]
    assert features["privileged.state"]["names"] == ["state_0", "gripper.x", "gripper.y", "gripper.z", "state_4"]
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        dtype = "float32" if name == "timestamp" else "int64"
        assert features[name] == {"dtype": dtype, "shape": [1], "names": None}
    assert not any("/" in name for name in features)


def test_frames(written):
    file = pq.ParquetFile(written / "data/chunk-000/file-000.parquet")
    assert file.num_row_groups == 3  # one an episode
    table = file.read()
    assert table.schema.field("action").type == pa.list_(pa.float32(), 7)
    assert table.schema.field("observation.images.third_person").type == pa.struct(
        [("bytes", pa.binary()), ("path", pa.string())]
    )
    assert table["index"].to_pylist() == list(range(16))
    assert table["episode_index"].to_pylist() == [0] * 4 + [1] * 7 + [2] * 5
    assert table["frame_index"].to_pylist() == [*range(4), *range(7), *range(5)]
    assert table["timestamp"].to_pylist() == pytest.approx([step / 5 for steps in LENGTHS for step in range(steps)])
    data = table["observation.images.third_person"][5].as_py()["bytes"]
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), make_episode(1, steps=7).images[1])
    typed = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert typed["observation.images.third_person"] == {"_type": "Image"}


def test_tasks_have_the_sentence_as_pandas_index(written):
    table = pq.read_table(written / "meta/tasks.parquet")
    assert table["task"].to_pylist() == [f"put thing {number} on plate" for number in range(3)]
    assert table["task_index"].to_pylist() == [0, 1, 2]
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_episode_rows(written):
    table = pq.read_table(written / "meta/episodes/chunk-000/file-000.parquet")
    rows = table.to_pylist()
    assert [row["episode_index"] for row in rows] == [0, 1, 2]
    assert [row["length"] for row in rows] == LENGTHS
    assert [row["dataset_from_index"] for row in rows] == [0, 4, 11]
    assert [row["dataset_to_index"] for row in rows] == [4, 11, 16]
    assert [row["tasks"] for row in rows] == [[f"put thing {number} on plate"] for number in range(3)]
    for row in rows:
        assert row["data/chunk_index"] == row["data/file_index"] == 0
        assert row["meta/episodes/chunk_index"] == row["meta/episodes/file_index"] == 0
    assert [row["rlvla.episode_id"] for row in rows] == [10_000_000_000, 10_000_000_001, 10_000_000_002]
    actions = make_episode(1, steps=7).actions.astype(np.float64)
    assert rows[1]["stats/action/min"] == pytest.approx(actions.min(axis=0))
    assert rows[1]["stats/action/count"] == [7]
    assert np.shape(rows[1]["stats/observation.images.third_person/mean"]) == (3, 1, 1)


def test_files_roll_at_the_size_limit(tmp_path):
    episodes = [make_episode(seed, steps=8, size=(128, 128)) for seed in range(6)]  # noise: about 400 kB each
    with DatasetWriter(tmp_path / "set", fps=5, robot="r", data_file_mb=1) as writer:
        for episode in episodes:
            writer.add(episode)
    files = sorted((tmp_path / "set/data").rglob("*.parquet"))
    assert [file.name for file in files] == [f"file-{number:03d}.parquet" for number in range(3)]
    assert all(file.stat().st_size < 1.05 * 2**20 for file in files)
    rows = pq.read_table(tmp_path / "set/meta/episodes").to_pylist()
    assert [row["data/file_index"] for row in rows] == [0, 0, 1, 1, 2, 2]
    dataset = Dataset.open(tmp_path / "set")
    assert all(np.array_equal(dataset.episode(n).images, episode.images) for n, episode in enumerate(episodes))
    merged = merge([tmp_path / "set"], tmp_path / "merged")  # fewer, larger files: the same frames
    assert len(list((merged / "data").rglob("*.parquet"))) == 1
    assert np.array_equal(Dataset.open(merged).images.numpy(), dataset.images.numpy())
