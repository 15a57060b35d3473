"""A USB or built-in camera: Video4Linux through OpenCV. Unplugged, it is looked for every second."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_nodes.camera.source import CameraImage

RETRY_S = 1.0
"""How often a lost device is looked for, seconds."""
READ_TIMEOUT_S = 1
"""After this many seconds without an image the device counts as lost; OpenCV itself would wait 10 s."""
MAX_AGE_S = 1.0
"""A buffer's stamp that is older than this, in seconds, is of another clock; the moment of reading replaces it."""
RATE_TOLERANCE = 0.05
"""Fraction by which a device's rate may differ from the wanted one: 29.97 counts as 30."""


class AbsentError(RlvlaError):
    """The device is not there now; it may come back."""


class V4l2Source:
    """Images of one Video4Linux device, at the wanted size and rate or not at all."""

    ended = False

    def __init__(
        self,
        device: Path,
        size: tuple[int, int],
        rate_hz: float,
        open_capture: Callable[[Path], Any] | None = None,
    ) -> None:
        """`size`: width and height in pixels. `open_capture` gives an opened cv2.VideoCapture or raises AbsentError.

        Raises RlvlaError for a device that is absent or has another size or rate.
        """
        self._device, self.size, self._rate_hz = device, size, rate_hz
        self._open_capture = open_capture or _open_capture
        self.lost = ""
        self.reopenings = 0
        self._capture: Any = self._open()

    def read(self, stop: Event) -> CameraImage | None:
        """Wait for the newest image; the device itself sets the pace."""
        if self._capture is None:
            if stop.wait(RETRY_S):
                return None
            try:
                self._capture = self._open()
            except AbsentError as error:
                self.lost = str(error)
                return None
            self.lost = ""
            self.reopenings += 1
        there, pixels = self._capture.read()
        if not there:
            self.close()
            self.lost = f"{self._device} gives no images any more: look at its cable; it is tried again every second"
            return None
        return CameraImage(pixels=pixels[..., ::-1], captured_s=self._captured_s())

    def close(self) -> None:
        """Give the device back; it may be opened again by `read`."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _captured_s(self) -> float:
        """The kernel's stamp of the buffer, which OpenCV calls a position; the present time if a driver gives none."""
        import cv2

        now = time.monotonic()
        stamped = 1e-3 * float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return stamped if 0.0 <= now - stamped <= MAX_AGE_S else now

    def _open(self) -> Any:
        import cv2

        capture = self._open_capture(self._device)
        width, height = self.size
        wanted = {
            cv2.CAP_PROP_FRAME_WIDTH: float(width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(height),
            cv2.CAP_PROP_FPS: self._rate_hz,
            # An older image than the newest is of no use to anybody.
            cv2.CAP_PROP_BUFFERSIZE: 1.0,
        }
        for name, value in wanted.items():
            capture.set(name, value)
        given = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        problem = ""
        if given != self.size:
            problem = f"{given[0]}x{given[1]} pixels where the camera_info file says {width}x{height}: calibrate at"
            problem += " a size that it has"
        # Some drivers say 0; what they do is then seen in the diagnostics.
        elif rate_hz > 0 and abs(rate_hz - self._rate_hz) > RATE_TOLERANCE * self._rate_hz:
            problem = f"{rate_hz:g} images a second where rate_hz is {self._rate_hz:g}: choose a rate that it has"
        if problem:
            capture.release()
            raise RlvlaError(f"{self._device} gives {problem} (`v4l2-ctl -d {self._device} --list-formats-ext`)")
        return capture


def _open_capture(device: Path) -> Any:
    # OpenCV reads this once, when it is loaded.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(READ_TIMEOUT_S))
    try:
        import cv2
    except ImportError as error:
        raise RlvlaError(f"source `v4l2` needs OpenCV ({error}): `pip install opencv-python-headless`") from error

    # A device that is away is our own line once, not OpenCV's every second.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if not device.exists():
        raise AbsentError(f"{device} does not exist: plug the camera in, or see `ls /dev/video*` for its name")
    capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        raise AbsentError(f"{device} cannot be opened: another program may hold it, or this user may not (group video)")
    return capture
