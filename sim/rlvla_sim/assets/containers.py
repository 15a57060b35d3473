"""Objects that hold something: bottles, cans, cups; unseen in training: travel mug, tin can, champagne flute, cup."""

import numpy as np

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.assets.build import assemble
from rlvla_sim.assets.shapes import MeshPart, Skin, box, lathe, tube

STEEL = (0.74, 0.76, 0.79)
WHITE = (0.95, 0.95, 0.93)


def _lying(part: MeshPart, facet: float) -> MeshPart:
    """A lathe laid along x with a flat facet at `facet` metres below its axis."""
    return part.turned("y", 90).flattened(-facet)


def water_bottle() -> ObjectAsset:
    """A pale blue plastic bottle on its side, white label with a wave, dark blue cap."""
    u, v = paint.grid(32, 64)
    label = paint.mix(WHITE, (0.10, 0.40, 0.80), paint.step(0.5, v + 0.2 * np.sin(4 * np.pi * u), 0.08))
    water, cap = (0.62, 0.85, 0.95), (0.06, 0.16, 0.52)
    profile = [
        (0.0, -0.056), (0.0155, -0.056), (0.0180, -0.052), (0.0180, -0.020), (0.0165, -0.017), (0.0165, 0.012),
        (0.0180, 0.015), (0.0180, 0.024), (0.0080, 0.042), (0.0090, 0.043), (0.0090, 0.056), (0.0, 0.056),
    ]  # fmt: skip
    skins: list[Skin] = [water, water, water, water, label, water, water, water, cap, cap, cap]
    return assemble("water bottle", 900.0, [_lying(lathe(profile, skins, 14), 0.0155)])


def soda_can() -> ObjectAsset:
    """A green can on its side with a yellow slanting band and steel ends."""
    u, v = paint.grid(48, 64)
    print_ = paint.mix((0.05, 0.55, 0.24), (0.98, 0.88, 0.15), paint.stripes(u + 0.35 * v, 2, duty=0.28))
    print_ = paint.mix(print_, (0.90, 0.12, 0.10), paint.stripes(u + 0.35 * v + 0.25, 2, duty=0.14))
    profile = [(0.0, -0.031), (0.0125, -0.031), (0.0170, -0.026), (0.0170, 0.026), (0.0135, 0.031), (0.0, 0.031)]
    body = lathe(profile, [STEEL, STEEL, print_, STEEL, STEEL], 16)
    return assemble("soda can", 790.0, [_lying(body, 0.0150)])


def ketchup_bottle() -> ObjectAsset:
    """A flat red squeeze bottle on its side with a cream label and a white nozzle."""
    u, v = paint.grid(32, 64)
    fruit = 1 - paint.step(0.16, np.hypot((abs(u - 0.5) - 0.25) * 2.2, v - 0.5), 0.04)
    label = paint.mix((0.98, 0.92, 0.74), (0.82, 0.08, 0.06), fruit)
    red = (0.78, 0.06, 0.05)
    profile = [
        (0.0, -0.048), (0.0150, -0.048), (0.0180, -0.043), (0.0185, -0.026), (0.0185, 0.004), (0.0150, 0.018),
        (0.0090, 0.026), (0.0095, 0.027), (0.0085, 0.036), (0.0035, 0.048), (0.0, 0.048),
    ]  # fmt: skip
    body = lathe(profile, [red, red, red, label, red, red, WHITE, WHITE, WHITE, WHITE], 16)
    return assemble("ketchup bottle", 850.0, [_lying(body.scaled(x=0.72), 0.0120)])


def paper_cup() -> ObjectAsset:
    """A drink to take away: red and white stripes, white lid, a blue straw."""
    u, _v = paint.grid(32, 96)
    wall = paint.mix(WHITE, (0.88, 0.10, 0.12), paint.stripes(u, 8, duty=0.5))
    profile = [
        (0.0, 0.0), (0.0145, 0.0), (0.0190, 0.045), (0.0205, 0.045), (0.0205, 0.049), (0.0175, 0.051), (0.0, 0.051),
    ]  # fmt: skip
    cup = lathe(profile, [WHITE, wall, WHITE, WHITE, WHITE, WHITE], 16)
    straw = tube([(0.004, 0, 0.048), (0.007, 0, 0.060), (0.013, 0, 0.064)], [0.0022] * 3, (0.1, 0.35, 0.85), segments=6)
    return assemble("paper cup", 500.0, [cup, straw.decoration()])


def barbecue_sauce() -> ObjectAsset:
    """A square dark brown bottle, standing, with an orange label of flames and a black cap."""
    u, v = paint.grid(48, 96)
    glass = (0.24, 0.10, 0.05)
    tongues = v - 0.42 - 0.16 * np.abs(np.sin(6 * np.pi * u))
    side = paint.mix(glass, (0.98, 0.55, 0.08), paint.step(0.0, tongues, 0.04) * (1 - paint.step(0.9, v, 0.03)))
    side = paint.mix(side, (0.99, 0.86, 0.25), paint.step(0.2, tongues, 0.06) * (1 - paint.step(0.9, v, 0.03)))
    body = box(0.044, 0.032, 0.040, top=glass, side=side, corner=0.007, bevel=0.006)
    profile = [(0.0, 0.038), (0.0125, 0.038), (0.0085, 0.046), (0.0095, 0.047), (0.0095, 0.058), (0.0, 0.059)]
    neck = lathe(profile, [glass, glass, (0.05, 0.05, 0.05), (0.05, 0.05, 0.05), (0.05, 0.05, 0.05)], 12)
    return assemble("barbecue sauce", 1057.0, [body, neck])


def travel_mug() -> ObjectAsset:
    """A steel flask on its side with a purple sleeve and a black lid."""
    black, sleeve = (0.07, 0.07, 0.08), (0.42, 0.16, 0.62)
    profile = [
        (0.0, -0.045), (0.0135, -0.045), (0.0145, -0.042), (0.0160, -0.0225), (0.0172, -0.0215), (0.0180, 0.0135),
        (0.0168, 0.0145), (0.0175, 0.0275), (0.0190, 0.0285), (0.0190, 0.038), (0.0120, 0.045), (0.0, 0.045),
    ]  # fmt: skip
    skins: list[Skin] = [STEEL, STEEL, STEEL, sleeve, sleeve, sleeve, STEEL, black, black, black, black]
    return assemble("travel mug", 1018.0, [_lying(lathe(profile, skins, 14), 0.0140)])


def tin_can() -> ObjectAsset:
    """A ribbed tin, standing, with a blue label and a yellow fish."""
    u, v = paint.grid(48, 96)
    near = abs(u - 0.5) - 0.25
    fish = 1 - paint.step(0.5, np.hypot(near * 5, (v - 0.5) * 2.2), 0.08)
    tail = (
        paint.step(0.0, near - 0.06, 0.02)
        * (1 - paint.step(0.0, near - 0.13, 0.02))
        * (abs(v - 0.5) < (near - 0.03) * 2.2)
    )
    label = paint.mix((0.08, 0.22, 0.60), (0.98, 0.80, 0.12), np.maximum(fish, tail))
    dark = (0.52, 0.54, 0.57)
    profile = [
        (0.0, 0.0), (0.0185, 0.0), (0.0185, 0.005), (0.0175, 0.006), (0.0175, 0.034), (0.0185, 0.035),
        (0.0185, 0.040), (0.0165, 0.040), (0.0165, 0.0385), (0.0, 0.0385),
    ]  # fmt: skip
    body = lathe(profile, [dark, STEEL, dark, label, dark, STEEL, STEEL, dark, (0.82, 0.83, 0.85)], 18)
    return assemble("tin can", 1248.0, [body])


def champagne_flute() -> ObjectAsset:
    """A slim glass on its side: pale green bowl with a golden rim, thin stem, round foot."""
    glass, wine, gold = (0.80, 0.90, 0.86), (0.93, 0.86, 0.52), (0.80, 0.62, 0.16)
    profile = [
        (0.0, -0.055), (0.0160, -0.055), (0.0160, -0.051), (0.0050, -0.048), (0.0042, -0.020), (0.0110, -0.006),
        (0.0160, 0.018), (0.0160, 0.046), (0.0150, 0.050), (0.0130, 0.050), (0.0120, 0.030), (0.0, 0.010),
    ]  # fmt: skip
    skins: list[Skin] = [glass, glass, glass, glass, glass, wine, wine, gold, gold, glass, wine]
    whole = _lying(lathe(profile, skins, 14), 0.0130)
    foot, stem, bowl = (
        _lying(lathe([(0.0, p[0][1]), *p, (0.0, p[-1][1])], glass, 14), 0.0130)
        for p in (profile[1:3], [(0.005, -0.052), (0.005, -0.012)], profile[5:9])
    )
    return assemble("champagne flute", 900.0, [whole], hulls=[foot, stem, bowl])


def cup() -> ObjectAsset:
    """A cyan cup with white dots and a handle, open at the top."""
    cyan, inside = (0.10, 0.66, 0.74), (0.93, 0.97, 0.97)
    u, v = paint.grid(48, 96)
    dots = 1 - paint.step(0.28, np.hypot((u * 8) % 1 - 0.5, (v * 3) % 1 - 0.5), 0.08)
    wall = paint.mix(paint.plain(cyan, 48, 96), WHITE, dots)
    profile = [
        (0.0, 0.0), (0.0160, 0.0), (0.0195, 0.006), (0.0205, 0.038), (0.0180, 0.038), (0.0170, 0.008), (0.0, 0.006),
    ]  # fmt: skip
    body = lathe(profile, [cyan, cyan, wall, inside, inside, inside], 16)
    path = [(-0.0185, 0, 0.031), (-0.028, 0, 0.031), (-0.0315, 0, 0.020), (-0.027, 0, 0.010), (-0.0180, 0, 0.009)]
    handle = tube([(float(x), float(y), float(z)) for x, y, z in path], [0.0035] * 5, cyan, segments=6)
    return assemble("cup", 1018.0, [body, handle])
