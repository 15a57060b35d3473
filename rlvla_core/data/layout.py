"""The LeRobot dataset layout, version 3.0: names of files, columns and features.

    meta/info.json                               version, fps, robot, features, path templates
    meta/stats.json                              min, max, mean, std, count (and quantiles) of each feature
    meta/tasks.parquet                           instruction <-> task_index
    meta/episodes/chunk-000/file-000.parquet     one row an episode: where its frames are, its statistics
    data/chunk-000/file-000.parquet              one row a frame, many episodes a file, one row group an episode
    videos/<key>/chunk-000/file-000.mp4          images of features of dtype "video" (read here, never written)

Three things are written by rlvla alone, under names that other readers pass over: the column `privileged.state`, the
episode columns `rlvla.episode_id` and `rlvla.success`, and the files `meta/rlvla.json` (environment and origin) and
`meta/norm_stats.json`.
"""

import json
import re
from typing import Any

import pyarrow as pa

from rlvla_core.environment import ACTION_DIM
from rlvla_core.errors import RlvlaError

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
OURS = "meta/rlvla.json"
"""The file that only rlvla writes: environment and origin of the data."""
NORM_STATS = "meta/norm_stats.json"

FILES_PER_CHUNK = 1000
DATA_FILE_MB = 100
"""Largest data file in MiB: it is closed when the next episode would make it larger (LeRobot's own default)."""
VIDEO_FILE_MB = 200
"""Largest video file in MB, as info.json states it (rlvla writes no video)."""

ACTION = "action"
REWARD = "next.reward"
STATE = "privileged.state"
IMAGE_PREFIX = "observation.images."
EPISODE_ID = "rlvla.episode_id"
SUCCESS = "rlvla.success"

ACTION_NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")
INDEX_COLUMNS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Columns that every LeRobot dataset has, and their dtypes; `index` counts frames over the whole dataset."""
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def fill(template: object, **values: object) -> str:
    """A template of info.json, such as DATA, with `values` in the place of their names.

    Raises RlvlaError for a template that asks for anything but these names and a width of at most 99 digits: a file of
    strangers could otherwise ask for a path of gigabytes.
    """
    plain = re.compile(r"(?:[^{}]|\{(?:" + "|".join(values) + r")(?::0?\d{1,2}d)?\})*")
    if not isinstance(template, str) or not plain.fullmatch(template):
        raise RlvlaError(
            f"the path {template!r:.80} in {INFO} is not one of LeRobot's: write one such as {DATA}, "
            "or fetch the dataset again"
        )
    try:
        return template.format(**values)
    except ValueError:  # a word where the template wants a number
        raise RlvlaError(f"{values} do not fit the path {template} in {INFO}: fetch the dataset again") from None


def features(
    *, camera: str, size: tuple[int, int], state_names: tuple[str, ...] | None, rewards: bool
) -> dict[str, dict[str, Any]]:
    """The `features` entry of info.json for a dataset that rlvla writes.

    size: (height, width) of the images. state_names: names of the S state columns, or None for a dataset without.
    rewards: whether there is a reward for each step.
    """
    found: dict[str, dict[str, Any]] = {
        IMAGE_PREFIX + camera: {
            "dtype": "image",
            "shape": [*size, 3],
            "names": ["height", "width", "channels"],
        },
        ACTION: {"dtype": "float32", "shape": [ACTION_DIM], "names": list(ACTION_NAMES)},
    }
    if state_names is not None:
        found[STATE] = {"dtype": "float32", "shape": [len(state_names)], "names": list(state_names)}
    if rewards:
        found[REWARD] = {"dtype": "float32", "shape": [1], "names": None}
    found |= {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in INDEX_COLUMNS.items()}
    return found


def arrow_schema(feature_table: dict[str, dict[str, Any]]) -> pa.Schema:
    """The Arrow schema of data files: scalars for shape [1], fixed-size lists for vectors, PNG structs for images.

    The `huggingface` entry types image columns as images for the hub's own viewer and the `datasets` package.
    """
    fields: list[pa.Field] = []
    typed: dict[str, Any] = {}
    for name, feature in feature_table.items():
        width = feature["shape"][0]
        if feature["dtype"] == "image":
            fields.append(pa.field(name, IMAGE_TYPE))
            typed[name] = {"_type": "Image"}
            continue
        value = pa.type_for_alias(feature["dtype"])
        scalar = {"dtype": feature["dtype"], "_type": "Value"}
        fields.append(pa.field(name, value if width == 1 else pa.list_(value, width)))
        vector = {"feature": scalar, "length": width, "_type": "Sequence"}
        typed[name] = scalar if width == 1 else vector
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": typed}})})


def tasks_table(tasks: list[str]) -> pa.Table:
    """Content of meta/tasks.parquet: `task_index`, with the instruction as pandas index, as LeRobot reads it."""
    pandas: dict[str, Any] = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            _pandas_column("task_index", "int64", "int64"),
            _pandas_column("task", "unicode", "object"),
        ],
        "pandas_version": "2.2.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _pandas_column(name: str, pandas_type: str, numpy_type: str) -> dict[str, Any]:
    return {
        "name": name,
        "field_name": name,
        "pandas_type": pandas_type,
        "numpy_type": numpy_type,
        "metadata": None,
    }


def info(
    *, fps: float, robot: str, feature_table: dict[str, Any], episodes: int, frames: int, tasks: int, data_file_mb: int
) -> dict[str, Any]:
    """Content of meta/info.json. fps: frames per second [Hz]; a whole number is written as an integer, as LeRobot does.

    data_file_mb: largest data file in MiB. The other numbers count what the dataset holds.
    """
    return {
        "codebase_version": VERSION,
        "robot_type": robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": data_file_mb,
        "video_files_size_in_mb": VIDEO_FILE_MB,
        "fps": int(fps) if float(fps).is_integer() else float(fps),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": None,
        "features": feature_table,
    }
