"""Reads the images of others' datasets that are stored as video files.

rlvla writes no video datasets, since video is lossy (see docs/reference/data_format.md).
"""

from collections import defaultdict
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from rlvla_core.data import layout
from rlvla_core.data.metadata import Metadata, damaged, member
from rlvla_core.errors import RlvlaError


def decode_videos(images: npt.NDArray[np.uint8], metadata: Metadata, key: str) -> None:
    """Fill `images` (uint8 [N, H, W, 3], RGB) from the video files of the camera feature `key`.

    Many episodes share a file: frame k of an episode is the image shown at `from_timestamp + k / fps` seconds of it.
    Each file is decoded once, from its start. Raises RlvlaError for files that are missing, damaged or too short.
    """
    if metadata.video_path is None:
        raise RlvlaError(f"{metadata.root}/meta/info.json has no video_path, but {key} is a video: fetch it again")
    wanted: dict[Path, list[tuple[float, int]]] = defaultdict(list)
    try:
        columns = [
            metadata.episodes[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index", "from_timestamp")
        ]
    except KeyError as error:
        raise RlvlaError(f"{metadata.root}/meta/episodes has no column {error}: fetch the dataset again") from None
    for episode, (chunk, file, begin) in enumerate(zip(*columns, strict=True)):
        relative = layout.fill(metadata.video_path, video_key=key, chunk_index=chunk, file_index=file)
        first, last = metadata.starts[episode], metadata.starts[episode + 1]
        slots = [(begin + (slot - first) / metadata.fps, int(slot)) for slot in range(first, last)]
        wanted[member(metadata.root, relative)].extend(slots)
    for path, slots in wanted.items():
        _decode_file(images, path, sorted(slots), tolerance=0.5 / metadata.fps)


def _decode_file(images: npt.NDArray[np.uint8], path: Path, slots: list[tuple[float, int]], tolerance: float) -> None:
    """Fill images[slot], for each (time [s], slot), with the first frame shown after that time less `tolerance` [s]."""
    done = 0
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                seconds = frame.time if frame.time is not None else 0.0
                while done < len(slots) and slots[done][0] <= seconds + tolerance:
                    images[slots[done][1]] = frame.to_ndarray(format="rgb24")
                    done += 1
                if done == len(slots):
                    return
    except (OSError, ValueError, IndexError) as error:
        raise damaged(path, error) from error
    raise RlvlaError(f"{path} ends before second {slots[done][0]:.2f}: fetch the dataset again")
