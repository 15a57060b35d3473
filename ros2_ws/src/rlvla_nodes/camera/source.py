"""What camera_node needs of a source of images, and the pace at which recorded images are played."""

import math
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class CameraImage:
    """One image and the moment at which it was taken."""

    pixels: np.ndarray
    """The image, uint8 [H, W, 3] RGB."""
    captured_s: float
    """When the image was taken, seconds of time.monotonic()."""


class CameraSource(Protocol):
    """Gives images one by one, to one thread."""

    size: tuple[int, int]
    """Width and height of the images, pixels."""
    ended: bool
    """Whether there will be no more images."""
    lost: str
    """Why there are no images now; empty while there are."""
    reopenings: int
    """How often the source was lost and found again."""

    def read(self, stop: Event) -> CameraImage | None:
        """Wait for the next image; None if there is none now or `stop` was set meanwhile.

        Raises RlvlaError if there will never be one again.
        """
        ...

    def close(self) -> None:
        """Give files and devices back; may be called twice."""
        ...


class FramePacer:
    """Gives the moments at which images are due: exact multiples of a period after the first, without drift."""

    def __init__(self, rate_hz: float, start_s: float) -> None:
        self._rate_hz, self._start_s = rate_hz, start_s
        self._number = -1

    def next(self, now_s: float) -> float:
        """The moment at which the next image is due, seconds. Moments that are more than a period past are left out, so
        that a late image starts no burst."""
        behind = math.floor((now_s - self._start_s) * self._rate_hz)
        self._number = max(self._number + 1, behind)
        return self._start_s + self._number / self._rate_hz
