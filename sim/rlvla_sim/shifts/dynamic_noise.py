"""A busy pattern over the whole image, which moves with the arm."""

from rlvla_sim.shifts.dynamic_texture import TEXTURES
from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.texture_overlay import TextureOverlay


def dynamic_noise(strength: str, number: int, opacity: float) -> Shift:
    """The test of this strength; `opacity` is the weight of the texture."""
    return Shift(
        name=f"dynamic-noise-{strength}",
        number=number,
        axis="vision",
        summary=f"one of 16 textures makes up {opacity:.0%} of the whole image and moves with the arm",
        change=Change(textures=TEXTURES, texture_overlay=TextureOverlay(over="image", opacity=opacity)),
    )


SHIFTS = (dynamic_noise("weak", 4, 0.3), dynamic_noise("strong", 5, 0.5))
