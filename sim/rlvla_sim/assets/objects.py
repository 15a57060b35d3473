"""The procedural objects in their order: 16 for training, then 9 that training never shows."""

from collections.abc import Callable

from rlvla_sim.assets import containers, food, things
from rlvla_sim.assets.asset import ObjectAsset

TRAIN: tuple[Callable[[], ObjectAsset], ...] = (
    food.carrot,
    things.spatula,
    food.bread,
    containers.water_bottle,
    containers.soda_can,
    food.zucchini,
    containers.ketchup_bottle,
    things.watering_can,
    things.pipe,
    things.toy_bear,
    containers.paper_cup,
    things.cactus,
    food.banana,
    food.hamburger,
    things.golf_ball,
    containers.barbecue_sauce,
)

TEST: tuple[Callable[[], ObjectAsset], ...] = (
    containers.travel_mug,
    food.bell_pepper,
    containers.tin_can,
    food.potato,
    food.baguette,
    containers.champagne_flute,
    things.wooden_spoon,
    food.onion,
    containers.cup,
)


def objects() -> tuple[ObjectAsset, ...]:
    """All 25 procedural objects, built anew; the 16 training objects come first."""
    return tuple(make() for make in TRAIN + TEST)
