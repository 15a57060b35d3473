"""Table tops that lie in perspective: the third-person camera's view of the table, and what can be drawn on it.

Each pixel of the drawing is traced to the plane of the table with the paper's camera (SIMPLER's Bridge set-up), so
that boards, tiles and checks follow the perspective of the objects that stand on the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from rlvla_core.geometry.camera import rays_in_base
from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import IMAGE_SIZE
from rlvla_sim.assets.paint import Colour
from rlvla_sim.robots.widowx250s import CAMERA

TABLE_NEAR, TABLE_FAR = (0.14, -0.70), (0.50, 0.315)
"""Corners (x, y) of the table top in the robot base frame, metres."""
TABLE_EDGE = 0.03
"""Height of the visible front edge, metres."""


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """The point of the table that each pixel of a 640 x 480 image looks at, and masks; all float32 [480, 640]."""

    x: np.ndarray
    """Forward from the robot base on the table's plane, metres."""
    y: np.ndarray
    """To the robot's left, metres."""
    top: np.ndarray
    """Mask of the table top."""
    edge: np.ndarray
    """Mask of the table's side faces."""
    shade: np.ndarray
    """Soft light over the image, around 1."""


@lru_cache(maxsize=1)
def view() -> View:
    """What the pixels of the paper's camera look at, computed once a process."""
    width, height = IMAGE_SIZE
    columns, rows = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    # The paper's quaternion is rounded (its norm is 1 + 2.5e-8); the table images are drawn with a unit one.
    w, x, y, z = (np.array(CAMERA.quaternion_in_base) / np.linalg.norm(CAMERA.quaternion_in_base)).tolist()
    rays = rays_in_base(np.stack([columns, rows], axis=-1), replace(CAMERA, quaternion_in_base=(w, x, y, z)))
    eye = CAMERA.position_in_base

    def at_height(level: float) -> tuple[np.ndarray, np.ndarray]:
        reach = (level - eye[2]) / np.minimum(rays[..., 2], -1e-3)
        return eye[0] + reach * rays[..., 0], eye[1] + reach * rays[..., 1]

    def inside(px: np.ndarray, py: np.ndarray) -> np.ndarray:
        margin = np.minimum(
            np.minimum(px - TABLE_NEAR[0], TABLE_FAR[0] - px), np.minimum(py - TABLE_NEAR[1], TABLE_FAR[1] - py)
        )
        return paint.step(0.0, margin.astype(np.float32), 0.002)

    px, py = at_height(0.0)
    top = inside(px, py)
    edge = np.clip(np.maximum.reduce([inside(*at_height(-TABLE_EDGE * k / 6)) for k in range(1, 7)]) - top, 0, 1)
    u, v = paint.grid(height, width)
    shade = 1.06 - 0.16 * np.hypot(u - 0.55, v - 0.55)
    return View(px.astype(np.float32), py.astype(np.float32), top, edge, shade.astype(np.float32))


Surface = Callable[[View, int], np.ndarray]
"""Draws a table top: (view, seed) -> float32 [480, 640, 3]."""


def noise(cells: tuple[int, int], seed: int, octaves: int = 2) -> np.ndarray:
    """Noise over the image, float32 [480, 640] in 0..1, with `cells` (rows, columns)."""
    width, height = IMAGE_SIZE
    return paint.noise(height, width, cells=cells, seed=seed, octaves=octaves)


@lru_cache(maxsize=4)
def _sheet(cells: tuple[int, int], seed: int, octaves: int) -> np.ndarray:
    return paint.noise(256, 256, cells=cells, seed=seed, octaves=octaves)


def _on_table(v: View, cells: tuple[int, int], seed: int, octaves: int = 3) -> np.ndarray:
    """Noise that lies in the plane of the table: one period of `cells` (along x, along y) per metre."""
    sheet = _sheet(cells, seed, octaves)
    rows, columns = ((np.clip(a, -3, 3) % 1 * 256).astype(np.int32) % 256 for a in (v.x, v.y))
    return sheet[rows, columns]


def plain(colour: Colour, v: View, seed: int) -> np.ndarray:
    """Lacquer or plastic: one colour with a slow change of tone."""
    return np.asarray(colour, np.float32) * (0.97 + 0.06 * noise((3, 3), seed))[..., None]


def planks(light: Colour, dark: Colour, width: float, v: View, seed: int) -> np.ndarray:
    """Boards along y, each with its own tone and grain, dark joints."""
    board = np.floor(v.x / width)
    tone = np.sin(board * 12.9898 + seed % 97) * 43758.5453 % 1
    grain = _on_table(v, (96, 4), seed)
    joint = 1 - paint.step(0.0012, width / 2 - abs(v.x % width - width / 2), 0.001)
    colour = paint.mix(light, dark, np.clip(0.55 * tone + 0.6 * (grain - 0.3), 0, 1))
    return paint.mix(colour, paint.scaled(dark, 0.45), 0.7 * joint)


def veneer(light: Colour, dark: Colour, v: View, seed: int) -> np.ndarray:
    """Continuous long grain along y."""
    return paint.mix(light, dark, np.clip(1.4 * _on_table(v, (40, 2), seed, 4) - 0.2, 0, 1))


def marble(base: Colour, vein: Colour, v: View, seed: int) -> np.ndarray:
    """Cloudy stone with thin veins."""
    cloud = noise((5, 6), seed, 4)
    line = 1 - paint.step(0.025, abs(noise((4, 5), seed + 1, 4) - 0.5), 0.03)
    return paint.mix(paint.mix(base, vein, 0.25 * cloud), vein, 0.6 * line)


def gingham(base: Colour, other: Colour, size: float, v: View, seed: int) -> np.ndarray:
    """A checked cloth: two crossing sets of bands."""
    check = (paint.stripes(v.x / size, 1, softness=0.06) + paint.stripes(v.y / size, 1, softness=0.06)) / 2
    return paint.mix(base, other, check)


def bands(base: Colour, other: Colour, size: float, v: View, seed: int) -> np.ndarray:
    """A striped cloth."""
    return paint.mix(base, other, paint.stripes(v.y / size, 1, duty=0.4, softness=0.06))


def tiles(base: Colour, joint: Colour, size: float, v: View, seed: int) -> np.ndarray:
    """Glazed square tiles, each a little different, with joints."""
    tone = np.sin(np.floor(v.x / size) * 12.9898 + np.floor(v.y / size) * 78.233 + seed % 89) * 43758.5453 % 1
    gap = np.minimum(size / 2 - abs(v.x % size - size / 2), size / 2 - abs(v.y % size - size / 2))
    return paint.mix(
        np.asarray(base, np.float32) * (0.90 + 0.16 * tone)[..., None], joint, 1 - paint.step(0.002, gap, 0.0015)
    )


def concrete(base: Colour, v: View, seed: int) -> np.ndarray:
    """Grey stains and fine pores."""
    stain = noise((4, 5), seed, 5)
    pores = paint.step(0.86, noise((120, 160), seed + 1, 1), 0.08)
    return np.asarray(base, np.float32) * (0.86 + 0.26 * stain - 0.16 * pores)[..., None]


def grass(base: Colour, v: View, seed: int) -> np.ndarray:
    """Artificial turf: fine blades in several greens."""
    blade = _on_table(v, (128, 128), seed, 2)
    return paint.mix(paint.scaled(base, 0.55), paint.scaled(base, 1.25), blade)


def brushed(base: Colour, v: View, seed: int) -> np.ndarray:
    """Metal brushed along y, with a wide highlight."""
    line = _on_table(v, (200, 3), seed, 1)
    shine = np.exp(-(((v.x + 0.3 * v.y - 0.42) / 0.13) ** 2))
    return np.asarray(base, np.float32) * (0.86 + 0.12 * line + 0.22 * shine)[..., None]


def terrazzo(base: Colour, v: View, seed: int) -> np.ndarray:
    """Coloured chips in a pale ground."""
    image: np.ndarray = np.broadcast_to(np.asarray(base, np.float32), (*v.x.shape, 3))
    for k, colour in enumerate(((0.80, 0.47, 0.36), (0.42, 0.52, 0.50), (0.90, 0.76, 0.48), (0.35, 0.34, 0.36))):
        chips = paint.step(0.80, _on_table(v, (40, 40), seed + k, 1), 0.04)
        image = paint.mix(image, colour, 0.75 * chips)
    return image


def desk_mat(wood: Colour, mat: Colour, v: View, seed: int) -> np.ndarray:
    """A wooden desk with a large stitched mat on it."""
    margin = np.minimum(np.minimum(v.x - 0.17, 0.47 - v.x), np.minimum(v.y + 0.24, 0.25 - v.y))
    image = paint.mix(veneer(wood, paint.scaled(wood, 0.7), v, seed), mat, paint.step(0.0, margin, 0.002))
    seam = (1 - paint.step(0.0015, abs(margin - 0.010), 0.001)) * paint.stripes(v.x + v.y, 60, duty=0.6)
    return paint.mix(image, paint.scaled(mat, 2.2), seam)


def knitted(base: Colour, other: Colour, v: View, seed: int) -> np.ndarray:
    """A coarse knit: rows of V stitches, every fourth row in the other colour."""
    a, b = v.x / 0.016, v.y / 0.014
    chevron = a + 0.5 * abs((b % 1) - 0.5) * 2
    loop = 1 - abs((chevron % 1) - 0.5) * 1.1
    return paint.mix(base, other, (np.floor(chevron) % 4 == 0).astype(np.float32)) * (0.55 + 0.45 * loop)[..., None]


def hexagons(base: Colour, other: Colour, v: View, seed: int) -> np.ndarray:
    """Six-sided stone tiles of two tones."""
    a, b = v.x / 0.05, v.y / 0.05
    s = np.float32(np.sqrt(3.0))
    first = np.stack([a % 1 - 0.5, (b % s) - s / 2])
    second = np.stack([(a - 0.5) % 1 - 0.5, ((b - s / 2) % s) - s / 2])
    nearer = (first**2).sum(0) < (second**2).sum(0)
    p = np.abs(np.where(nearer, first, second))
    gap = 0.5 - np.maximum(p[0], 0.5 * p[0] + s / 2 * p[1])
    return paint.mix(
        paint.mix(base, other, nearer.astype(np.float32) * 0.8), (0.35, 0.33, 0.32), 1 - paint.step(0.025, gap, 0.02)
    )


def parquet(light: Colour, dark: Colour, v: View, seed: int) -> np.ndarray:
    """Blocks of four short staves, turned from block to block."""
    size = 0.08
    turned = (np.floor(v.x / size) + np.floor(v.y / size)) % 2 > 0
    across, along = np.where(turned, v.x, v.y), np.where(turned, v.y, v.x)
    stave = size / 4
    tone = np.sin(np.floor(across / stave) * 12.9898 + np.floor(along / size) * 78.233 + seed % 83) * 43758.5453 % 1
    gap = np.minimum(stave / 2 - abs(across % stave - stave / 2), size / 2 - abs(along % size - size / 2))
    return paint.mix(paint.mix(light, dark, tone), paint.scaled(dark, 0.4), 0.8 * (1 - paint.step(0.001, gap, 0.001)))


def splashes(colours: tuple[Colour, ...], v: View, seed: int) -> np.ndarray:
    """A painter's table: broad fields of several paints with ragged borders."""
    field = np.clip(noise((3, 4), seed, 4) * 1.25 - 0.1, 0, 0.999)
    image: np.ndarray = np.broadcast_to(np.asarray(colours[0], np.float32), (*v.x.shape, 3))
    for k, colour in enumerate(colours[1:], start=1):
        image = paint.mix(image, colour, paint.step(k / len(colours), field, 0.02))
    return image


def slate(base: Colour, v: View, seed: int) -> np.ndarray:
    """Dark layered stone: broken steps of tone."""
    steps = np.floor(noise((6, 4), seed, 4) * 7) / 7
    return np.asarray(base, np.float32) * (0.75 + 0.5 * steps + 0.12 * noise((60, 80), seed + 1, 2))[..., None]
