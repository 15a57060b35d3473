"""What the camera node needs of a source, and the beat that a recorded one is played at."""

import math
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class CameraImage:
    """One image and its moment."""

    pixels: np.ndarray
    """uint8 [H, W, 3], RGB."""
    captured_s: float
    """When the light fell in: seconds of time.monotonic()."""


class Source(Protocol):
    """Gives images one by one, to one thread."""

    size: tuple[int, int]
    """Width and height [pixels]."""
    ended: bool
    """There will be no more."""
    lost: str
    """Why there are none now; empty while there are."""
    reopenings: int
    """How often it was lost and found again."""

    def read(self, stop: Event) -> CameraImage | None:
        """The next image, at its time; None where there is none now or `stop` was set meanwhile.

        Raises RlvlaError where it will never go on.
        """
        ...

    def close(self) -> None:
        """Give files and devices back; may be called twice."""
        ...


class Beat:
    """Moments that are exact multiples of a period after the first, however late one of them is used."""

    def __init__(self, rate_hz: float, start_s: float) -> None:
        self._rate_hz, self._start_s = rate_hz, start_s
        self._number = -1

    def next(self, now_s: float) -> float:
        """The next moment. Those that are more than a period over are left out: a late image starts no burst."""
        behind = math.floor((now_s - self._start_s) * self._rate_hz)
        self._number = max(self._number + 1, behind)
        return self._start_s + self._number / self._rate_hz
