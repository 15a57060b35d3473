"""The arms that a world can hold: one file each, found by name."""

from rlvla_core.errors import RlvlaError
from rlvla_sim.robots.panda import PANDA
from rlvla_sim.robots.spec import Drive, RobotSpec
from rlvla_sim.robots.widowx250s import WIDOWX250S

ROBOTS = {spec.name: spec for spec in (WIDOWX250S, PANDA)}


def robot(name: str) -> RobotSpec:
    """The arm of this name; raises RlvlaError that lists the names there are."""
    if name not in ROBOTS:
        raise RlvlaError(f"unknown robot `{name}`: use one of {', '.join(ROBOTS)}")
    return ROBOTS[name]


__all__ = ["ROBOTS", "Drive", "RobotSpec", "robot"]
