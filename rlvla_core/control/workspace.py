"""The walls around the hand: its distance to each of them, and goals that are pushed back inside along them."""

import numpy as np

from rlvla_core.control.kinematics import ArmModel

SWEEPS = 32
"""Most rounds of projection onto the walls; walls at right angles to one another need one."""
ROUNDING = 1e-9
"""By how much a goal may miss its distance to a wall, metres."""


class Workspace:
    """The m half-spaces normal . x >= offset (base frame) in which the hand stays: box, table, extra walls.

    Tcp and fingertips stay inside all of them; the corners of the palm inside table and extra walls only.
    """

    def __init__(self, arm: ArmModel) -> None:
        config = arm.config.workspace
        self._arm = arm
        self.names = [f"box {axis} {side}" for side in ("min", "max") for axis in "xyz"]
        """Names of the walls [m], for messages."""
        normals = [*np.eye(3), *-np.eye(3), np.array([0.0, 0.0, 1.0])]
        offsets = [*config.box_min, *(-v for v in config.box_max), config.table_z]
        clearances = [config.clearance] * 6 + [config.table_clearance]
        # The floor of the box is often the table itself: there the table's clearance is the one that counts.
        clearances[2] = config.table_clearance
        self.names.append("table")
        for wall in config.walls:
            self.names.append(wall.name)
            normals.append(np.array(wall.normal) / np.linalg.norm(wall.normal))
            offsets.append(wall.offset)
            clearances.append(config.clearance)
        self.normals = np.array(normals)
        """Unit normals [m, 3] that point into the free side."""
        self.offsets = np.array(offsets)
        """Offsets of the walls along their normals [m], metres."""
        self.clearances = np.array(clearances)
        """Distances that goals keep from the walls [m], metres."""
        self._not_held = np.zeros((len(arm.hand_points), len(self.names)))
        self._not_held[arm.tips.stop :, :6] = np.inf

    def distances(self, poses: np.ndarray) -> np.ndarray:
        """Distances [..., m] in metres from each wall to the nearest point of the hand that must stay inside it;
        negative beyond the wall. Tool poses [..., 4, 4]."""
        depth = self._arm.points(poses) @ self.normals.T - self.offsets + self._not_held
        return depth.min(axis=-2)

    def slide(self, pose: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """The tool pose [4, 4] pushed back inside the walls along their normals, rotation unchanged; None if there
        is no room between the walls.

        A hand that starts (`start` [4, 4]) nearer to a wall than the clearance may stay there: a wall never moves the
        arm by itself.
        """
        wanted = np.minimum(self.clearances, self.distances(start))
        slid = pose.copy()
        short = wanted - self.distances(slid)
        for _ in range(SWEEPS):
            if (short <= ROUNDING).all():
                return slid
            for wall in np.flatnonzero(short > ROUNDING):
                slid[:3, 3] += self.normals[wall] * max(0.0, wanted[wall] - self.distances(slid)[wall])
            short = wanted - self.distances(slid)
        return slid if (short <= ROUNDING).all() else None
