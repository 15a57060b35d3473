"""Writing a dataset: episode by episode, in bounded memory, complete or not at all."""

import dataclasses
import io
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from rlvla_core.data import layout, statistics
from rlvla_core.data.episode import Episode
from rlvla_core.data.tables import EpisodeTables, column_array
from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import StagedDirectory, no_room_is_a_user_error
from rlvla_core.storage.json_files import write_json


class DatasetWriter:
    """Writes a new dataset directory. Use it as a context manager: after an exception nothing is left on the disk.

        with DatasetWriter(path, fps=5, robot="widowx250s") as writer:
            writer.add(episode)

    Memory holds one episode, a few hundred episode rows and, while closing, one numeric column.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        fps: float,
        robot: str,
        camera: str = "third_person",
        env_spec: EnvSpec | None = None,
        provenance: dict[str, Any] | None = None,
        data_file_mb: int = layout.DATA_FILE_MB,
    ) -> None:
        """fps: frames, and so actions, per second [Hz].
        env_spec: the environment of the episodes; kept so that a training run can refuse one that does not fit.
        provenance: any JSON that says where the data came from.
        data_file_mb: largest data file in MiB.

        Raises RlvlaError if `directory` exists, or if `env_spec` is of another robot or rate.
        """
        if fps <= 0:
            raise RlvlaError(f"a dataset's rate must be positive, got {fps} Hz")
        if env_spec is not None and (env_spec.robot, env_spec.control_hz) != (robot, fps):
            raise RlvlaError(
                f"the environment has a {env_spec.robot} at {env_spec.control_hz} Hz, the dataset was to have a "
                f"{robot} at {fps} Hz: give the environment's values"
            )
        self._fps, self._robot, self._camera, self._env_spec = fps, robot, camera, env_spec
        self.provenance = dict(provenance or {})
        """Where the data came from, as JSON; may be added to until `close`."""
        self._data_file_mb = data_file_mb
        self._staged = StagedDirectory(Path(directory))
        self._tables: EpisodeTables | None = None
        self._features: dict[str, dict[str, Any]] = {}
        self._image_statistics: dict[str, list[Any]] | None = None

    @property
    def num_episodes(self) -> int:
        """Episodes added so far."""
        return self._tables.num_episodes if self._tables else 0

    def add(self, episode: Episode) -> None:
        """Append one episode. Raises RlvlaError if its image size, state width or set of columns differs from the
        first episode's, or the disk is full."""
        feature_table = layout.features(
            camera=self._camera,
            size=(episode.images.shape[1], episode.images.shape[2]),
            state_names=_state_names(episode, self._env_spec),
            rewards=episode.rewards is not None,
        )
        self._check_features(feature_table, f"episode {episode.episode_id}")
        columns = {layout.IMAGE_PREFIX + self._camera: encode_images(episode.images)}
        columns[layout.ACTION] = _vectors(episode.actions)
        numeric = {layout.ACTION: episode.actions}
        if episode.state is not None:
            columns[layout.STATE] = _vectors(episode.state)
            numeric[layout.STATE] = episode.state
        if episode.rewards is not None:
            columns[layout.REWARD] = pa.array(episode.rewards)
            numeric[layout.REWARD] = episode.rewards
        found = {name: statistics.column_statistics(values) for name, values in numeric.items()}
        found[layout.IMAGE_PREFIX + self._camera] = statistics.image_statistics(episode.images)
        facts: dict[str, Any] = {layout.EPISODE_ID: episode.episode_id, layout.SUCCESS: episode.success}
        for name, values in found.items():
            facts |= {f"stats/{name}/{key}": value for key, value in values.items()}
        self.add_encoded(feature_table, columns, episode.instruction, facts)

    def add_encoded(
        self,
        feature_table: dict[str, dict[str, Any]],
        columns: dict[str, pa.Array],
        instruction: str,
        facts: dict[str, Any],
    ) -> None:
        """Append one episode whose images are encoded already (for `merge`); arguments as `EpisodeTables.append`."""
        self._check_features(feature_table, "the next episode")
        if self._tables is None:
            self._features = feature_table
            self._tables = EpisodeTables(self._staged.path, feature_table, self._fps, self._data_file_mb)
        with no_room_is_a_user_error(self._staged.path):
            self._tables.append(columns, instruction, facts)
        prefix = f"stats/{layout.IMAGE_PREFIX}{self._camera}/"
        image = {key.removeprefix(prefix): value for key, value in facts.items() if key.startswith(prefix)}
        known = self._image_statistics
        self._image_statistics = statistics.combine_image_statistics([known, image]) if known else image

    def _check_features(self, feature_table: dict[str, dict[str, Any]], what: str) -> None:
        for name in (self._features or feature_table).keys() | feature_table.keys():
            have, want = feature_table.get(name), self._features.get(name)
            if self._features and have != want:
                shapes = [feature["shape"] if feature else "nothing" for feature in (have, want)]
                raise RlvlaError(
                    f"{what} has {name} of {shapes[0]}, the dataset has {shapes[1]}: write it to a dataset of its own"
                )

    def close(self) -> Path:
        """Write the statistics and the rest of meta/, and make the directory appear. Returns its path.

        Raises RlvlaError for a dataset of no episodes, a full disk, or a directory that came to exist meanwhile.
        """
        if self._tables is None or self._image_statistics is None:
            self.discard()
            raise RlvlaError(f"no episode was written to {self._staged.target}: nothing to save")
        root, tables = self._staged.path, self._tables
        with no_room_is_a_user_error(root):
            tables.close()
            stats: dict[str, Any] = {layout.IMAGE_PREFIX + self._camera: self._image_statistics}
            for name, feature in self._features.items():
                if feature["dtype"] != "image":
                    files = sorted((root / "data").rglob("*.parquet"))
                    values = np.concatenate([column_array(pq.read_table(file, columns=[name])) for file in files])
                    stats[name] = statistics.column_statistics(values)
                    if name == layout.ACTION:
                        norm = statistics.action_statistics(values, episodes=tables.num_episodes)
                        write_json(root / layout.NORM_STATS, {self._staged.target.name: norm})
            write_json(root / layout.STATS, stats)
            origin = {
                "env_spec": None if self._env_spec is None else dataclasses.asdict(self._env_spec),
                "provenance": self.provenance,
            }
            write_json(root / layout.OURS, origin)
            info = layout.info(
                fps=self._fps,
                robot=self._robot,
                feature_table=self._features,
                episodes=tables.num_episodes,
                frames=tables.num_frames,
                tasks=len(tables.tasks),
                data_file_mb=self._data_file_mb,
            )
            write_json(root / layout.INFO, info)
            self._staged.commit()
        return self._staged.target

    def discard(self) -> None:
        """Remove everything written so far; does nothing after `close`."""
        if self._tables is not None:
            self._tables.abandon()
        self._staged.discard()

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.discard()


def encode_images(images: npt.NDArray[np.uint8]) -> pa.Array:
    """Images (uint8 [T, H, W, 3], RGB) as T PNG structs. Level 1: lossless, and three times as fast as the default."""
    encoded = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    return pa.array(encoded, layout.IMAGE_TYPE)


def _vectors(values: npt.NDArray[np.float32]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _state_names(episode: Episode, spec: EnvSpec | None) -> tuple[str, ...] | None:
    if episode.state is None:
        return None
    names = [f"state_{column}" for column in range(episode.state.shape[1])]
    for point, first in spec.state_points if spec else ():
        names[first : first + 3] = [f"{point}.{axis}" for axis in "xyz"]
    return tuple(names)
