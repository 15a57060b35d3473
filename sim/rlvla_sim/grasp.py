"""Where to grasp an object from above: pure geometry on its convex parts."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import ConvexHull

from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.robots import RobotSpec

PITCH = 0.0045
"""Metres between the sample points of an object."""
ANGLES = np.radians(np.arange(-90, 90, 7.5))
OFFSETS = np.array([0.0, -0.01, 0.01, -0.02, 0.02, -0.03, 0.03])
"""Metres along the object from its centre of mass at which a grasp is tried."""
TABLE_CLEARANCE = 0.004
"""Metres between finger tips and table."""


@dataclass(frozen=True, slots=True)
class Grasp:
    """A grasp from straight above, base frame."""

    position: np.ndarray
    """Tool point [3], metres."""
    yaw: float
    """Direction of closing from the x axis, radians."""


@cache
def interior_points(asset: ObjectAsset) -> np.ndarray:
    """Points [P, 3] of a regular lattice inside the asset's convex parts, asset frame, metres."""
    inside = []
    for part in asset.collision:
        low, high = part.min(axis=0), part.max(axis=0)
        counts = np.maximum(np.ceil((high - low) / PITCH).astype(int) + 1, 3)
        axes = [np.linspace(a, b, n) for a, b, n in zip(low, high, counts, strict=True)]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        planes = ConvexHull(part.astype(np.float64)).equations
        inside.append(lattice[(lattice @ planes[:, :3].T + planes[:, 3] <= 1e-6).all(axis=1)])
    return np.concatenate(inside)


def plan_grasp(asset: ObjectAsset, pose: np.ndarray, spec: RobotSpec, table_height: float, yaw: float) -> Grasp:
    """The grasp of an asset at `pose` [4, 4] that closes along its shorter side, near its centre of mass, with little
    turning from the current closing direction `yaw`. All in the base frame; `table_height` is its z there."""
    points = interior_points(asset) @ pose[:3, :3].T + pose[:3, 3]
    centre, top = points.mean(axis=0), points[:, 2].max()
    height = max(centre[2], table_height + spec.finger_reach + TABLE_CLEARANCE, top - spec.palm_clearance)
    points = points[np.abs(points[:, 2] - height) <= max(spec.finger_reach, spec.palm_clearance)]
    narrowest, widest = spec.grasp_width
    best, best_cost = Grasp(np.array([*centre[:2], height]), yaw), np.inf
    for turn in ANGLES:
        closing = np.array([np.cos(yaw + turn), np.sin(yaw + turn)])
        across = (points[:, :2] - centre[:2]) @ closing
        along = (points[:, :2] - centre[:2]) @ np.array([-closing[1], closing[0]])
        for offset in OFFSETS:
            slab = across[np.abs(along - offset) <= spec.finger_half_width]
            if len(slab) < 4:
                continue
            low, high = slab.min(), slab.max()
            width = high - low
            misfit = 10.0 * (max(width - widest, 0.0) + max(narrowest - width, 0.0)) / widest
            cost = width / widest + 40.0 * abs(offset) + 0.12 * abs(turn) + misfit
            if cost < best_cost:
                xy = centre[:2] + 0.5 * (low + high) * closing + offset * np.array([-closing[1], closing[0]])
                best, best_cost = Grasp(np.array([*xy, height]), float(yaw + turn)), cost
    return best
