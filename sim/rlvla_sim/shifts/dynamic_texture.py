"""A busy pattern on robot and objects, stretched over the box around them in every frame: it moves with the arm.

As released, the pattern has the size of the largest box of the whole batch and is cut off at each world's own: what a
policy sees then depends on the worlds beside it.
"""

from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.texture_overlay import Veil

TEXTURES = tuple(range(16))


def dynamic_texture(strength: str, number: int, share: float) -> Shift:
    """The test of this strength; `share` is the weight of the texture."""
    return Shift(
        name=f"dynamic-texture-{strength}",
        number=number,
        axis="vision",
        summary=f"one of 16 textures makes up {share:.0%} of robot and objects and moves with them",
        change=Change(textures=TEXTURES, veil=Veil(over="foreground", share=share)),
        as_released=Change(veil=Veil(over="foreground", share=share, coupled=True)),
    )


SHIFTS = (dynamic_texture("weak", 2, 0.3), dynamic_texture("strong", 3, 0.5))
