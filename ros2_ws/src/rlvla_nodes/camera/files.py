"""Recorded images as a camera: a video file, or a folder of images in the order of their names."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from rlvla_core.errors import RlvlaError
from rlvla_nodes.camera.source import CameraImage, FramePacer

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm")
"""Endings of the files in a folder that are images."""
MODES = ("RGB", "RGBA", "L", "P")
"""Pillow's names of images with eight bits a channel; Pillow would clip deeper ones without a word."""


class FileSource:
    """Plays a video or a folder of images at `rate_hz`, at whatever rate they were taken."""

    lost = ""
    reopenings = 0

    def __init__(self, path: Path, rate_hz: float, loop: bool) -> None:
        self._path, self._rate_hz, self._loop = path, rate_hz, loop
        if not path.exists():
            raise RlvlaError(f"{path} does not exist: set `path` to a video file or a folder of images")
        self.ended = False
        self._pacer: FramePacer | None = None
        height, width, _ = next(self._once()).shape
        self.size = (width, height)
        self._frames = self._once()

    def read(self, stop: Event) -> CameraImage | None:
        """Wait until the next image is due. It is decoded before the wait, so decoding does not delay it."""
        pixels = next(self._frames, None)
        if pixels is None and self._loop:
            self._frames = self._once()
            pixels = next(self._frames, None)
        if pixels is None:
            self.ended = True
            return None
        now = time.monotonic()
        self._pacer = self._pacer or FramePacer(self._rate_hz, now)
        due = self._pacer.next(now)
        if stop.wait(max(0.0, due - now)):
            return None
        return CameraImage(pixels=pixels, captured_s=due)

    def close(self) -> None:
        """Let go of the file."""
        self._frames = iter(())

    def _once(self) -> Iterator[np.ndarray]:
        return _folder(self._path) if self._path.is_dir() else _video(self._path)


def _folder(folder: Path) -> Iterator[np.ndarray]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise RlvlaError(f"{folder} holds no images: put {', '.join(SUFFIXES)} files there")
    for path in paths:
        try:
            with Image.open(path) as image:
                if image.mode not in MODES:
                    raise RlvlaError(f"{path} has the pixels {image.mode}: save it with eight bits a channel")
                yield np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise RlvlaError(f"{path} cannot be read as an image ({error}): take it out of the folder") from error


def _video(path: Path) -> Iterator[np.ndarray]:
    images = 0
    try:
        with av.open(str(path)) as container:
            if container.streams.video:
                for frame in container.decode(video=0):
                    images += 1
                    yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, OSError) as error:
        raise RlvlaError(f"{path} cannot be read as a video ({error}): try to play it with ffplay") from error
    if not images:
        raise RlvlaError(f"{path} holds no video: set `path` to a video file or a folder of images")
