"""Objects to eat: carrot, bread, zucchini, banana, hamburger; unseen in training: pepper, potato, baguette, onion."""

from dataclasses import replace

import numpy as np

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.assets.build import assemble
from rlvla_sim.assets.shapes import Skin, ellipsoid, extrusion, lathe, tube

CRUST = (0.68, 0.42, 0.18)
CRUMB = (0.95, 0.85, 0.64)
LEAF = (0.24, 0.55, 0.16)


def carrot() -> ObjectAsset:
    """A tapered orange root with a tuft of green."""
    u, v = paint.grid(64, 32)
    skin = paint.speckled((0.96, 0.47, 0.10), seed=paint.seed_of("carrot"), height=64, width=32)
    rings = paint.stripes(v + 0.02 * np.sin(7 * u), 9, duty=0.14) * (np.sin(14 * u) > -0.3)
    skin = paint.mix(skin, (0.74, 0.30, 0.05), 0.7 * rings)
    xs = [-0.060, -0.054, -0.03, 0.0, 0.026, 0.036, 0.040]
    root = tube([(x, 0, 0) for x in xs], [0.0015, 0.004, 0.0085, 0.0130, 0.0160, 0.0150, 0.008], skin, segments=12)
    tuft = [
        tube([(0.036, 0, 0.0), (0.046, y / 2, z / 2), (0.060, y, z)], [0.004, 0.005, 0.002], LEAF, segments=6)
        for y, z in ((-0.012, 0.004), (0.0, 0.008), (0.012, 0.004))
    ]
    return assemble("carrot", 1040.0, [root.flattened(-0.0115), *(t.decoration() for t in tuft)])


def bread() -> ObjectAsset:
    """A tin loaf: domed brown crust, pale slices at both ends."""
    t = np.radians(np.linspace(0, 180, 9))
    dome = np.stack([0.021 * np.cos(t), 0.012 + 0.011 * np.sin(t)], axis=1)
    outline = np.concatenate([dome, [[-0.018, 0.006], [-0.018, -0.017], [0.018, -0.017], [0.018, 0.006]]])
    u, v = paint.grid(48, 64)
    seed = paint.seed_of("bread")
    crust = paint.speckled(CRUST, seed=seed, height=48, width=64, amount=0.16)
    crust = paint.mix(
        crust, (0.88, 0.66, 0.36), paint.stripes(v, 4, duty=0.22) * paint.step(0.5, 1 - abs(u * 2.6 - 0.6))
    )
    slice_ = paint.mix(CRUMB, (0.84, 0.70, 0.45), 0.8 * paint.spots(48, 48, count=26, radius=0.035, seed=seed))
    loaf = extrusion(outline, 0.085, top=slice_, side=crust, bottom=slice_)
    # The outline's (x, y) become the loaf's (y, z); it is drawn along x.
    return assemble("bread", 420.0, [loaf.moved(z=-0.0425).turned("x", 90).turned("z", 90)])


def zucchini() -> ObjectAsset:
    """A slightly bent dark green squash with pale flecks in lines and a cut stem."""
    u, v = paint.grid(64, 48)
    flecks = paint.noise(64, 48, cells=(16, 12), seed=paint.seed_of("zucchini"), octaves=2)
    skin = paint.mix(
        (0.10, 0.30, 0.10), (0.46, 0.64, 0.28), paint.stripes(u, 8, duty=0.35) * paint.step(0.5, flecks, 0.3)
    )
    skin = paint.mix(skin, (0.72, 0.78, 0.45), paint.step(0.93, v, 0.03))
    xs = np.array([-0.056, -0.052, -0.03, 0.0, 0.03, 0.043, 0.048, 0.056])
    path = [(float(x), float(0.004 * np.cos(x / 0.056 * 1.5)), 0.0) for x in xs]
    body = tube(path, [0.006, 0.0115, 0.0145, 0.0150, 0.0140, 0.0110, 0.0065, 0.0065], skin, segments=12)
    return assemble("zucchini", 715.0, [body.flattened(-0.0125)])


def banana() -> ObjectAsset:
    """A yellow arc with brown ends and a few brown freckles."""
    u, v = paint.grid(64, 32)
    skin = paint.mix((0.97, 0.83, 0.18), (0.80, 0.66, 0.12), 0.8 * paint.stripes(u, 5, duty=0.2))
    skin = paint.mix(skin, (0.45, 0.28, 0.08), paint.spots(64, 32, count=9, radius=0.012, seed=paint.seed_of("banana")))
    skin = paint.mix(skin, (0.30, 0.20, 0.08), np.maximum(paint.step(0.93, v, 0.04), 1 - paint.step(0.05, v, 0.04)))
    angle = np.radians(np.linspace(-48, 48, 9))
    path = [(float(0.072 * np.sin(a)), float(0.072 * np.cos(a)), 0.0) for a in angle]
    radii = [0.004, 0.008, 0.0125, 0.0135, 0.0140, 0.0135, 0.0120, 0.007, 0.0045]
    # Two hulls follow the bend better than one.
    whole = tube(path, radii, skin, segments=8).flattened(-0.0105)
    halves = [tube(path[a:b], radii[a:b], skin, segments=8).flattened(-0.0105) for a, b in ((0, 5), (4, 9))]
    return assemble("banana", 600.0, [whole], hulls=halves)


def hamburger() -> ObjectAsset:
    """Bun, lettuce, patty, cheese, bun with sesame."""
    bun = (0.85, 0.56, 0.24)
    seeds = paint.spots(32, 96, count=30, radius=0.045, seed=paint.seed_of("hamburger"))
    crown = paint.mix(paint.plain(bun, 32, 96), (0.99, 0.94, 0.78), seeds)
    profile = [
        (0.0, 0.0), (0.017, 0.0), (0.0205, 0.004), (0.0205, 0.010), (0.0222, 0.011), (0.0222, 0.014), (0.0210, 0.0145),
        (0.0210, 0.0205), (0.0216, 0.021), (0.0216, 0.023), (0.0205, 0.024), (0.0185, 0.031), (0.0120, 0.036),
        (0.0, 0.038),
    ]  # fmt: skip
    green, meat, cheese = (0.36, 0.68, 0.18), (0.31, 0.16, 0.08), (0.99, 0.76, 0.10)
    upper, lower = crown[:20], crown[20:]
    skins: list[Skin] = [bun, bun, bun, green, green, green, meat, cheese, cheese, cheese, lower, lower, upper]
    return assemble("hamburger", 640.0, [lathe(profile, skins, 16)])


def bell_pepper() -> ObjectAsset:
    """A red fruit with four lobes and a green stem."""
    u, v = paint.grid(48, 48)
    skin = paint.mix((0.86, 0.09, 0.08), (0.58, 0.03, 0.05), 0.8 * paint.stripes(u, 4, duty=0.25, softness=0.4))
    skin = paint.mix(skin, (0.30, 0.50, 0.14), paint.step(0.93, v, 0.06))
    profile = [
        (0.0, 0.0), (0.012, 0.0), (0.0165, 0.006), (0.0190, 0.016), (0.0210, 0.026), (0.0205, 0.034),
        (0.0150, 0.040), (0.0060, 0.0385), (0.0, 0.037),
    ]  # fmt: skip
    body = lathe(profile, skin, 16)
    angle = np.arctan2(body.vertices[:, 1], body.vertices[:, 0])
    lobes = 1 + 0.08 * np.cos(4 * angle) * (np.hypot(body.vertices[:, 0], body.vertices[:, 1]) > 1e-6)
    vertices = body.vertices * np.stack([lobes, lobes, np.ones_like(lobes)], axis=1)
    stem = tube([(0, 0, 0.036), (0.001, 0, 0.043), (0.006, 0, 0.049)], [0.004, 0.003, 0.004], LEAF, segments=6)
    return assemble("bell pepper", 480.0, [replace(body, vertices=vertices), stem.decoration()])


def potato() -> ObjectAsset:
    """A lumpy brown tuber with dark eyes."""
    seed = paint.seed_of("potato")
    skin = paint.speckled((0.66, 0.50, 0.30), seed=seed, height=48, width=64, amount=0.18)
    skin = paint.mix(skin, (0.36, 0.24, 0.13), 0.8 * paint.spots(48, 64, count=14, radius=0.03, seed=seed))
    body = ellipsoid(0.021, 0.017, 0.036, skin, rings=9, segments=14)
    x, _y, z = body.vertices.T
    lump = 1 + 0.07 * np.sin(120 * z + 1.0) + 0.06 * np.sin(150 * x + 90 * z) * (abs(z) < 0.035)
    shaped = replace(body, vertices=body.vertices * np.stack([lump, lump, np.ones_like(lump)], axis=1))
    return assemble("potato", 1080.0, [shaped.turned("y", 90).turned("x", 90).flattened(-0.0145)])


def baguette() -> ObjectAsset:
    """A long golden stick with pale slashes across the top."""
    u, v = paint.grid(96, 48)
    skin = paint.speckled((0.82, 0.55, 0.24), seed=paint.seed_of("baguette"), height=96, width=48, amount=0.14)
    top = paint.step(0.1, 1 - abs(u - 0.25) * 6, 0.1)
    skin = paint.mix(skin, (0.97, 0.86, 0.62), top * paint.stripes(v + 0.35 * (u - 0.25), 6, duty=0.4))
    xs = [-0.070, -0.066, -0.056, -0.03, 0.0, 0.03, 0.056, 0.066, 0.070]
    radii = [0.004, 0.009, 0.0135, 0.0155, 0.016, 0.0155, 0.0135, 0.009, 0.004]
    body = tube([(x, 0, 0) for x in xs], radii, skin, segments=12, squash=0.85)
    return assemble("baguette", 350.0, [body.flattened(-0.0105)])


def onion() -> ObjectAsset:
    """A purple bulb with fine lines, a dry tip and a root plate."""
    u, v = paint.grid(48, 96)
    skin = paint.mix((0.52, 0.10, 0.36), (0.78, 0.45, 0.66), 0.75 * paint.stripes(u, 18, duty=0.3))
    skin = paint.mix(skin, (0.87, 0.72, 0.48), paint.step(0.80, v, 0.08))
    profile = [
        (0.0, 0.0), (0.009, 0.0), (0.0165, 0.006), (0.0205, 0.014), (0.0205, 0.022), (0.0165, 0.030),
        (0.0080, 0.0355), (0.0035, 0.042), (0.0025, 0.048), (0.0, 0.0485),
    ]  # fmt: skip
    return assemble("onion", 900.0, [lathe(profile, skin, 14)])
