"""Sources and lens description of camera_node, without ROS's graph."""

import time
from pathlib import Path
from threading import Event

import av
import cv2
import numpy as np
import pytest
from camera_files import save_images, save_lens
from PIL import Image

from rlvla_core.errors import RlvlaError
from rlvla_nodes.camera.files import FileSource
from rlvla_nodes.camera.intrinsics import load_camera_info
from rlvla_nodes.camera.source import FramePacer
from rlvla_nodes.camera.v4l2 import AbsentError, V4l2Source

CALIBRATION = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "bench",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [600, 0, 320.5, 0, 601.0, 240.5, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0.001, 0.002, 0.0]},
    "rectification_matrix": {"rows": 3, "cols": 3, "data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
    "projection_matrix": {"rows": 3, "cols": 4, "data": [598.0, 0, 321, 0, 0, 599, 241, 0, 0, 0, 1, 0]},
}
"""As camera_calibration's `cameracalibrator` saves it."""
GO = Event()


def saved(folder: Path, **changes: object) -> Path:
    return save_lens(folder, **{**CALIBRATION, **changes})


def test_the_lens_file_arrives_as_it_is(tmp_path: Path) -> None:
    info = load_camera_info(saved(tmp_path))
    assert (info.width, info.height, info.distortion_model) == (640, 480, "plumb_bob")
    for field, key in (("k", "camera_matrix"), ("r", "rectification_matrix"), ("p", "projection_matrix")):
        assert list(getattr(info, field)) == CALIBRATION[key]["data"]  # type: ignore[index]
    assert list(info.d) == [0.1, -0.2, 0.001, 0.002, 0.0]


def test_a_lens_file_of_a_single_camera_needs_no_projection(tmp_path: Path) -> None:
    info = load_camera_info(saved(tmp_path, rectification_matrix=None, projection_matrix=None))
    k, p = np.reshape(info.k, (3, 3)), np.reshape(info.p, (3, 4))
    assert np.array_equal(p[:, :3], k) and not p[:, 3].any()
    assert np.array_equal(np.reshape(info.r, (3, 3)), np.eye(3))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"image_width": None}, "`image_width` is missing"),
        ({"image_height": "480"}, "`image_height` is '480'"),
        ({"camera_matrix": {"data": [1.0] * 8}}, "list of 9 numbers"),
        ({"camera_matrix": {"data": [0.0, 0, 1, 0, 600, 1, 0, 0, 1]}}, "positive fx"),
        ({"distortion_coefficients": {"data": [0.0, 0, 0, 0, float("nan")]}}, "finite"),
        ({"distortion_coefficients": {"data": [0.0] * 4}}, "list of 5 numbers"),
        ({"distortion_model": "fisheye"}, "plumb_bob"),
    ],
)
def test_a_wrong_lens_file_names_the_key(tmp_path: Path, changes: dict[str, object], word: str) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(RlvlaError, match=word) as raised:
        load_camera_info(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "a: [", "- 1"])
def test_a_file_that_is_no_lens_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lens.yaml"
    path.write_text(text)
    with pytest.raises(RlvlaError, match=r"lens\.yaml"):
        load_camera_info(path)
    with pytest.raises(RlvlaError, match=r"nothing\.yaml does not exist"):
        load_camera_info(tmp_path / "nothing.yaml")


def test_the_pace_does_not_drift_and_a_late_image_starts_no_burst() -> None:
    pacer = FramePacer(10.0, 100.0)
    moments = [pacer.next(100.0 + 0.1 * n + 0.03) for n in range(1000)]
    assert moments == pytest.approx([100.0 + 0.1 * n for n in range(1000)], abs=1e-9)
    assert pacer.next(200.45) == pytest.approx(200.4), "four are left out"
    assert pacer.next(200.46) == pytest.approx(200.5)


def test_a_folder_is_played_in_the_order_of_its_names_and_ends(tmp_path: Path) -> None:
    made = save_images(tmp_path)
    (tmp_path / "notes.txt").write_text("not an image")
    source = FileSource(tmp_path, 100.0, loop=False)
    assert source.size == (64, 48)
    played = [source.read(GO) for _ in range(3)]
    assert all(np.array_equal(p.pixels, m) for p, m in zip(played, made, strict=True) if p is not None)
    assert source.read(GO) is None and source.ended


def test_a_loop_goes_on_and_a_stop_ends_the_wait(tmp_path: Path) -> None:
    made = save_images(tmp_path, 2)
    source = FileSource(tmp_path, 100.0, loop=True)
    played = [source.read(GO) for _ in range(5)]
    assert all(p is not None and np.array_equal(p.pixels, made[n % 2]) for n, p in enumerate(played))
    slow = FileSource(tmp_path, 0.1, loop=True)
    slow.read(GO)
    stop = Event()
    stop.set()
    began = time.monotonic()
    assert slow.read(stop) is None
    assert time.monotonic() - began < 1.0


def test_a_video_is_played_image_by_image(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    made = [np.full((48, 64, 3), 20 * n, np.uint8) for n in range(6)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for pixels in made:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    source = FileSource(path, 200.0, loop=False)
    played = [source.read(GO) for _ in range(6)]
    assert all(p is not None and np.array_equal(p.pixels, made[n]) for n, p in enumerate(played))
    assert source.read(GO) is None and source.ended


def test_what_cannot_be_played_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match="does not exist"):
        FileSource(tmp_path / "nothing.mp4", 10.0, True)
    with pytest.raises(RlvlaError, match="holds no images"):
        FileSource(tmp_path, 10.0, True)
    (tmp_path / "clip.mp4").write_bytes(b"not a video at all")
    with pytest.raises(RlvlaError, match=r"clip\.mp4 cannot be read as a video"):
        FileSource(tmp_path / "clip.mp4", 10.0, True)
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(RlvlaError, match=r"a\.png cannot be read as an image"):
        FileSource(tmp_path, 10.0, True)
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(RlvlaError, match=r"a\.png has the pixels I;16"):
        FileSource(tmp_path, 10.0, True)


class Capture:
    """The part of cv2.VideoCapture that is used: a device with one format, unplugged after some images."""

    def __init__(self, images: int = 1000, size: tuple[int, int] = (64, 48), fps: float = 30.0) -> None:
        self.left, self.size, self.fps, self.asked = images, size, fps, dict[int, float]()
        self.released = False

    def set(self, name: int, value: float) -> None:
        self.asked[name] = value

    def get(self, name: int) -> float:
        position = 1e3 * (time.monotonic() - 0.02)
        known = {cv2.CAP_PROP_FRAME_WIDTH: self.size[0], cv2.CAP_PROP_FRAME_HEIGHT: self.size[1]}
        return float({**known, cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_POS_MSEC: position}[name])

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (False, None) if self.left < 0 else (True, np.full((48, 64, 3), (1, 2, 3), np.uint8))

    def release(self) -> None:
        self.released = True


def v4l2(*captures: Capture | AbsentError, rate_hz: float = 30.0) -> V4l2Source:
    waiting = list(captures)

    def open_capture(_: Path) -> Capture:
        capture = waiting.pop(0)
        if isinstance(capture, AbsentError):
            raise capture
        return capture

    return V4l2Source(Path("/dev/video0"), (64, 48), rate_hz, open_capture)


def test_a_device_is_asked_for_what_the_lens_file_says() -> None:
    capture = Capture()
    image = v4l2(capture).read(GO)
    assert image is not None
    assert image.pixels[0, 0].tolist() == [3, 2, 1], "OpenCV gives blue first"
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 64 and capture.asked[cv2.CAP_PROP_FPS] == 30
    assert 0.02 <= time.monotonic() - image.captured_s < 0.1, "the kernel's stamp of the buffer"


@pytest.mark.parametrize(
    ("capture", "word"),
    [(Capture(size=(32, 24)), "32x24 pixels where .* 64x48"), (Capture(fps=15.0), "15 images a second")],
)
def test_a_device_that_gives_something_else_is_refused(capture: Capture, word: str) -> None:
    with pytest.raises(RlvlaError, match=word):
        v4l2(capture)
    assert capture.released
    assert v4l2(Capture(fps=29.97)).read(GO) and v4l2(Capture(fps=0.0)).read(GO)


def test_an_unplugged_device_is_looked_for_every_second_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvla_nodes.camera.v4l2.RETRY_S", 0.05)
    first = Capture(images=2)
    source = v4l2(first, AbsentError("/dev/video0 does not exist"), Capture())
    assert source.read(GO) and source.read(GO) and not source.lost
    assert source.read(GO) is None
    assert first.released and "look at its cable" in source.lost
    assert source.read(GO) is None and "does not exist" in source.lost
    assert source.read(GO) is not None
    assert source.reopenings == 1 and not source.lost
    source.close()


def test_a_device_that_comes_back_as_another_camera_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvla_nodes.camera.v4l2.RETRY_S", 0.0)
    source = v4l2(Capture(images=0), Capture(size=(32, 24)))
    assert source.read(GO) is None
    with pytest.raises(RlvlaError, match="32x24"):
        source.read(GO)


def test_a_missing_device_is_one_clear_line() -> None:
    with pytest.raises(RlvlaError, match="/dev/video99 does not exist: plug the camera in"):
        V4l2Source(Path("/dev/video99"), (64, 48), 30.0)
