"""A busy pattern on robot and objects, stretched over the box around them in every frame: it moves with the arm.

As released, the pattern has the size of the largest box of the whole batch and is cut off at each world's own: what a
policy sees then depends on the worlds beside it.
"""

from rlvla_sim.shifts.shift import Change, Shift
from rlvla_sim.texture_overlay import TextureOverlay

TEXTURES = tuple(range(16))


def dynamic_texture(strength: str, number: int, opacity: float) -> Shift:
    """The test of this strength; `opacity` is the weight of the texture."""
    return Shift(
        name=f"dynamic-texture-{strength}",
        number=number,
        axis="vision",
        summary=f"one of 16 textures makes up {opacity:.0%} of robot and objects and moves with them",
        change=Change(textures=TEXTURES, texture_overlay=TextureOverlay(over="foreground", opacity=opacity)),
        as_released=Change(texture_overlay=TextureOverlay(over="foreground", opacity=opacity, coupled=True)),
    )


SHIFTS = (dynamic_texture("weak", 2, 0.3), dynamic_texture("strong", 3, 0.5))
