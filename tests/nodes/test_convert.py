"""Conversion of messages to arrays and back, without a graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from rlvla_core.errors import RlvlaError
from rlvla_nodes.convert import camera_info_message, image_message, image_of, to_seconds, to_stamp
from rlvla_sim.robots import robot

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
ALPHA = np.full((6, 5, 1), 7, np.uint8)
ENCODINGS = {
    "rgb8": IMAGE,
    "bgr8": IMAGE[..., ::-1],
    "rgba8": np.concatenate([IMAGE, ALPHA], axis=2),
    "bgra8": np.concatenate([IMAGE[..., ::-1], ALPHA], axis=2),
}


def message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    height, width, channels = pixels.shape
    rows = np.concatenate([pixels.reshape(height, -1), np.full((height, padding), 99, np.uint8)], axis=1)
    step = width * channels + padding
    return Image(height=height, width=width, encoding=encoding, step=step, data=rows.tobytes())


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))
def test_stamps_survive_seconds_to_a_microsecond(sec, nanosec):
    from builtin_interfaces.msg import Time

    again = to_stamp(to_seconds(Time(sec=sec, nanosec=nanosec)))
    assert abs((again.sec - sec) * 10**9 + again.nanosec - nanosec) < 1000
    assert to_stamp(to_seconds(again)) == again


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_same_image_with_padded_rows_too(encoding, padding):
    assert np.array_equal(image_of(message(ENCODINGS[encoding], encoding, padding)), IMAGE)


def test_a_grey_image_has_three_equal_channels():
    grey = IMAGE[..., :1]
    assert np.array_equal(image_of(message(grey, "mono8")), np.repeat(grey, 3, axis=2))


def test_an_image_comes_back_as_it_was_sent_even_a_mirrored_one():
    for image in (IMAGE, IMAGE[:, ::-1], IMAGE[..., ::-1]):
        sent = image_message(image, Header(frame_id="camera"))
        assert (sent.width, sent.height, sent.step, sent.header.frame_id) == (5, 6, 15, "camera")
        assert np.array_equal(image_of(sent), image)


@pytest.mark.parametrize("encoding", ["", "RGB8", "16UC1", "yuv422_yuy2"])
def test_an_unknown_encoding_is_refused_with_those_that_are_known(encoding):
    with pytest.raises(RlvlaError, match="publish one of rgb8, bgr8"):
        image_of(message(IMAGE, encoding))


@pytest.mark.parametrize(
    "change", [{"height": 7}, {"width": 6}, {"step": 14}, {"step": 16}, {"data": b""}, {"data": bytes(91)}]
)
def test_a_length_that_contradicts_the_size_is_refused(change):
    wrong = message(IMAGE, "rgb8")
    for name, value in change.items():
        setattr(wrong, name, value)
    with pytest.raises(RlvlaError, match="an image of"):
        image_of(wrong)


def test_the_lens_is_told_in_all_three_matrices():
    camera = robot("widowx250s").camera
    info = camera_info_message(camera, Header(frame_id="camera"))
    k, p = np.array(info.k).reshape(3, 3), np.array(info.p).reshape(3, 4)
    assert np.array_equal(k, [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    assert np.array_equal(p, np.column_stack([k, np.zeros(3)]))
    assert np.array_equal(np.array(info.r).reshape(3, 3), np.eye(3))
    assert (info.width, info.height, info.distortion_model, list(info.d)) == (640, 480, "plumb_bob", [0.0] * 5)
