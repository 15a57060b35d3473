"""Videos are read back with the same library that other players use: sizes, colours, lengths."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.evaluate import Recording
from rlvla_core.evaluation.video import contact_sheet, enlarge, episode_video, paired_video, write_video


def read(path: Path) -> tuple[np.ndarray, str, float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate is not None
        return np.stack(frames), stream.codec_context.pix_fmt or "", float(stream.average_rate)


def clip(
    length: int, success_from: int, colour: tuple[int, int, int] = (200, 40, 40), task: str = "put it"
) -> Recording:
    frames = np.full((length, 48, 64, 3), colour, dtype=np.uint8)
    frames[0] = 90
    return Recording(instruction=task, frames=frames, success=np.arange(length) >= success_from)


def test_a_video_keeps_length_rate_and_colours(tmp_path: Path) -> None:
    frames = np.zeros((10, 49, 65, 3), dtype=np.uint8)
    frames[5:] = (200, 40, 40)
    movie, pixel_format, rate = read(write_video(tmp_path / "new" / "a.mp4", frames, fps=5))
    assert len(movie) == 10 and rate == 5.0 and pixel_format == "yuv420p"
    assert movie.shape[1:] == (49 * 6, 65 * 6, 3)
    assert np.abs(movie[7, 100:-100, 100:-100].mean((0, 1)) - (200, 40, 40)).max() < 12
    assert movie[2].mean() < 5
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_odd_large_images_become_even_and_nothing_is_lost(tmp_path: Path) -> None:
    movie, _, _ = read(write_video(tmp_path / "a.mp4", np.full((2, 301, 257, 3), 255, dtype=np.uint8)))
    assert movie.shape[1:] == (302, 258, 3)
    assert movie[0, :300, :256].mean() > 245


def test_enlarging_keeps_the_image() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    large = enlarge(frame)
    assert large.shape == (256, 256, 3)
    small = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - frame).mean() < 20
    assert enlarge(large).shape == (256, 256, 3)


def test_a_pair_plays_side_by_side_holds_the_last_image_and_shows_success(tmp_path: Path) -> None:
    left, right = clip(8, success_from=99), clip(5, success_from=3, colour=(40, 40, 200))
    movie, _, _ = read(paired_video(tmp_path / "pair.mp4", [(left, right)], fps=5))
    assert len(movie) == 8 + 6  # the longer one, and 1.2 s at 5 Hz
    height, width = movie.shape[1:3]
    middle = height // 2
    last = movie[-1].astype(int)
    assert np.abs(last[middle, width // 4] - (200, 40, 40)).max() < 15
    assert np.abs(last[middle, 3 * width // 4] - (40, 40, 200)).max() < 15  # held since its end
    right_border, left_border = last[middle, width - 3], last[middle, 1]
    assert right_border[1] > 120 > left_border.max()
    assert movie[0][middle, width - 3].max() < 80  # no success yet in the first image
    assert movie[0][:28].max() > 180  # the instruction is written above


def test_several_episodes_play_one_after_another(tmp_path: Path) -> None:
    movie, _, _ = read(episode_video(tmp_path / "all.mp4", [clip(4, 9), clip(3, 9)], fps=5))
    assert len(movie) == 4 + 6 + 3 + 6


def test_the_contact_sheet_has_two_rows_a_pair(tmp_path: Path) -> None:
    path = contact_sheet(tmp_path / "sheet.png", [(clip(8, 9), clip(8, 4))] * 2, moments=4)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    assert pixels.shape[0] == 2 * (30 + 2 * (48 * 3 + 8))
    reds = (np.abs(pixels.astype(int) - (200, 40, 40)).max(-1) < 5).sum()
    assert reds == 2 * 2 * 3 * (48 * 3) * (64 * 3)  # three of four moments are red, in every row


def test_what_is_no_pair_or_no_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match="same episode"):
        paired_video(tmp_path / "x.mp4", [(clip(4, 9), clip(4, 9, task="other"))])
    other_start = Recording(
        instruction="put it", frames=np.full((4, 48, 64, 3), 200, dtype=np.uint8), success=np.zeros(4, dtype=bool)
    )
    with pytest.raises(RlvlaError, match="different starts"):
        contact_sheet(tmp_path / "x.png", [(clip(4, 9), other_start)])
    with pytest.raises(RlvlaError, match="no frames"):
        write_video(tmp_path / "x.mp4", [])
    with pytest.raises(RlvlaError, match=r"float32 \[8, 8, 3\]"):
        write_video(tmp_path / "x.mp4", np.zeros((2, 8, 8, 3), dtype=np.float32))
    with pytest.raises(RlvlaError, match="differ in size"):
        write_video(tmp_path / "x.mp4", [np.zeros((300, 300, 3), np.uint8), np.zeros((300, 302, 3), np.uint8)])
    assert list(tmp_path.iterdir()) == []
