"""Reading a dataset: random frames as tensors, fast, for training.

Shape letters: B batch, N frames, T steps of an episode, H W image, S privileged state.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rlvla_core.data import layout
from rlvla_core.data.episode import Episode
from rlvla_core.data.images import load_images
from rlvla_core.data.metadata import Metadata, damaged, read_table
from rlvla_core.data.tables import column_array
from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.storage.json_files import read_json

MEMORY_LIMIT = 4 << 30
"""Most bytes of decoded images that are held in memory; more than that go to a memory-mapped file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameBatch:
    """B frames of a dataset: what a policy saw, and what was done."""

    images: torch.Tensor
    """Images before the action, uint8 [B, H, W, 3], RGB."""
    actions: torch.Tensor
    """Actions, float32 [B, 7]: Δxyz [m], Δrotation [rad] (XYZ Euler), gripper (+1 open, -1 closed)."""
    instructions: list[str]
    """The instruction of each of the B frames."""
    state: torch.Tensor | None
    """Privileged simulator state before the action, float32 [B, S]; None where the dataset has none."""


class Dataset:
    """A LeRobot v3 dataset, written by rlvla or by others, with its images decoded. Open one with `Dataset.open`."""

    def __init__(self, metadata: Metadata, images: npt.NDArray[np.uint8], columns: dict[str, npt.NDArray[Any]]) -> None:
        """For `Dataset.open`, which checks and decodes. images: uint8 [N, H, W, 3]; columns: [N, ...] by name."""
        self._metadata = metadata
        self._columns = columns
        self.images = torch.from_numpy(images)
        """All images, uint8 [N, H, W, 3], RGB (memory-mapped if large)."""
        self.actions = torch.from_numpy(columns[layout.ACTION])
        """All actions, float32 [N, 7], in the units of `FrameBatch.actions`."""
        self.state = (
            torch.from_numpy(columns[layout.STATE]).reshape(len(images), -1) if layout.STATE in columns else None
        )
        """Privileged simulator state, float32 [N, S]; None where the dataset has none."""
        self.task_index = torch.from_numpy(columns["task_index"])
        """For each frame the index of its instruction in `tasks`, int64 [N]."""
        self.episode_index = torch.from_numpy(columns["episode_index"])
        """For each frame the number of its episode, int64 [N]."""

    @classmethod
    def open(
        cls,
        directory: Path | str,
        *,
        camera: str | None = None,
        memory_limit: int = MEMORY_LIMIT,
        cache: Path | None = None,
    ) -> "Dataset":
        """Check the dataset in `directory` and decode its images.

        camera: which camera's images, where there are several (its name with or without `observation.images.`).
        memory_limit: images of more bytes than this are decoded into a memory-mapped file.
        cache: folder of that file; default `$XDG_CACHE_HOME/rlvla/images`.

        Raises RlvlaError, naming the file, for anything missing, damaged, of another version or of another action size.
        """
        metadata = Metadata.read(Path(directory))
        key = metadata.camera(camera)
        names = [layout.ACTION, "task_index", "episode_index"]
        names += [name for name in (layout.STATE, layout.REWARD) if name in metadata.features]
        columns = {name: _column(metadata, name) for name in names}
        _check_columns(metadata, columns)
        images = load_images(metadata, key, memory_limit=memory_limit, cache=cache)
        return cls(metadata, images, columns)

    @property
    def directory(self) -> Path:
        """The dataset's directory."""
        return self._metadata.root

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        return self._metadata.num_frames

    @property
    def num_episodes(self) -> int:
        """Number of episodes, E."""
        return len(self._metadata.starts) - 1

    @property
    def fps(self) -> float:
        """Frames, and so actions, per second [Hz]."""
        return self._metadata.fps

    @property
    def robot(self) -> str:
        """The robot's name; empty where the dataset names none."""
        return self._metadata.robot

    @property
    def tasks(self) -> list[str]:
        """All instructions, ordered by task_index."""
        return self._metadata.tasks

    @property
    def env_spec(self) -> EnvSpec | None:
        """The environment that the dataset was collected in; None where that is not recorded."""
        return self._metadata.env_spec

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the data came from, as JSON that its writer chose."""
        return self._metadata.provenance

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the images in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def frames(self, indices: torch.Tensor | npt.NDArray[np.int64] | list[int]) -> FrameBatch:
        """The frames with the given indices (B integers), in that order. Raises RlvlaError outside of 0 .. N - 1."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        if len(index) and not (int(index.min()) >= 0 and int(index.max()) < self.num_frames):
            raise RlvlaError(
                f"frame indices must be 0 .. {self.num_frames - 1}, got {int(index.min())} .. {int(index.max())}"
            )
        tasks = self.tasks
        return FrameBatch(
            images=self.images[index],
            actions=self.actions[index],
            instructions=[tasks[task] for task in self.task_index[index].tolist()],
            state=None if self.state is None else self.state[index],
        )

    def episode(self, number: int) -> Episode:
        """Episode `number`, as it was written. Raises RlvlaError outside of 0 .. num_episodes - 1.

        In a dataset by others, which records neither, `episode_id` is the episode's number and `success` is True.
        """
        if not 0 <= number < self.num_episodes:
            raise RlvlaError(f"{self.directory} has episodes 0 .. {self.num_episodes - 1}, not {number}")
        first, last = (int(bound) for bound in self._metadata.starts[number : number + 2])
        rows = self._metadata.episodes
        rewards = self._columns.get(layout.REWARD)
        return Episode(
            images=self.images[first:last].numpy(),
            actions=self.actions[first:last].numpy(),
            instruction=self.tasks[int(self.task_index[first])],
            episode_id=rows[layout.EPISODE_ID][number] if layout.EPISODE_ID in rows else number,
            success=rows[layout.SUCCESS][number] if layout.SUCCESS in rows else True,
            state=None if self.state is None else self.state[first:last].numpy(),
            rewards=None if rewards is None else rewards[first:last],
        )

    def norm_stats(self) -> dict[str, Any]:
        """The one entry of meta/norm_stats.json: {"action": {q01, q99, mask, ...}, "num_transitions", ...}.

        Raises RlvlaError if the file is missing, damaged or holds another number of entries.
        """
        path = self.directory / layout.NORM_STATS
        entries = read_json(path, "make it with `rlvla_core.data.statistics.action_statistics`")
        if len(entries) != 1:
            raise RlvlaError(f"{path} must hold the statistics of one dataset: collect the dataset again")
        return next(iter(entries.values()))


def _column(metadata: Metadata, name: str) -> npt.NDArray[Any]:
    dtype = np.dtype(metadata.features.get(name, {}).get("dtype", layout.INDEX_COLUMNS.get(name, "float32")))
    parts = []
    for file in metadata.data_files:
        try:
            parts.append(column_array(read_table(file, [name])))
        except ValueError as error:
            raise damaged(file, error) from error
    wide = np.float32 if dtype.kind == "f" else np.int64
    return np.ascontiguousarray(np.concatenate(parts).astype(wide))


def _check_columns(metadata: Metadata, columns: dict[str, npt.NDArray[Any]]) -> None:
    for name, values in columns.items():
        if len(values) != metadata.num_frames:
            raise RlvlaError(
                f"{metadata.root}/data has {len(values)} rows of {name}, meta/ promises {metadata.num_frames}: "
                "fetch or collect the dataset again"
            )
    actions = columns[layout.ACTION]
    bad = np.flatnonzero(~np.isfinite(actions).all(axis=1))
    if len(bad):
        raise RlvlaError(f"{metadata.root} has an action that is not finite in frame {bad[0]}: leave its episode out")
    numbers = np.repeat(np.arange(len(metadata.starts) - 1), np.diff(metadata.starts))
    if not np.array_equal(columns["episode_index"], numbers):
        raise RlvlaError(f"{metadata.root}/data has its episodes in another order than meta/episodes: fetch it again")
    if columns["task_index"].min() < 0 or columns["task_index"].max() >= len(metadata.tasks):
        raise RlvlaError(f"{metadata.root}/data has a task_index that {layout.TASKS} does not name: fetch it again")
