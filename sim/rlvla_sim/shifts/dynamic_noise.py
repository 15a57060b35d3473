"""A busy pattern over the whole image, which moves with the arm."""

from rlvla_sim.shifts.dynamic_texture import TEXTURES
from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.texture_overlay import Veil


def dynamic_noise(strength: str, number: int, share: float) -> Shift:
    """The test of this strength; `share` is the weight of the texture."""
    return Shift(
        name=f"dynamic-noise-{strength}",
        number=number,
        axis="vision",
        summary=f"one of 16 textures makes up {share:.0%} of the whole image and moves with the arm",
        change=Change(textures=TEXTURES, veil=Veil(over="image", share=share)),
    )


SHIFTS = (dynamic_noise("weak", 4, 0.3), dynamic_noise("strong", 5, 0.5))
