"""Deterministic numpy painting: colours, noise, stripes and marks, as small images for textures.

Images here are float32 [h, w, 3] in 0..1 until `to_bytes`; masks are float32 [h, w] in 0..1.
"""

import zlib

import numpy as np
from PIL import Image

Colour = tuple[float, float, float]
"""Red, green, blue in 0..1 (sRGB)."""


def seed_of(name: str) -> int:
    """A seed that depends on the name only (Python's own `hash` differs between processes)."""
    return zlib.crc32(name.encode())


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Texel centres (u along columns, v along rows), each float32 [height, width] in 0..1."""
    v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    return u.astype(np.float32), v.astype(np.float32)


def noise(height: int, width: int, *, cells: tuple[int, int], seed: int, octaves: int = 3) -> np.ndarray:
    """Value noise [height, width] in 0..1 with `cells` (rows, columns) at the coarsest octave; tiles along columns."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    weight = 0.0
    for octave in range(octaves):
        rows, columns = (min(c << octave, n) for c, n in zip(cells, (height, width), strict=True))
        lattice = rng.random((rows, columns), np.float32)
        # Three copies side by side: the middle one continues into itself across the seam.
        tiled = Image.fromarray(np.tile(lattice, (1, 3)))
        middle = (columns, 0, 2 * columns, rows)
        total += np.asarray(tiled.resize((width, height), Image.Resampling.BICUBIC, box=middle)) * 0.5**octave
        weight += 0.5**octave
    total /= weight
    low, high = total.min(), total.max()
    return ((total - low) / max(high - low, 1e-6)).astype(np.float32)


def scaled(colour: Colour, factor: float) -> Colour:
    """A darker or lighter colour, at most white."""
    red, green, blue = (min(1.0, factor * c) for c in colour)
    return red, green, blue


def plain(colour: Colour, height: int = 8, width: int = 8) -> np.ndarray:
    """An image of one colour, float32 [height, width, 3]."""
    return np.broadcast_to(np.asarray(colour, np.float32), (height, width, 3)).copy()


def mix(below: np.ndarray | Colour, above: np.ndarray | Colour, mask: np.ndarray) -> np.ndarray:
    """The image `above` over `below` where `mask` [h, w] is 1, blended where it is between 0 and 1."""
    m = np.asarray(mask, np.float32)[..., None]
    return (np.asarray(below, np.float32) * (1 - m) + np.asarray(above, np.float32) * m).astype(np.float32)


def step(edge: float | np.ndarray, field: np.ndarray, softness: float = 0.02) -> np.ndarray:
    """A smooth 0-to-1 ramp of `field` around `edge`."""
    t = np.clip((field - edge) / softness * 0.5 + 0.5, 0.0, 1.0)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def stripes(coordinate: np.ndarray, count: float, duty: float = 0.5, softness: float = 0.1) -> np.ndarray:
    """A mask of `count` stripes per unit of the coordinate, each covering `duty` of its period."""
    phase = np.abs((coordinate * count) % 1.0 - 0.5) * 2
    return 1 - step(duty, phase, softness)


def speckled(colour: Colour, *, seed: int, height: int = 48, width: int = 48, amount: float = 0.12) -> np.ndarray:
    """A colour with soft brightness noise, for natural surfaces."""
    n = noise(height, width, cells=(6, 6), seed=seed)
    return np.clip(plain(colour, height, width) * (1 + amount * (2 * n[..., None] - 1)), 0, 1)


def spots(height: int, width: int, *, count: int, radius: float, seed: int) -> np.ndarray:
    """A mask of round spots at random places; `radius` in units of the image's height. Tiles along columns."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.float32)
    for cu, cv, size in rng.random((count, 3)):
        reach = radius * (0.6 + 0.8 * size)
        pixels = int(np.ceil(1.4 * reach * height)) + 1
        rows = np.arange(max(0, int(cv * height) - pixels), min(height, int(cv * height) + pixels + 1))
        columns = np.arange(int(cu * width) - pixels, int(cu * width) + pixels + 1)
        distance = np.hypot((rows[:, None] + 0.5) / height - cv, (columns[None] + 0.5 - cu * width) / height)
        window = np.ix_(rows, columns % width)
        mask[window] = np.maximum(mask[window], 1 - step(reach, distance, 0.4 * reach))
    return mask


def to_bytes(image: np.ndarray) -> np.ndarray:
    """float [h, w, 3] in 0..1 -> uint8 [h, w, 3]."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
