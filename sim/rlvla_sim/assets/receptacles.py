"""The procedural receptacles: one plate for training, 16 flat things that training never shows.

All are about 0.11 m across and 4 to 9 mm thick, stand on z = 0 and collide as one flat prism, so that what is put on
them rests in the same way on each.
"""

from collections.abc import Callable

import numpy as np

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.assets.build import assemble
from rlvla_sim.assets.paint import Colour
from rlvla_sim.assets.shapes import MeshPart, Skin, box, disc, extrusion, lathe, tube

SIZE = 96
"""Texels along the side of a top image."""


def _radius() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, v and the distance from the middle (1 at the edge) of a round top."""
    u, v = paint.grid(SIZE, SIZE)
    return u, v, 2 * np.hypot(u - 0.5, v - 0.5)


def _ring(radius: np.ndarray, at: float, width: float) -> np.ndarray:
    return 1 - paint.step(width / 2, abs(radius - at), 0.03)


def _flat(name: str, density: float, *parts: MeshPart, hull: MeshPart | None = None) -> ObjectAsset:
    return assemble(name, density, list(parts), hulls=None if hull is None else [hull], base_at_zero=True)


def _round(
    name: str, density: float, height: float, top: np.ndarray, side: Colour, bevel: float = 0.001
) -> ObjectAsset:
    return _flat(name, density, extrusion(disc(0.055), height, top=top, side=side, bevel=bevel))


def _sheet(
    name: str, density: float, size: tuple[float, float, float], top: Skin, side: Skin, corner: float = 0.0
) -> ObjectAsset:
    return _flat(name, density, box(*size, top=top, side=side, corner=corner, bevel=0.0008))


def plate() -> ObjectAsset:
    """White china with a raised rim and a blue line, 0.11 m across, 6 mm thick."""
    white, blue, foot = (0.92, 0.92, 0.90), (0.14, 0.28, 0.66), (0.74, 0.75, 0.76)
    profile = [
        (0.0, 0.0), (0.038, 0.0), (0.055, 0.0045), (0.055, 0.006), (0.0515, 0.006), (0.0475, 0.0055), (0.041, 0.005),
        (0.036, 0.0046), (0.0, 0.0046),
    ]  # fmt: skip
    skins: list[Skin] = [foot, foot, white, white, blue, white, (0.70, 0.71, 0.73), (0.85, 0.86, 0.86)]
    visual = lathe(profile, skins, 32)
    return _flat("plate", 1003.0, visual, hull=extrusion(disc(0.055), 0.006, top=white, side=white))


def napkin() -> ObjectAsset:
    """A mustard linen napkin with white double stripes along its border."""
    u, v = paint.grid(SIZE, SIZE)
    weave = paint.noise(SIZE, SIZE, cells=(48, 48), seed=paint.seed_of("napkin"), octaves=1)
    top = paint.mix((0.85, 0.60, 0.12), (0.72, 0.48, 0.08), weave)
    for across in (u, v):
        line = (abs(abs(across - 0.5) - 0.36) < 0.025) | (abs(abs(across - 0.5) - 0.27) < 0.015)
        top = paint.mix(top, (0.97, 0.95, 0.90), 0.8 * line.astype(np.float32))
    return _sheet("napkin", 900.0, (0.110, 0.110, 0.004), top, (0.80, 0.56, 0.14))


def rug() -> ObjectAsset:
    """A small woven rug with nested diamonds and fringes."""
    u, v = paint.grid(SIZE, SIZE)
    diamond = abs(u - 0.5) * 1.6 + abs(v - 0.5)
    top = paint.mix((0.48, 0.08, 0.12), (0.90, 0.66, 0.24), paint.stripes(diamond, 5, duty=0.35))
    top = paint.mix(top, (0.10, 0.15, 0.35), (np.maximum(abs(u - 0.5) * 1.05, abs(v - 0.5)) > 0.42).astype(np.float32))
    fringe = (abs(u - 0.5) > 0.455) * paint.stripes(v, 16, duty=0.6)
    top = paint.mix(top, (0.95, 0.90, 0.78), fringe)
    return _sheet("rug", 800.0, (0.110, 0.094, 0.004), top, (0.45, 0.12, 0.14))


def newspaper() -> ObjectAsset:
    """A folded newspaper: title, image, columns of grey lines."""
    u, v = paint.grid(SIZE, SIZE)
    rng = np.random.default_rng(paint.seed_of("newspaper"))
    ends = 0.7 + 0.3 * rng.random(24)
    line = np.minimum((v * 24).astype(int), 23)
    column = (u * 3) % 1
    text = ((v * 24) % 1 > 0.45) * (column > 0.08) * (column < 0.92 * ends[line]) * (v > 0.26)
    top = paint.mix((0.88, 0.86, 0.80), (0.38, 0.38, 0.38), text.astype(np.float32))
    title = (v > 0.06) * (v < 0.19) * (u > 0.10) * (u < 0.90) * (((u * 11) % 1) > 0.22)
    top = paint.mix(top, (0.06, 0.06, 0.06), title.astype(np.float32))
    photo = (u > 0.36) * (u < 0.96) * (v > 0.30) * (v < 0.62)
    tone = paint.noise(SIZE, SIZE, cells=(5, 5), seed=3)[..., None] * np.ones(3, np.float32)
    top = paint.mix(top, 0.15 + 0.6 * tone, photo.astype(np.float32))
    return _sheet("newspaper", 700.0, (0.086, 0.112, 0.005), top, (0.80, 0.79, 0.74))


def metal_sheet() -> ObjectAsset:
    """Steel tread plate with raised lozenges."""
    u, v = paint.grid(SIZE, SIZE)
    lozenges = np.zeros_like(u)
    for shift, lean in ((0.0, -1), (0.5, 1)):
        a, b = (u * 7 + shift) % 1 - 0.5, (v * 6 + shift) % 1 - 0.5
        lozenges = np.maximum(lozenges, 1 - paint.step(0.5, np.hypot((a + lean * b) * 4.5, b * 1.3), 0.1))
    top = paint.mix((0.50, 0.53, 0.57), (0.88, 0.90, 0.93), lozenges)
    return _sheet("metal sheet", 2700.0, (0.110, 0.094, 0.004), top, (0.45, 0.47, 0.50))


def tablet() -> ObjectAsset:
    """A drawing tablet: black frame, blue-violet screen, a row of buttons."""
    u, v = paint.grid(SIZE, SIZE)
    screen = (u > 0.16) * (u < 0.95) * (v > 0.09) * (v < 0.91)
    glow = paint.mix((0.16, 0.22, 0.62), (0.62, 0.30, 0.78), v)
    glow = paint.mix(glow, (0.98, 0.82, 0.35), 1 - paint.step(0.14, np.hypot((u - 0.7) * 1.3, v - 0.35), 0.02))
    top = paint.mix((0.07, 0.07, 0.08), glow, screen.astype(np.float32))
    buttons = 1 - paint.step(0.28, np.hypot((u - 0.08) * 14, (v * 6) % 1 - 0.5), 0.1)
    top = paint.mix(top, (0.55, 0.55, 0.58), buttons)
    return _sheet("tablet", 1600.0, (0.113, 0.085, 0.005), top, (0.12, 0.12, 0.13), corner=0.006)


def tomato_slice() -> ObjectAsset:
    """A round cut of tomato: red flesh, chambers with yellow seeds."""
    u, v, r = _radius()
    angle = np.arctan2(v - 0.5, u - 0.5)
    chamber = paint.stripes(angle / (2 * np.pi), 6, duty=0.66) * _ring(r, 0.55, 0.5)
    top = paint.mix((0.90, 0.22, 0.14), (0.98, 0.52, 0.30), chamber)
    seeds = paint.spots(SIZE, SIZE, count=70, radius=0.016, seed=paint.seed_of("tomato slice"))
    top = paint.mix(top, (0.98, 0.90, 0.55), seeds * chamber)
    top = paint.mix(top, (0.72, 0.06, 0.05), paint.step(0.90, r))
    return _round("tomato slice", 980.0, 0.005, top, (0.75, 0.06, 0.05))


def pizza() -> ObjectAsset:
    """Brown crust, cheese over tomato, salami, olives, basil."""
    _, _, r = _radius()
    seed = paint.seed_of("pizza")
    top = paint.mix((0.97, 0.80, 0.36), (0.85, 0.36, 0.12), paint.noise(SIZE, SIZE, cells=(7, 7), seed=seed))
    inside = 1 - paint.step(0.78, r)
    for count, radius, colour in (
        (11, 0.075, (0.72, 0.12, 0.10)),
        (9, 0.03, (0.10, 0.10, 0.08)),
        (8, 0.04, (0.16, 0.48, 0.14)),
    ):
        top = paint.mix(top, colour, inside * paint.spots(SIZE, SIZE, count=count, radius=radius, seed=seed + count))
    top = paint.mix(top, (0.78, 0.52, 0.24), paint.step(0.86, r, 0.05))
    return _round("pizza", 900.0, 0.006, top, (0.70, 0.44, 0.18), bevel=0.003)


def shallow_bowl() -> ObjectAsset:
    """A low earthenware bowl, teal glaze with darker rings, sand-coloured rim."""
    clay, glaze, deep = (0.72, 0.55, 0.38), (0.12, 0.55, 0.55), (0.05, 0.34, 0.40)
    profile = [
        (0.0, 0.0), (0.034, 0.0), (0.054, 0.006), (0.055, 0.009), (0.052, 0.009), (0.046, 0.0068), (0.030, 0.0062),
        (0.015, 0.0061), (0.0, 0.006),
    ]  # fmt: skip
    visual = lathe(profile, [clay, clay, clay, clay, glaze, deep, glaze, deep], 32)
    return _flat("shallow bowl", 1500.0, visual, hull=extrusion(disc(0.054), 0.006, top=clay, side=clay))


def record() -> ObjectAsset:
    """A vinyl record: black with fine grooves, a highlight and an orange label."""
    u, v, r = _radius()
    groove = paint.stripes(r, 11, duty=0.4, softness=0.6)
    shine = np.abs(np.cos(np.arctan2(v - 0.5, u - 0.5) - 0.7)) ** 12
    top = paint.mix((0.05, 0.05, 0.06), (0.24, 0.24, 0.27), 0.6 * groove + 0.4 * shine)
    top = paint.mix(top, (0.96, 0.50, 0.10), 1 - paint.step(0.34, r))
    top = paint.mix(top, (0.99, 0.90, 0.70), _ring(r, 0.22, 0.05))
    top = paint.mix(top, (0.10, 0.10, 0.10), 1 - paint.step(0.05, r))
    return _round("record", 1300.0, 0.004, top, (0.06, 0.06, 0.07))


def frying_pan() -> ObjectAsset:
    """A low dark pan with a steel rim and two short ears."""
    iron, rim, floor = (0.17, 0.17, 0.19), (0.66, 0.68, 0.72), (0.30, 0.30, 0.33)
    profile = [
        (0.0, 0.0), (0.046, 0.0), (0.0520, 0.0085), (0.0500, 0.0085), (0.0470, 0.0062), (0.0300, 0.0061), (0.0, 0.006),
    ]  # fmt: skip
    visual = lathe(profile, [iron, iron, rim, iron, floor, iron], 28)
    bend = np.radians(np.linspace(-80, 80, 5))
    path = [(float(0.050 + 0.009 * np.cos(a)), float(0.013 * np.sin(a)), 0.006) for a in bend]
    ear = tube(path, [0.0022] * 5, iron, segments=6)
    hull = extrusion(disc(0.050), 0.006, top=iron, side=iron)
    return _flat("frying pan", 2200.0, visual, ear, ear.turned("z", 180), hull=hull)


def mouse_pad() -> ObjectAsset:
    """A soft pad: dark violet with bright green traces."""
    u, v = paint.grid(SIZE, SIZE)
    wave = v + 0.12 * np.sin(2 * np.pi * u * 1.5)
    top = paint.mix((0.16, 0.06, 0.30), (0.30, 0.95, 0.45), paint.stripes(wave, 4, duty=0.16))
    top = paint.mix(top, (0.90, 0.20, 0.75), paint.stripes(wave + 0.12, 2, duty=0.10))
    return _sheet("mouse pad", 800.0, (0.110, 0.110, 0.005), top, (0.08, 0.05, 0.12), corner=0.014)


def cutting_board() -> ObjectAsset:
    """Glued strips of light and dark wood with a groove and a hole."""
    u, v = paint.grid(SIZE, SIZE)
    strip = (np.floor(v * 7) % 2).astype(np.float32)
    grain = paint.noise(SIZE, SIZE, cells=(24, 2), seed=paint.seed_of("cutting board"))
    top = paint.mix((0.82, 0.62, 0.36), (0.56, 0.34, 0.16), np.clip(0.75 * strip + 0.35 * (grain - 0.5), 0, 1))
    edge = np.maximum(abs(u - 0.5), abs(v - 0.5))
    top = paint.mix(top, (0.36, 0.20, 0.09), 1 - paint.step(0.012, abs(edge - 0.42), 0.01))
    top = paint.mix(top, (0.15, 0.09, 0.05), 1 - paint.step(0.035, np.hypot((u - 0.94) * 1.15, v - 0.5), 0.01))
    return _sheet("cutting board", 700.0, (0.124, 0.108, 0.006), top, (0.60, 0.40, 0.20), corner=0.008)


def chess_board() -> ObjectAsset:
    """Eight by eight cream and black squares in a brown frame."""
    u, v = paint.grid(SIZE, SIZE)
    a, b = (u - 0.06) / 0.88 * 8, (v - 0.06) / 0.88 * 8
    square = ((np.floor(a) + np.floor(b)) % 2).astype(np.float32)
    top = paint.mix((0.95, 0.90, 0.76), (0.12, 0.10, 0.09), square)
    frame = (np.maximum(abs(u - 0.5), abs(v - 0.5)) > 0.44).astype(np.float32)
    return _sheet(
        "chess board", 900.0, (0.110, 0.110, 0.006), paint.mix(top, (0.42, 0.20, 0.10), frame), (0.36, 0.17, 0.08)
    )


def manhole_cover() -> ObjectAsset:
    """Rusty cast iron with raised arcs and spokes."""
    u, v, r = _radius()
    angle = np.arctan2(v - 0.5, u - 0.5) / (2 * np.pi)
    rust = paint.noise(SIZE, SIZE, cells=(8, 8), seed=paint.seed_of("manhole cover"))
    base = paint.mix((0.30, 0.27, 0.26), (0.46, 0.29, 0.18), rust)
    raised = np.maximum(
        paint.stripes(r, 4, duty=0.35) * paint.stripes(angle + 0.04 * np.floor(r * 4), 8, duty=0.7),
        _ring(r, 0.95, 0.07),
    )
    return _round("manhole cover", 3700.0, 0.005, paint.mix(base, (0.63, 0.58, 0.54), raised), (0.32, 0.26, 0.22))


def envelope() -> ObjectAsset:
    """A cream letter: flap lines, address, red stamp, blue and red airmail border."""
    u, v = paint.grid(SIZE, SIZE)
    top = paint.plain((0.95, 0.90, 0.78), SIZE, SIZE)
    edge = np.maximum(abs(u - 0.5), abs(v - 0.5) * 0.98) > 0.44
    band = np.floor((u + v) * 9) % 3
    top = paint.mix(top, (0.82, 0.12, 0.14), (edge * (band == 0)).astype(np.float32))
    top = paint.mix(top, (0.12, 0.25, 0.65), (edge * (band == 1)).astype(np.float32))
    lines = (u > 0.38) * (u < 0.80) * (v > 0.48) * (v < 0.80) * ((v * 12) % 1 > 0.55)
    top = paint.mix(top, (0.25, 0.25, 0.30), lines.astype(np.float32))
    stamp = (u > 0.70) * (u < 0.88) * (v > 0.12) * (v < 0.36)
    return _sheet(
        "envelope",
        700.0,
        (0.112, 0.080, 0.004),
        paint.mix(top, (0.85, 0.20, 0.20), stamp.astype(np.float32)),
        (0.88, 0.83, 0.70),
    )


def notebook() -> ObjectAsset:
    """A yellow ruled pad with a black spiral along its upper edge."""
    u, v = paint.grid(SIZE, SIZE)
    top = paint.mix((0.98, 0.92, 0.45), (0.35, 0.55, 0.85), ((v * 13) % 1 > 0.80).astype(np.float32))
    top = paint.mix(top, (0.88, 0.25, 0.25), (abs(u - 0.16) < 0.012).astype(np.float32))
    head = (v < 0.13).astype(np.float32)
    top = paint.mix(top, (0.10, 0.10, 0.11), head * paint.stripes(u, 12, duty=0.55))
    return _sheet("notebook", 800.0, (0.082, 0.110, 0.006), top, (0.90, 0.88, 0.80))


TRAIN: tuple[Callable[[], ObjectAsset], ...] = (plate,)

TEST: tuple[Callable[[], ObjectAsset], ...] = (
    napkin,
    rug,
    newspaper,
    metal_sheet,
    tablet,
    tomato_slice,
    pizza,
    shallow_bowl,
    record,
    frying_pan,
    mouse_pad,
    cutting_board,
    chess_board,
    manhole_cover,
    envelope,
    notebook,
)


def receptacles() -> tuple[ObjectAsset, ...]:
    """All 17 procedural receptacles, built anew; the training plate comes first."""
    return tuple(make() for make in TRAIN + TEST)
