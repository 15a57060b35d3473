"""Datasets of others hold videos: frames come from the right file at the right time."""

import json

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlvla_core.data import Dataset
from rlvla_core.errors import RlvlaError

FPS, KEY = 10, "observation.images.front"
LENGTHS = [5, 4, 6]
PLACES = [(0, 0, 0.0), (0, 0, 0.5), (0, 1, 0.0)]  # two episodes share the first file


def grey(index):
    return 10 + 15 * index


def write_video(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 4_000_000
        for value in values:
            image = np.full((48, 64, 3), value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "foreign"
    for name in ("meta/episodes/chunk-000", "data/chunk-000"):
        (root / name).mkdir(parents=True)
    total, starts = sum(LENGTHS), np.concatenate([[0], np.cumsum(LENGTHS)]).tolist()
    info = {
        "codebase_version": "v3.0",
        "robot_type": None,
        "fps": FPS,
        "total_episodes": 3,
        "total_frames": total,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            KEY: {"dtype": "video", "shape": [3, 48, 64], "names": ["channels", "height", "width"]},
            "action": {"dtype": "float64", "shape": [7], "names": None},
        },
    }
    (root / "meta/info.json").write_text(json.dumps(info))
    pq.write_table(pa.table({"task_index": [0], "__index_level_0__": ["stack"]}), root / "meta/tasks.parquet")
    rows = {
        "episode_index": range(3),
        "length": LENGTHS,
        "dataset_from_index": starts[:-1],
        "data/chunk_index": [0] * 3,
        "data/file_index": [0] * 3,
        f"videos/{KEY}/chunk_index": [place[0] for place in PLACES],
        f"videos/{KEY}/file_index": [place[1] for place in PLACES],
        f"videos/{KEY}/from_timestamp": [place[2] for place in PLACES],
    }
    pq.write_table(
        pa.table({name: list(values) for name, values in rows.items()}),
        root / "meta/episodes/chunk-000/file-000.parquet",
    )
    frames = pa.table(
        {
            "action": pa.array([[0.001 * index] * 7 for index in range(total)], pa.list_(pa.float64())),
            "task_index": [0] * total,
            "episode_index": np.repeat(np.arange(3), LENGTHS),
        }
    )
    pq.write_table(frames, root / "data/chunk-000/file-000.parquet")
    write_video(root / f"videos/{KEY}/chunk-000/file-000.mp4", [grey(index) for index in range(9)])
    write_video(root / f"videos/{KEY}/chunk-000/file-001.mp4", [grey(index) for index in range(9, 15)])
    return root


def test_each_frame_is_its_own(dataset):
    found = Dataset.open(dataset)
    assert found.image_size == (48, 64)
    means = found.images.float().mean(dim=(1, 2, 3)).numpy()
    assert np.abs(means - [grey(index) for index in range(15)]).max() < 4  # the codec is lossy; steps are 15
    assert found.actions[7, 0] == pytest.approx(0.007)
    assert found.tasks == ["stack"]
    episode = found.episode(1)
    assert (episode.instruction, episode.episode_id, episode.success, episode.state) == ("stack", 1, True, None)


def test_a_video_that_ends_early(dataset):
    write_video(dataset / f"videos/{KEY}/chunk-000/file-001.mp4", [grey(index) for index in range(9, 12)])
    with pytest.raises(RlvlaError, match=r"file-001\.mp4 ends before second 0\.[34]"):
        Dataset.open(dataset)


@pytest.mark.parametrize("damage", ["missing", "text"])
def test_a_damaged_video_is_named(dataset, damage):
    file = dataset / f"videos/{KEY}/chunk-000/file-000.mp4"
    file.unlink() if damage == "missing" else file.write_text("no video")
    with pytest.raises(RlvlaError, match=r"file-000\.mp4 is (missing|damaged)"):
        Dataset.open(dataset)
