"""Decoding all images of a dataset once, into one array that training then reads many times."""

import fcntl
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from rlvla_core.data.metadata import Metadata, damaged
from rlvla_core.data.video import decode_videos
from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import no_room_is_a_user_error, remove_file_leftovers, staged_file

Images = npt.NDArray[np.uint8]


def load_images(metadata: Metadata, key: str, *, memory_limit: int, cache: Path | None) -> Images:
    """All images of the camera feature `key`, uint8 [N, H, W, 3], RGB.

    They are in memory if they take at most `memory_limit` bytes, else in a memory-mapped file below `cache` (default:
    `$XDG_CACHE_HOME/rlvla/images`), which later runs and the other ranks of this one share. Writing to the array
    changes no file. Raises RlvlaError for a damaged file, images of another size than promised, and a full disk.
    """
    height, width = image_size(metadata, key)
    shape = (metadata.num_frames, height, width, 3)
    if int(np.prod(shape)) <= memory_limit:
        images = np.empty(shape, np.uint8)
        _decode_into(images, metadata, key)
        return images
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlvla" / "images"
    return _mapped(folder / f"{_fingerprint(metadata, key)}.npy", shape, lambda out: _decode_into(out, metadata, key))


def image_size(metadata: Metadata, key: str) -> tuple[int, int]:
    """(height, width) in pixels of the camera feature `key`, whichever order of axes the dataset uses.

    Raises RlvlaError if its images do not have three colour channels.
    """
    feature = metadata.features[key]
    shape, names = list(feature.get("shape") or ()), feature.get("names") or ()
    if len(shape) != 3 or 3 not in (shape[0], shape[2]):
        raise RlvlaError(f"{metadata.root} has images of shape {shape} in {key}: only three colours can be used")
    channels_first = str(names[0]).startswith("channel") if names else shape[2] != 3
    return (shape[1], shape[2]) if channels_first else (shape[0], shape[1])


def _decode_into(images: Images, metadata: Metadata, key: str) -> None:
    if metadata.features[key]["dtype"] == "video":
        decode_videos(images, metadata, key)
        return
    done = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for file, encoded in _encoded(metadata, key):
            if done + len(encoded) > len(images):
                break
            slots = range(done, done + len(encoded))
            try:
                list(pool.map(lambda slot, data: _decode(images[slot], data), slots, encoded))
            except (UnidentifiedImageError, OSError, ValueError, TypeError) as error:
                raise damaged(file, error) from error
            done += len(encoded)
    if done != len(images):
        raise RlvlaError(f"{metadata.root} has other than the promised {len(images)} images: fetch it again")


def _encoded(metadata: Metadata, key: str) -> Iterator[tuple[Path, list[Any]]]:
    """(file, encoded images as bytes) of one row group after the other."""
    for path in metadata.data_files:
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    column = file.read_row_group(group, columns=[key]).column(key).combine_chunks()
                    yield path, column.field("bytes").to_pylist()
        except (OSError, pa.ArrowException, KeyError) as error:
            raise damaged(path, error) from error


def _decode(slot: Images, data: bytes | None) -> None:
    if data is None:
        raise ValueError("an image is stored outside of the parquet file")
    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
        decoded = np.asarray(image.convert("RGB"))
    if decoded.shape != slot.shape:
        raise ValueError(f"an image is {list(decoded.shape)}, info.json says {list(slot.shape)}")
    slot[...] = decoded


def _mapped(path: Path, shape: tuple[int, ...], fill: Callable[[Images], None]) -> Images:
    """The memory-mapped array in the file `path`, made by `fill` if missing; ranks that come second wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with no_room_is_a_user_error(path), path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            remove_file_leftovers(path)
            with staged_file(path) as partial:
                with partial.open("wb") as file:  # allocated first: a full disk is an error here, not a SIGBUS later
                    os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)) + 4096)
                out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
                fill(out)
                out.flush()
                del out
    return np.load(path, mmap_mode="c")


def _fingerprint(metadata: Metadata, key: str) -> str:
    """A name for the decoded images that changes with the place, size or date of any data file."""
    files = [*metadata.data_files, *sorted((metadata.root / "videos").rglob("*.mp4"))]
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((key, metadata.num_frames, facts)).encode()).hexdigest()[:32]
