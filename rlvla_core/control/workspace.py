"""Walls around the hand: how far it is from each, and how a goal slides along those it would pass."""

import numpy as np

from rlvla_core.control.kinematics import ArmModel

SWEEPS = 32
"""Rounds of projection: one is enough for walls at right angles."""
ROUNDING = 1e-9
"""Metres."""


class Workspace:
    """m half-spaces normal . x >= offset in the base frame: box, table, extra walls.

    The box holds tcp and fingertips; the table and the extra walls hold the corners of the palm too.
    """

    def __init__(self, arm: ArmModel) -> None:
        config = arm.config.workspace
        self._arm = arm
        self.names = [f"box {axis} {side}" for side in ("min", "max") for axis in "xyz"]
        """Of the walls, for messages, [m]."""
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
        """Unit normals into the free side, [m, 3]."""
        self.offsets = np.array(offsets)
        """Metres, [m]."""
        self.clearances = np.array(clearances)
        """Metres that goals keep, [m]."""
        self._not_held = np.zeros((len(arm.hand_points), len(self.names)))
        self._not_held[arm.tips.stop :, :6] = np.inf

    def distances(self, poses: np.ndarray) -> np.ndarray:
        """Metres [..., m] from each wall to the nearest held point of the hand at tool poses [..., 4, 4]; negative
        beyond the wall."""
        depth = self._arm.points(poses) @ self.normals.T - self.offsets + self._not_held
        return depth.min(axis=-2)

    def slide(self, pose: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """The tool pose [4, 4] pushed out of the walls along their normals, rotation unchanged; None where no place
        is left between them.

        A hand that starts nearer to a wall than the clearance (`start` [4, 4]) may stay so: a wall never moves the arm
        by itself.
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
