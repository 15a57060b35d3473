"""Videos (H.264 in mp4) and still images of episodes: small images are enlarged, two policies stand side by side."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.evaluate import Recording
from rlvla_core.storage.atomic import staged_file

MIN_SIDE = 256
"""Smallest short side of a video in pixels; smaller images are enlarged by a whole factor to reach it."""
HOLD_SECONDS = 1.2
"""Seconds for which the last image of an episode stays."""
_SUCCESS, _BACKGROUND, _TEXT = (60, 170, 90), (24, 26, 30), (235, 235, 235)
_BORDER, _BAR, _GAP = 4, 30, 8


def write_video(path: Path, frames: np.ndarray | Iterable[np.ndarray], fps: float = 5.0) -> Path:
    """Write uint8 RGB frames [T, H, W, 3] as an mp4 file (yuv420p, which every player can show); returns `path`.

    Frames with a short side below MIN_SIDE are enlarged; an odd side is padded by one black line.
    Raises RlvlaError for no frames and for frames of different or wrong shapes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise RlvlaError(f"no frames for {path}: record at least one episode")
    first = _even(enlarge(first))
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "20", "preset": "veryfast"} if codec == "libx264" else {"qscale": "4"}
    with staged_file(path) as temporary, av.open(str(temporary), mode="w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options=options))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        container.mux(stream.encode(av.VideoFrame.from_ndarray(first, format="rgb24")))
        for frame in iterator:
            large = _even(enlarge(frame))
            if large.shape != first.shape:
                raise RlvlaError(f"frames of {path} differ in size: {first.shape[:2]} and {large.shape[:2]}")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
        container.mux(stream.encode())
    return path


def episode_video(path: Path, clips: Sequence[Recording], fps: float = 5.0) -> Path:
    """Write a video of episodes one after another, with the instruction and a green border during success."""
    return write_video(path, (frame for clip in clips for frame in _tiled([clip], [""], fps)), fps)


def paired_video(
    path: Path,
    pairs: Sequence[tuple[Recording, Recording]],
    titles: tuple[str, str] = ("before", "after"),
    fps: float = 5.0,
) -> Path:
    """Write a video of two policies in the same episodes, side by side, one pair after another.

    The instruction is shown above, the titles below; the border is green while the success test holds. The shorter
    episode shows its last image until the longer one ends. Raises RlvlaError for pairs of different tasks.
    """
    for left, right in pairs:
        _check_pair(left, right)
    return write_video(path, (frame for pair in pairs for frame in _tiled(pair, titles, fps)), fps)


def contact_sheet(
    path: Path,
    pairs: Sequence[tuple[Recording, Recording]],
    titles: tuple[str, str] = ("before", "after"),
    moments: int = 6,
) -> Path:
    """Write a PNG with two rows of `moments` images for every pair, evenly spaced from the first to the last image."""
    if not pairs:
        raise RlvlaError(f"no episodes for {path}: record at least one")
    strips = []
    for left, right in pairs:
        _check_pair(left, right)
        rows = [_strip(clip, moments) for clip in (left, right)]
        label_width = _BAR + max(_text_width(title) for title in titles)
        labelled = [
            np.concatenate([_label(title, label_width, row.shape[0]), row], axis=1)
            for title, row in zip(titles, rows, strict=True)
        ]
        strips += [_caption_bar(left.instruction, labelled[0].shape[1]), *labelled]
    width = max(strip.shape[1] for strip in strips)
    sheet = np.concatenate([_pad_width(strip, width) for strip in strips])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
    return path


def enlarge(frame: np.ndarray, min_side: int = MIN_SIDE) -> np.ndarray:
    """Enlarge an image uint8 [H, W, 3] to [kH, kW, 3], bicubic, with the smallest whole k that makes its short side at
    least `min_side`. Raises RlvlaError for an array that is no such image."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise RlvlaError(f"a frame must be uint8 [H, W, 3], got {frame.dtype} {list(frame.shape)}")
    factor = -(-min_side // min(frame.shape[:2]))
    if factor <= 1:
        return np.ascontiguousarray(frame)
    size = (frame.shape[1] * factor, frame.shape[0] * factor)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def _tiled(clips: Sequence[Recording], titles: Sequence[str], fps: float) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] of one or two episodes that play side by side, with captions."""
    length = max(len(clip.frames) for clip in clips)
    for moment in [*range(length), *[length - 1] * round(HOLD_SECONDS * fps)]:
        tiles = []
        for clip, title in zip(clips, titles, strict=True):
            tile = _bordered(clip, min(moment, len(clip.frames) - 1))
            tiles.append(np.concatenate([tile, _caption_bar(title, tile.shape[1])]) if title else tile)
        gap = np.full((tiles[0].shape[0], _GAP, 3), _BACKGROUND, dtype=np.uint8)
        row = tiles[0] if len(tiles) == 1 else np.concatenate([tiles[0], gap, tiles[1]], axis=1)
        yield np.concatenate([_caption_bar(clips[0].instruction, row.shape[1]), row])


def _strip(clip: Recording, moments: int) -> np.ndarray:
    chosen = np.linspace(0, len(clip.frames) - 1, moments).round().astype(int)
    return np.concatenate([_bordered(clip, int(moment), 128) for moment in chosen], axis=1)


def _bordered(clip: Recording, moment: int, min_side: int = MIN_SIDE) -> np.ndarray:
    large = enlarge(clip.frames[moment], min_side)
    height, width = large.shape[:2]
    colour = _SUCCESS if clip.success[moment] else _BACKGROUND
    framed = np.full((height + 2 * _BORDER, width + 2 * _BORDER, 3), colour, dtype=np.uint8)
    framed[_BORDER:-_BORDER, _BORDER:-_BORDER] = large
    return framed


def _caption_bar(text: str, width: int) -> np.ndarray:
    return _label(text, width, _BAR)


def _label(text: str, width: int, height: int) -> np.ndarray:
    """Image of a text in the middle of a dark field; a text that is too long is cut and ends in an ellipsis."""
    image = Image.new("RGB", (width, height), _BACKGROUND)
    shown = text
    while shown and _text_width(shown if shown == text else f"{shown}…") > width - 8:
        shown = shown[:-1]
    shown = shown if shown == text else f"{shown}…"
    ImageDraw.Draw(image).text((width / 2, height / 2), shown, fill=_TEXT, font=_font(), anchor="mm")
    return np.asarray(image)


def _text_width(text: str) -> int:
    return int(np.ceil(_font().getlength(text)))


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, so that videos look the same on every machine."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 15)


def _pad_width(image: np.ndarray, width: int) -> np.ndarray:
    missing = np.full((image.shape[0], width - image.shape[1], 3), _BACKGROUND, dtype=np.uint8)
    return np.concatenate([image, missing], axis=1)


def _even(frame: np.ndarray) -> np.ndarray:
    """Pad an image to even sides, which yuv420p needs."""
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)))


def _check_pair(left: Recording, right: Recording) -> None:
    first, second = left.frames[0].astype(float), right.frames[0].astype(float)
    # Renderers on a GPU may differ in the last bit, so the first images are compared by their mean.
    if left.instruction != right.instruction or first.shape != second.shape or np.abs(first - second).mean() > 1.0:
        raise RlvlaError(
            f"a pair must be the same episode under two policies, got `{left.instruction}` and `{right.instruction}` "
            "from different starts: record both with the same list"
        )
