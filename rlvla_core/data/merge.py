"""Joining datasets, such as the shards that several processes wrote, into one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlvla_core.data import layout
from rlvla_core.data.metadata import Metadata, damaged, read_table
from rlvla_core.data.writer import DatasetWriter
from rlvla_core.errors import RlvlaError


def merge(
    parts: Sequence[Path],
    out: Path,
    *,
    provenance: dict[str, Any] | None = None,
    data_file_mb: int = layout.DATA_FILE_MB,
) -> Path:
    """Write the dataset `out` of all episodes of `parts`, in that order and renumbered. Returns the path of `out`.

    provenance: JSON that says where the data came from; default: that of the first part.
    data_file_mb: largest data file in MiB.

    Images are copied as they are encoded, one episode at a time; statistics are those of the whole. Raises RlvlaError
    for parts that rlvla did not write, and for parts that differ in robot, rate, environment or features.
    """
    if not parts:
        raise RlvlaError(f"nothing to merge into {out}: name at least one dataset")
    metadata = [Metadata.read(Path(part)) for part in parts]
    first = metadata[0]
    for other in metadata[1:]:
        for what in ("robot", "fps", "env_spec", "features"):
            if getattr(other, what) != getattr(first, what):
                raise RlvlaError(f"{other.root} and {first.root} differ in {what}: merge only what belongs together")
    if first.features[first.camera(None)]["dtype"] != "image":
        raise RlvlaError(f"{first.root} holds videos: merge it with LeRobot's own tools")
    camera = first.camera(None).removeprefix(layout.IMAGE_PREFIX)
    with DatasetWriter(
        out,
        fps=first.fps,
        robot=first.robot,
        camera=camera,
        env_spec=first.env_spec,
        provenance=provenance if provenance is not None else first.provenance,
        data_file_mb=data_file_mb,
    ) as writer:
        for part in metadata:
            _append(writer, part)
    return Path(out)


def _append(writer: DatasetWriter, part: Metadata) -> None:
    """Copy all episodes of `part`; each is one row group, because DatasetWriter made it so."""
    rows = [
        row for file in sorted((part.root / "meta/episodes").rglob("*.parquet")) for row in read_table(file).to_pylist()
    ]
    own = [name for name in part.features if name not in layout.INDEX_COLUMNS]
    number = 0
    for path in part.data_files:
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=own)
                    row = rows[number]
                    if table.num_rows != row["length"]:
                        raise RlvlaError(f"{path} has not one row group an episode: merge it with LeRobot's own tools")
                    columns = {name: table.column(name).combine_chunks() for name in own}
                    kept = (layout.EPISODE_ID, layout.SUCCESS)
                    facts = {key: row[key] for key in row if key in kept or key.startswith("stats/")}
                    writer.add_encoded(part.features, columns, row["tasks"][0], facts)
                    number += 1
        except (pa.ArrowException, IndexError) as error:
            raise damaged(path, error) from error
    if number != len(rows):
        raise RlvlaError(f"{part.root}/data has {number} of {len(rows)} episodes: collect this part again")
