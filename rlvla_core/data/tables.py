"""Writing a dataset's parquet files (frames, and one row an episode) as the episodes come, in bounded memory."""

import contextlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rlvla_core.data import layout

_EPISODE_BATCH = 256
"""Episode rows are held until there are this many, then written as one row group."""


class RollingParquet:
    """A series of parquet files, chunk-000/file-000 ...; each is closed when the next table would make it too large."""

    def __init__(self, root: Path, template: str, schema: pa.Schema, limit_bytes: int, dictionary: list[str]) -> None:
        """root, template: where the files lie (see `layout.DATA`). limit_bytes: largest file.

        dictionary: the columns worth dictionary encoding (images are not).
        """
        self._root, self._template, self._schema = root, template, schema
        self._limit, self._dictionary = limit_bytes, dictionary
        self._number = 0
        self._file: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None

    def place(self, num_bytes: int) -> tuple[int, int]:
        """(chunk, file) numbers of the file that takes the next table; call it with the table's size before `append`.

        The current file is closed if it has no room for `num_bytes` more.
        """
        if self._file is not None and self._file.tell() + num_bytes > self._limit:
            self.close()
            self._number += 1
        return divmod(self._number, layout.FILES_PER_CHUNK)

    def append(self, table: pa.Table) -> None:
        """Write `table` as one row group."""
        if self._writer is None:
            chunk, file = divmod(self._number, layout.FILES_PER_CHUNK)
            path = self._root / self._template.format(chunk_index=chunk, file_index=file)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._writer = pq.ParquetWriter(
                self._file, self._schema, compression="snappy", use_dictionary=self._dictionary
            )
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def close(self) -> None:
        """Finish the current file and force it to the disk."""
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        if self._file is not None:
            self._file.close()
        self._writer = self._file = None

    def abandon(self) -> None:
        """Close the current file, whatever state it is in, without an error: its directory is about to be removed."""
        with contextlib.suppress(OSError, pa.ArrowException, ValueError):
            if self._writer is not None:
                self._writer.close()
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = self._writer = None


class EpisodeTables:
    """The folders data/ and meta/episodes/ of one dataset; frames, episodes and tasks are numbered as they come."""

    def __init__(self, root: Path, feature_table: dict[str, dict[str, Any]], fps: float, data_file_mb: int) -> None:
        """feature_table: see `layout.features`. fps: frames per second [Hz]. data_file_mb: largest data file in MiB."""
        self.schema = layout.arrow_schema(feature_table)
        self._root, self._fps, self._limit = root, fps, data_file_mb << 20
        self._frames = RollingParquet(root, layout.DATA, self.schema, self._limit, ["episode_index", "task_index"])
        self._rows: RollingParquet | None = None
        self._pending: list[dict[str, Any]] = []
        self.num_frames = 0
        self.num_episodes = 0
        self.tasks: dict[str, int] = {}

    def append(self, columns: dict[str, pa.Array], instruction: str, facts: dict[str, Any]) -> None:
        """Append one episode of T steps.

        columns: T values for each feature (the five index columns are added here). facts: further entries of its row in
        meta/episodes.
        """
        length = len(columns[layout.ACTION])
        task = self.tasks.setdefault(instruction, len(self.tasks))
        steps = range(length)
        index = {
            "timestamp": pa.array([step / self._fps for step in steps], pa.float32()),
            "frame_index": pa.array(steps, pa.int64()),
            "episode_index": pa.array([self.num_episodes] * length, pa.int64()),
            "index": pa.array(range(self.num_frames, self.num_frames + length), pa.int64()),
            "task_index": pa.array([task] * length, pa.int64()),
        }
        table = pa.table({name: (columns | index)[name] for name in self.schema.names}, schema=self.schema)
        chunk, file = self._frames.place(table.nbytes)
        self._frames.append(table)
        row = {
            "episode_index": self.num_episodes,
            "tasks": [instruction],
            "length": length,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": self.num_frames,
            "dataset_to_index": self.num_frames + length,
        }
        self._pending.append(row | facts)
        self.num_frames += length
        self.num_episodes += 1
        if len(self._pending) >= _EPISODE_BATCH:
            self._flush_rows()

    def _flush_rows(self) -> None:
        if not self._pending:
            return
        table = pa.Table.from_pylist(self._pending)
        place = {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        schema = table.schema
        for name in place:
            schema = schema.append(pa.field(name, pa.int64()))
        if self._rows is None:
            self._rows = RollingParquet(self._root, layout.EPISODES, schema, self._limit, ["tasks"])
        chunk, file = self._rows.place(table.nbytes)
        for name, value in zip(place, (chunk, file), strict=True):
            table = table.append_column(name, pa.array([value] * table.num_rows, pa.int64()))
        self._rows.append(table)
        self._pending.clear()

    def close(self) -> None:
        """Finish all data and episode files, and write meta/tasks.parquet."""
        self._flush_rows()
        self._frames.close()
        if self._rows is not None:
            self._rows.close()
        path = self._root / layout.TASKS
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(layout.tasks_table(list(self.tasks)), path)

    def abandon(self) -> None:
        """Close all files unfinished and without an error: their directory is about to be removed."""
        self._frames.abandon()
        if self._rows is not None:
            self._rows.abandon()


def column_array(table: pa.Table) -> npt.NDArray[Any]:
    """The first column of `table` as [N], or [N, D] for lists. Raises ValueError for lists of unequal length."""
    parts = []
    for chunk in table.column(0).chunks:
        if len(chunk) == 0:
            continue
        if isinstance(chunk, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
            parts.append(chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), -1))
        else:
            parts.append(chunk.to_numpy(zero_copy_only=False))
    return np.concatenate(parts)
