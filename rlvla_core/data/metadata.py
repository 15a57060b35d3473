"""Reading and checking the meta/ directory of a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlvla_core.data import layout
from rlvla_core.environment import ACTION_DIM, EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec
from rlvla_core.storage.json_files import read_json

AGAIN = "fetch or collect the dataset again"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Metadata:
    """The content of a dataset's meta/ directory, checked for contradictions. E episodes, N frames."""

    root: Path
    """The dataset's directory."""
    fps: float
    """Frames per second [Hz]."""
    robot: str
    """The robot's name (`robot_type` of info.json); empty where the dataset has none."""
    num_frames: int
    """Number of frames, N."""
    features: dict[str, dict[str, Any]]
    """Feature table of info.json: name -> dtype, shape, names."""
    tasks: list[str]
    """All instructions, ordered by task_index."""
    episodes: dict[str, list[Any]]
    """Columns of meta/episodes except statistics, ordered by episode; E values each."""
    starts: npt.NDArray[np.int64]
    """Where episodes begin, int64 [E + 1]: episode e holds frames starts[e] .. starts[e + 1] - 1."""
    data_files: list[Path]
    """The parquet files of frames, in the order of their frames."""
    video_path: str | None
    """Template of the paths of video files, relative to `root`; None where the dataset has no video."""
    env_spec: EnvSpec | None
    """The environment that the dataset was collected in; None where rlvla did not record it."""
    provenance: dict[str, Any]
    """Where the data came from, as JSON that its writer chose; empty where nothing is recorded."""

    @classmethod
    def read(cls, root: Path) -> "Metadata":
        """Read the metadata of the dataset in `root`.

        Raises RlvlaError, naming the file, for anything missing, damaged, contradictory or of another version.
        """
        info = _read_info(root)
        tasks = _read_tasks(root / layout.TASKS)
        episodes = _read_episodes(root)
        lengths = np.array(episodes["length"], np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        if len(lengths) != info["total_episodes"] or starts[-1] != info["total_frames"]:
            raise RlvlaError(
                f"{root / layout.INFO} promises {info['total_episodes']} episodes of {info['total_frames']} frames, "
                f"meta/episodes has {len(lengths)} of {starts[-1]}: {AGAIN}"
            )
        if episodes["dataset_from_index"] != starts[:-1].tolist() or (lengths <= 0).any():
            raise RlvlaError(f"{root}/meta/episodes has gaps or empty episodes: {AGAIN}")
        places = dict.fromkeys(zip(episodes["data/chunk_index"], episodes["data/file_index"], strict=True))
        template = info.get("data_path") or layout.DATA
        files = [member(root, layout.fill(template, chunk_index=chunk, file_index=file)) for chunk, file in places]
        origin = read_json(root / layout.OURS, AGAIN) if (root / layout.OURS).exists() else {}
        return cls(
            root=root,
            fps=float(info["fps"]),
            robot=info.get("robot_type") or "",
            num_frames=int(starts[-1]),
            features=info["features"],
            tasks=tasks,
            episodes=episodes,
            starts=starts,
            data_files=files,
            video_path=info.get("video_path"),
            env_spec=_env_spec(origin.get("env_spec"), root / layout.OURS),
            provenance=origin.get("provenance", {}),
        )

    def camera(self, name: str | None) -> str:
        """The feature key of camera `name`, or of the only camera if `name` is None.

        Raises RlvlaError, listing the cameras, if there is no such camera, or no choice among several.
        """
        keys = [key for key, feature in self.features.items() if feature.get("dtype") in ("image", "video")]
        if name is None and len(keys) == 1:
            return keys[0]
        for key in keys:
            if name in (key, key.removeprefix(layout.IMAGE_PREFIX)):
                return key
        have = ", ".join(key.removeprefix(layout.IMAGE_PREFIX) for key in keys) or "none"
        asked = f"no camera {name!r}" if name else f"{len(keys)} cameras and none was chosen"
        raise RlvlaError(f"{self.root} has {asked}: name one of: {have}")


def member(root: Path, relative: str) -> Path:
    """The file `root / relative`. Raises RlvlaError if it is outside of `root` or does not exist."""
    path = root / relative
    if root.resolve() not in path.resolve().parents:
        raise RlvlaError(f"{root / layout.INFO} names the file {relative}, which is outside of the dataset: mend it")
    if not path.is_file():
        raise RlvlaError(f"{path} is missing: {AGAIN}")
    return path


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The table in a parquet file, or these columns of it. Raises RlvlaError if it is missing, damaged or lacks one."""
    try:
        with pq.ParquetFile(path) as file:
            absent = [name for name in columns or [] if name not in file.schema_arrow.names]
            if absent:
                raise RlvlaError(f"{path} has no column {absent[0]}: this is no complete LeRobot dataset")
            return file.read(columns=columns)
    except FileNotFoundError:
        raise RlvlaError(f"{path} is missing: {AGAIN}") from None
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> RlvlaError:
    """The error to raise for a file that cannot be decoded; it gives the first line of `error` as the reason."""
    reason = (str(error).splitlines() or [""])[0][:120]
    return RlvlaError(f"{path} is damaged ({reason}): {AGAIN}")


def _read_info(root: Path) -> dict[str, Any]:
    path = root / layout.INFO
    if not path.exists():
        raise RlvlaError(f"{path} is missing: name the directory of a LeRobot {layout.VERSION} dataset")
    info = read_json(path, AGAIN)
    if "codebase_version" not in info:
        raise RlvlaError(f"{path} has no codebase_version: name the directory of a LeRobot {layout.VERSION} dataset")
    version = str(info["codebase_version"])
    if not version.startswith("v3."):
        raise RlvlaError(
            f"{root} is of LeRobot version {version}, {layout.VERSION} is needed: convert it with LeRobot's own "
            "`python -m lerobot.scripts.convert_dataset_v21_to_v30`"
        )
    for name, kind in {"fps": (int, float), "features": dict, "total_episodes": int, "total_frames": int}.items():
        if not isinstance(info.get(name), kind):  # type: ignore[arg-type]
            raise RlvlaError(f"{path} has no proper `{name}`: {AGAIN}")
    if not info["fps"] > 0:
        raise RlvlaError(f"{path} says fps = {info['fps']}: it must be positive")
    action = info["features"].get(layout.ACTION)
    if action is None or list(action.get("shape", ())) != [ACTION_DIM]:
        have = "none" if action is None else f"one of shape {action.get('shape')}"
        raise RlvlaError(
            f"{root} needs a feature `{layout.ACTION}` of shape [{ACTION_DIM}] (Δxyz, Δrotation, gripper), "
            f"it has {have}"
        )
    return info


def _read_tasks(path: Path) -> list[str]:
    table = read_table(path, ["task_index"])
    full = read_table(path)
    names = [
        field.name for field in full.schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    if len(names) != 1:
        raise RlvlaError(f"{path} must have one column of instructions, it has {len(names)}")
    by_index = dict(zip(table.column(0).to_pylist(), full.column(names[0]).to_pylist(), strict=True))
    if sorted(by_index) != list(range(len(by_index))):
        raise RlvlaError(f"{path} does not number its instructions 0 .. {len(by_index) - 1}: fetch the dataset again")
    return [by_index[index] for index in range(len(by_index))]


def _read_episodes(root: Path) -> dict[str, list[Any]]:
    files = sorted((root / "meta/episodes").glob("chunk-*/file-*.parquet"))
    if not files:
        raise RlvlaError(f"{root}/meta/episodes has no parquet file: {AGAIN}")
    needed = ["episode_index", "length", "dataset_from_index", "data/chunk_index", "data/file_index"]
    columns: dict[str, list[Any]] = {}
    for file in files:
        table = read_table(file)
        absent = [name for name in needed if name not in table.column_names]
        if absent:
            raise RlvlaError(f"{file} has no column {absent[0]}: this is no complete LeRobot dataset")
        for name in table.column_names:
            if not name.startswith("stats/"):
                columns.setdefault(name, []).extend(table.column(name).to_pylist())
    if columns["episode_index"] != list(range(len(columns["episode_index"]))):
        raise RlvlaError(f"{root}/meta/episodes does not number its episodes 0, 1, ...: fetch the dataset again")
    return columns


def _env_spec(value: dict[str, Any] | None, path: Path) -> EnvSpec | None:
    if value is None:
        return None
    try:
        camera: dict[str, Any] = {
            name: tuple(entry) if isinstance(entry, list) else entry for name, entry in value["camera"].items()
        }
        points = tuple((str(name), int(first)) for name, first in value["state_points"])
        return EnvSpec(**{**value, "camera": CameraSpec(**camera), "state_points": points})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RlvlaError(f"{path} describes no environment that this version knows ({error}): collect again") from error
