"""The procedural table images: a table top and the room around it, seen by the third-person camera of the paper."""

from functools import partial

import numpy as np

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import TableAsset
from rlvla_sim.assets.paint import Colour
from rlvla_sim.assets.surfaces import (
    Surface,
    View,
    bands,
    brushed,
    concrete,
    desk_mat,
    gingham,
    grass,
    hexagons,
    knitted,
    marble,
    noise,
    parquet,
    plain,
    planks,
    slate,
    splashes,
    terrazzo,
    tiles,
    veneer,
    view,
)


def _room(v: View, wall: Colour, floor: Colour, seed: int) -> np.ndarray:
    """What lies around the table: a wall behind it, floor in front, both out of focus."""
    height, width = v.x.shape
    tall, wide = paint.grid(height, width)[1], paint.grid(height, width)[0]
    behind = 1 - paint.step(0.30 + 0.16 * wide, tall, 0.10)
    room = paint.mix(floor, wall, behind)
    return room * (0.90 + 0.18 * noise((3, 4), seed + 7, 2))[..., None]


def draw(surface: Surface, edge: Colour, wall: Colour, floor: Colour, seed: int) -> np.ndarray:
    """The image of one table, uint8 [480, 640, 3]."""
    v = view()
    image = paint.mix(_room(v, wall, floor, seed), edge, v.edge)
    image = paint.mix(image, surface(v, seed), v.top)
    grain = np.random.default_rng(seed + 11).integers(-3, 4, v.x.shape).astype(np.float32) / 255
    return paint.to_bytes(image * v.shade[..., None] + grain[..., None])


GREY: Colour = (0.62, 0.62, 0.63)
OAK, OAK_DARK = (0.80, 0.62, 0.40), (0.60, 0.42, 0.23)
WALNUT, WALNUT_DARK = (0.46, 0.29, 0.18), (0.27, 0.16, 0.10)
PAINTS: tuple[Colour, ...] = (
    (0.90, 0.42, 0.62),
    (0.30, 0.55, 0.85),
    (0.50, 0.74, 0.36),
    (0.97, 0.82, 0.30),
    (0.95, 0.52, 0.26),
)

# name, surface, colour of the edge, wall, floor
TRAIN: tuple[tuple[str, Surface, Colour, Colour, Colour], ...] = (
    ("oak planks", partial(planks, OAK, OAK_DARK, 0.09), OAK_DARK, (0.80, 0.80, 0.78), (0.45, 0.40, 0.36)),
    ("walnut", partial(veneer, WALNUT, WALNUT_DARK), WALNUT_DARK, (0.88, 0.84, 0.76), (0.60, 0.55, 0.48)),
    (
        "white marble",
        partial(marble, (0.93, 0.93, 0.92), (0.52, 0.54, 0.58)),
        (0.80, 0.80, 0.80),
        (0.10, 0.10, 0.12),
        (0.20, 0.20, 0.22),
    ),
    ("blue plastic", partial(plain, (0.40, 0.70, 0.92)), (0.25, 0.50, 0.75), (0.70, 0.71, 0.68), (0.55, 0.55, 0.54)),
    ("black lacquer", partial(plain, (0.15, 0.15, 0.17)), (0.30, 0.30, 0.32), (0.86, 0.86, 0.86), (0.40, 0.39, 0.40)),
    (
        "red gingham",
        partial(gingham, (0.94, 0.92, 0.90), (0.80, 0.22, 0.24), 0.05),
        (0.70, 0.25, 0.25),
        (0.50, 0.60, 0.52),
        (0.35, 0.38, 0.34),
    ),
    (
        "white tiles",
        partial(tiles, (0.88, 0.90, 0.90), (0.50, 0.52, 0.54), 0.06),
        (0.65, 0.67, 0.68),
        (0.22, 0.42, 0.48),
        (0.30, 0.32, 0.34),
    ),
    ("concrete", partial(concrete, GREY), (0.45, 0.45, 0.46), (0.30, 0.31, 0.33), (0.22, 0.22, 0.23)),
    ("turf", partial(grass, (0.34, 0.62, 0.24)), (0.78, 0.62, 0.38), (0.46, 0.36, 0.27), (0.38, 0.28, 0.20)),
    ("brushed steel", partial(brushed, (0.70, 0.72, 0.75)), (0.45, 0.47, 0.50), (0.92, 0.92, 0.90), (0.50, 0.46, 0.42)),
    ("terrazzo", partial(terrazzo, (0.90, 0.87, 0.82)), (0.75, 0.72, 0.68), (0.72, 0.52, 0.44), (0.42, 0.33, 0.30)),
    ("desk mat", partial(desk_mat, OAK, (0.20, 0.26, 0.36)), OAK_DARK, (0.66, 0.70, 0.74), (0.34, 0.32, 0.31)),
    ("yellow desk", partial(plain, (0.95, 0.80, 0.28)), (0.75, 0.58, 0.15), (0.08, 0.45, 0.50), (0.15, 0.32, 0.35)),
    (
        "blue stripes",
        partial(bands, (0.88, 0.87, 0.82), (0.42, 0.50, 0.68), 0.05),
        (0.38, 0.45, 0.62),
        (0.82, 0.76, 0.66),
        (0.52, 0.44, 0.36),
    ),
    ("pink table", partial(plain, (0.93, 0.62, 0.68)), (0.78, 0.45, 0.52), (0.86, 0.45, 0.54), (0.60, 0.34, 0.40)),
    (
        "parquet",
        partial(parquet, (0.72, 0.50, 0.30), (0.52, 0.32, 0.17)),
        (0.40, 0.25, 0.14),
        (0.38, 0.44, 0.40),
        (0.25, 0.22, 0.20),
    ),
)

TEST: tuple[tuple[str, Surface, Colour, Colour, Colour], ...] = (
    (
        "knitted cloth",
        partial(knitted, (0.86, 0.78, 0.64), (0.70, 0.40, 0.34)),
        (0.60, 0.45, 0.36),
        (0.50, 0.54, 0.62),
        (0.34, 0.32, 0.32),
    ),
    ("slate", partial(slate, (0.30, 0.36, 0.40)), (0.20, 0.23, 0.26), (0.88, 0.80, 0.68), (0.55, 0.45, 0.36)),
    ("painter's table", partial(splashes, PAINTS), (0.60, 0.30, 0.20), (0.80, 0.78, 0.76), (0.55, 0.53, 0.52)),
    ("green baize", partial(concrete, (0.16, 0.42, 0.30)), (0.36, 0.20, 0.11), (0.40, 0.14, 0.14), (0.24, 0.12, 0.10)),
    (
        "hexagon stone",
        partial(hexagons, (0.84, 0.78, 0.68), (0.66, 0.58, 0.50)),
        (0.55, 0.48, 0.40),
        (0.30, 0.36, 0.52),
        (0.25, 0.26, 0.30),
    ),
)


def tables() -> tuple[TableAsset, ...]:
    """All 21 procedural tables, the 16 training tables first; an image is drawn when it is first asked for."""
    return tuple(
        TableAsset(name, partial(draw, surface, edge, wall, floor, paint.seed_of(name)))
        for name, surface, edge, wall, floor in TRAIN + TEST
    )
