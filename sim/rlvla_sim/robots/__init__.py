"""The arms that a world can hold: one file each, found by name."""

from rlvla_core.errors import RlvlaError
from rlvla_sim.robots.panda import PANDA
from rlvla_sim.robots.spec import Drive, RobotSpec, View
from rlvla_sim.robots.widowx250s import PAPER_WIDOWX250S, WIDOWX250S

ROBOTS = {spec.name: spec for spec in (WIDOWX250S, PANDA)}
PAPER_ROBOTS = {PAPER_WIDOWX250S.name: PAPER_WIDOWX250S}
"""Arms whose description comes with the paper's assets."""


def robot(name: str, assets: str = "procedural") -> RobotSpec:
    """The arm of this name, as worlds with these assets (`procedural` or `paper`) show it; an arm that the paper lacks
    is the same in both. Raises RlvlaError that lists the names there are."""
    if name not in ROBOTS:
        raise RlvlaError(f"unknown robot `{name}`: use one of {', '.join(ROBOTS)}")
    return PAPER_ROBOTS.get(name, ROBOTS[name]) if assets == "paper" else ROBOTS[name]


__all__ = ["ROBOTS", "Drive", "RobotSpec", "View", "robot"]
