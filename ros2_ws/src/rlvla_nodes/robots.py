"""The robots that a policy can run on: one line a robot. Nothing here loads a driver, a simulator or ROS."""

from dataclasses import dataclass

from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True, slots=True)
class RobotEntry:
    """A robot that the option `robot` can name: its limits, its driver, and the simulated robot that it matches."""

    arm: str
    """Name of the arm's file of limits, config/arms/<arm>.yaml."""
    driver: str
    """Name of the arm's driver, the module rlvla_nodes/drivers/<driver>.py."""
    simulated: bool
    """Whether the arm is simulated: sim_robot_node runs it, and it may start without a person."""
    sim_twin: str
    """Robot of the simulator (`rlvla_sim.robots`) that a policy bundle must be trained for to run on this arm."""


ROBOTS = {
    "sim": RobotEntry(arm="widowx250s", driver="simulated", simulated=True, sim_twin="widowx250s"),
    "sim_panda": RobotEntry(arm="panda", driver="simulated", simulated=True, sim_twin="panda"),
}
"""Value of the option `robot` -> the robot. To add an arm, write its file in config/arms, its driver, and a line
here."""


def robot_entry(name: str) -> RobotEntry:
    """The entry of ROBOTS for this value of the option `robot`. Raises RlvlaError for a name that is not in the
    table."""
    if name not in ROBOTS:
        raise RlvlaError(f"unknown robot {name!r}: choose one of {', '.join(ROBOTS)}")
    return ROBOTS[name]
