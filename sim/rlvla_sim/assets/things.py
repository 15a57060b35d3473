"""Tools, toys and plants: spatula, watering can, pipe, toy bear, cactus, golf ball; unseen in training: spoon."""

import numpy as np

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.assets.build import assemble
from rlvla_sim.assets.shapes import Skin, box, disc, ellipsoid, extrusion, lathe, tube


def spatula() -> ObjectAsset:
    """A kitchen turner: red handle, slotted grey blade."""
    u, v = paint.grid(32, 32)
    slots = paint.stripes(v, 4, duty=0.4) * paint.step(0.2, u, 0.05) * (1 - paint.step(0.8, u, 0.05))
    blade_top = paint.mix((0.60, 0.62, 0.65), (0.16, 0.16, 0.18), slots)
    blade = box(0.048, 0.042, 0.012, top=blade_top, side=(0.50, 0.52, 0.55), corner=0.007, bevel=0.003)
    red = (0.80, 0.10, 0.14)
    xs = [0.015, 0.022, 0.045, 0.075, 0.092, 0.096]
    grip = paint.mix(paint.plain(red, 32, 8), (0.12, 0.12, 0.13), 1 - paint.step(0.3, paint.grid(32, 8)[1], 0.05))
    handle = tube([(x, 0, 0.010) for x in xs], [0.006, 0.0085, 0.0095, 0.0110, 0.0100, 0.006], grip).flattened(0.0)
    return assemble("spatula", 560.0, [blade.moved(x=-0.010), handle])


def watering_can() -> ObjectAsset:
    """A turquoise can with a long spout, a rose at its end and a handle behind."""
    body_colour, band = (0.08, 0.58, 0.56), (0.96, 0.90, 0.62)
    profile = [
        (0.0, 0.0), (0.0190, 0.0), (0.0195, 0.010), (0.0195, 0.016), (0.0180, 0.034), (0.0160, 0.034),
        (0.0150, 0.030), (0.0, 0.029),
    ]  # fmt: skip
    dark = (0.04, 0.26, 0.26)
    body = lathe(profile, [body_colour, body_colour, band, body_colour, body_colour, dark, dark], 16)
    spout = tube(
        [(0.015, 0, 0.008), (0.032, 0, 0.022), (0.046, 0, 0.036)], [0.006, 0.0045, 0.004], body_colour, segments=8
    )
    rose = tube([(0.044, 0, 0.034), (0.049, 0, 0.0395), (0.051, 0, 0.0415)], [0.004, 0.009, 0.008], band, segments=8)
    arc = np.radians(np.linspace(75, 250, 7))
    path = [(float(-0.017 + 0.015 * np.cos(a)), 0.0, float(0.022 + 0.014 * np.sin(a))) for a in arc]
    handle = tube(path, [0.003] * 7, body_colour, segments=6)
    return assemble("watering can", 900.0, [body, spout, rose, handle.decoration()])


def pipe() -> ObjectAsset:
    """A copper T-piece with grey flanges, one branch up."""
    copper, flange, hole = (0.76, 0.42, 0.24), (0.42, 0.44, 0.47), (0.08, 0.06, 0.05)
    profile = [
        (0.0, -0.038), (0.009, -0.038), (0.0165, -0.038), (0.0165, -0.028), (0.0120, -0.028), (0.0120, 0.028),
        (0.0165, 0.028), (0.0165, 0.038), (0.009, 0.038), (0.0, 0.038),
    ]  # fmt: skip
    skins: list[Skin] = [hole, flange, flange, flange, copper, flange, flange, flange, hole]
    run = lathe(profile, skins, 12).turned("y", 90).flattened(-0.0143)
    up = lathe(
        [(0.0, 0.0), (0.0110, 0.0), (0.0110, 0.018), (0.0150, 0.018), (0.0150, 0.026), (0.0085, 0.026), (0.0, 0.026)],
        [copper, copper, flange, flange, flange, hole],
        12,
    )
    ends = [
        box(0.010, 0.029, 0.0286, top=flange, side=flange, corner=0.008).moved(x=x, z=-0.0143) for x in (-0.033, 0.033)
    ]
    middle = box(0.060, 0.024, 0.024, top=copper, side=copper).moved(z=-0.012)
    return assemble("pipe", 1116.0, [run, up], hulls=[*ends, middle, up])


def toy_bear() -> ObjectAsset:
    """A sitting brown bear with a pale belly and muzzle and round ears."""
    fur, pale, dark = (0.50, 0.30, 0.15), (0.87, 0.71, 0.50), (0.08, 0.05, 0.04)
    coat = paint.speckled(fur, seed=paint.seed_of("toy bear"), height=24, width=24, amount=0.18)
    ball = {"rings": 4, "segments": 7}
    body = ellipsoid(0.0165, 0.0180, 0.0200, coat, rings=6, segments=10).moved(z=0.018).flattened(0.0)
    head = ellipsoid(0.0150, 0.0155, 0.0140, coat, rings=6, segments=10).moved(x=0.001, z=0.044)
    belly = ellipsoid(0.006, 0.0115, 0.0130, pale, **ball).moved(x=0.0120, z=0.019).decoration()
    muzzle = ellipsoid(0.006, 0.0070, 0.0052, pale, **ball).moved(x=0.0140, z=0.041)
    nose = ellipsoid(0.002, 0.0026, 0.0020, dark, rings=3, segments=5).moved(x=0.0200, z=0.043).decoration()
    parts = [body, head, belly, muzzle, nose]
    for side in (-1, 1):
        ear = ellipsoid(0.0032, 0.0058, 0.0058, coat, **ball).moved(y=0.0115 * side, z=0.0555)
        eye = ellipsoid(0.0018, 0.0018, 0.0022, dark, rings=3, segments=5).moved(x=0.0138, y=0.0062 * side, z=0.0475)
        arm = ellipsoid(0.0085, 0.0048, 0.0052, coat, **ball).moved(x=0.012, y=0.0155 * side, z=0.025)
        leg = ellipsoid(0.0120, 0.0068, 0.0072, coat, **ball).moved(x=0.012, y=0.0115 * side, z=0.006).flattened(0.0)
        parts += [ear.decoration(), eye.decoration(), arm.decoration(), leg]
    # It faces -x, where the robot and its camera stand.
    return assemble("toy bear", 420.0, [part.turned("z", 180) for part in parts])


def cactus() -> ObjectAsset:
    """A ribbed green cactus with one arm and a pink flower in a clay pot."""
    clay, soil, green = (0.76, 0.38, 0.22), (0.22, 0.14, 0.09), (0.20, 0.50, 0.24)
    profile = [
        (0.0, 0.0), (0.0150, 0.0), (0.0190, 0.020), (0.0215, 0.020), (0.0215, 0.027), (0.0180, 0.027), (0.0, 0.025),
    ]  # fmt: skip
    pot = lathe(profile, [clay, clay, clay, clay, clay, soil], 14)
    u, v = paint.grid(32, 64)
    ribs = paint.mix(green, (0.80, 0.86, 0.55), 0.8 * paint.stripes(u, 8, duty=0.18) * paint.stripes(v, 7, duty=0.5))
    stem_profile = [(0.0, 0.022), (0.0080, 0.024), (0.0095, 0.040), (0.0085, 0.054), (0.0050, 0.060), (0.0, 0.062)]
    stem = lathe(stem_profile, ribs, 12)
    arm_path = [(0.0, 0.006, 0.036), (0.0, 0.0145, 0.038), (0.0, 0.0165, 0.044), (0.0, 0.0165, 0.053)]
    arm = tube(
        [(float(x), float(y), float(z)) for x, y, z in arm_path], [0.0042, 0.0046, 0.0046, 0.0030], green, segments=8
    )
    flower = ellipsoid(0.0055, 0.0055, 0.0035, (0.95, 0.30, 0.58), rings=4, segments=8).moved(z=0.0625)
    return assemble("cactus", 800.0, [pot, stem, arm.decoration(), flower.decoration()])


def golf_ball() -> ObjectAsset:
    """A white ball with grey dimples and a black mark; a small facet keeps it where it is put."""
    u, v = paint.grid(64, 96)
    row = np.floor(v * 9)
    around = (u * 14 + 0.5 * (row % 2)) % 1 - 0.5
    dimples = 1 - paint.step(0.28, np.hypot(around, (v * 9) % 1 - 0.5), 0.1)
    skin = paint.mix((0.97, 0.97, 0.96), (0.66, 0.68, 0.72), 0.8 * dimples)
    skin = paint.mix(skin, (0.10, 0.10, 0.12), paint.stripes(u, 1, duty=0.05, softness=0.02) * (abs(v - 0.62) < 0.14))
    ball = ellipsoid(0.0190, 0.0190, 0.0190, skin, rings=10, segments=16)
    return assemble("golf ball", 700.0, [ball.flattened(-0.0168)])


def wooden_spoon() -> ObjectAsset:
    """A cooking spoon of pale wood: oval bowl with a darker hollow, round handle."""
    _u, _v = paint.grid(64, 24)
    grain = paint.noise(64, 24, cells=(3, 10), seed=paint.seed_of("wooden spoon"))
    wood = paint.mix((0.86, 0.68, 0.42), (0.70, 0.49, 0.26), grain)
    across, up = paint.grid(32, 32)
    hollow = 1 - paint.step(0.40, np.hypot(across - 0.5, up - 0.5), 0.08)
    top = paint.mix((0.86, 0.68, 0.42), (0.58, 0.38, 0.18), hollow)
    outline = disc(1.0, 18) * np.array([0.026, 0.0205])
    bowl = extrusion(outline, 0.015, top=top, side=(0.78, 0.58, 0.33), bevel=0.004)
    xs = [-0.016, 0.0, 0.030, 0.070, 0.086, 0.090]
    handle = tube([(x, 0, 0.010) for x in xs], [0.008, 0.0085, 0.0085, 0.0100, 0.0105, 0.007], wood).flattened(0.0)
    return assemble("wooden spoon", 600.0, [bowl.moved(x=-0.034), handle])
