"""Sixteen busy overlay patterns for the shifts "dynamic texture" and "dynamic noise" (paper, section 2)."""

from functools import partial

import numpy as np

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import IMAGE_SIZE, TextureAsset
from rlvla_sim.assets.paint import Colour

# name, two colours, kind, scale
RECIPES: tuple[tuple[str, Colour, Colour, str, float], ...] = (
    ("bark", (0.25, 0.17, 0.11), (0.62, 0.50, 0.38), "fibres", 10),
    ("gravel", (0.28, 0.28, 0.30), (0.80, 0.78, 0.74), "spots", 0.03),
    ("camouflage", (0.24, 0.30, 0.16), (0.66, 0.60, 0.40), "patches", 8),
    ("zebra", (0.05, 0.05, 0.05), (0.95, 0.95, 0.93), "waves", 12),
    ("rust", (0.36, 0.14, 0.07), (0.88, 0.52, 0.24), "cloud", 9),
    ("denim", (0.12, 0.20, 0.42), (0.52, 0.64, 0.82), "weave", 60),
    ("moss", (0.10, 0.22, 0.06), (0.58, 0.70, 0.26), "cloud", 24),
    ("bubbles", (0.10, 0.45, 0.62), (0.85, 0.96, 0.98), "rings", 0.06),
    ("brick", (0.60, 0.24, 0.17), (0.84, 0.80, 0.74), "bricks", 12),
    ("leopard", (0.85, 0.62, 0.30), (0.16, 0.10, 0.06), "rings", 0.03),
    ("ice", (0.52, 0.72, 0.86), (0.97, 0.99, 1.00), "cracks", 6),
    ("lava", (0.12, 0.03, 0.02), (1.00, 0.55, 0.08), "cracks", 5),
    ("confetti", (0.96, 0.94, 0.90), (0.86, 0.16, 0.42), "spots", 0.018),
    ("chevron", (0.14, 0.40, 0.38), (0.94, 0.84, 0.58), "chevron", 10),
    ("straw", (0.58, 0.44, 0.16), (0.96, 0.86, 0.52), "fibres", 22),
    ("static", (0.05, 0.05, 0.08), (0.90, 0.92, 0.95), "static", 160),
)


def mask(kind: str, scale: float, seed: int) -> np.ndarray:
    """The pattern of this kind as a mask, float32 [480, 640] in 0..1."""
    width, height = IMAGE_SIZE
    u, v = paint.grid(height, width)
    u = u * (width / height)
    cells = (max(2, int(scale)), max(2, int(scale * 4 / 3)))
    if kind == "fibres":
        return paint.noise(height, width, cells=(3, int(scale * 10)), seed=seed, octaves=3)
    if kind == "spots":
        return paint.spots(height, width, count=220, radius=scale, seed=seed)
    if kind == "patches":
        return np.floor(paint.noise(height, width, cells=cells, seed=seed, octaves=2) * 4) / 3
    if kind == "waves":
        return paint.stripes(u + 0.25 * paint.noise(height, width, cells=(4, 5), seed=seed), scale, softness=0.2)
    if kind == "cloud":
        return paint.noise(height, width, cells=cells, seed=seed, octaves=5)
    if kind == "weave":
        return (paint.stripes(u + v, scale, softness=0.5) + paint.stripes(u, scale, softness=0.5)) / 2
    if kind == "rings":
        outer = paint.spots(height, width, count=110, radius=scale, seed=seed)
        return np.clip(outer - 0.8 * paint.spots(height, width, count=110, radius=0.6 * scale, seed=seed), 0, 1)
    if kind == "bricks":
        row = np.floor(v * scale)
        upright = paint.stripes(u * 0.5 + 0.25 * (row % 2) / scale * 2, scale, duty=0.06, softness=0.04)
        return np.maximum(upright, paint.stripes(v, scale, duty=0.12, softness=0.06))
    if kind == "cracks":
        field = paint.noise(height, width, cells=cells, seed=seed, octaves=4)
        return 1 - paint.step(0.04, abs(field - 0.5), 0.06)
    if kind == "chevron":
        return paint.stripes(v + 0.06 * abs((u * scale) % 2 - 1), scale, softness=0.1)
    return paint.noise(height, width, cells=cells, seed=seed, octaves=1)


def draw(first: Colour, second: Colour, kind: str, scale: float, seed: int) -> np.ndarray:
    """The texture, uint8 [480, 640, 3]."""
    return paint.to_bytes(paint.mix(first, second, mask(kind, scale, seed)))


def textures() -> tuple[TextureAsset, ...]:
    """All 16 overlay textures; an image is drawn when it is first asked for."""
    return tuple(
        TextureAsset(name, partial(draw, first, second, kind, scale, paint.seed_of(name)))
        for name, first, second, kind, scale in RECIPES
    )
