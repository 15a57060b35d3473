"""Where to grasp an object from above: pure geometry on its convex parts."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import ConvexHull

from rlvla_core.geometry.transforms import transformed
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.robots import RobotSpec

PITCH = 0.0045
"""Metres between the sample points of an object."""
ANGLES = np.radians(np.arange(-45, 135, 7.5))
"""Closing directions that are tried, relative to the one at the start, radians: half a circle, each direction once.

A parallel gripper closes alike after half a turn, so the circle must be cut somewhere. The cut is far from the yaws of
the training objects (0, 45, 90, -45 degrees), so that objects that look alike are never grasped with opposite turns."""
OFFSETS = np.array([0.0, -0.01, 0.01, -0.02, 0.02, -0.03, 0.03])
"""Metres along the object from its centre of mass at which a grasp is tried."""
FEWEST = 4
"""Smallest number of sample points between the fingers that counts as a grasp."""
TABLE_CLEARANCE = 0.004
"""Metres between finger tips and table."""


@dataclass(frozen=True, slots=True)
class Grasp:
    """A grasp from straight above, in the base frame."""

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


def plan_grasp(
    asset: ObjectAsset, pose: np.ndarray, spec: RobotSpec, table_height: float, *, start_yaw: float, yaw: float
) -> Grasp:
    """The grasp of an asset at `pose` [4, 4] that closes along its shorter side, near its centre of mass, with little
    turning from the current closing direction `yaw`. Its turn from `start_yaw` is one of ANGLES, wherever the hand is
    now. Poses and yaws are in the base frame; `table_height` is the z of the table there, metres."""
    points = transformed(pose, interior_points(asset))
    centre, top = points.mean(axis=0), points[:, 2].max()
    height = max(centre[2], table_height + spec.finger_reach + TABLE_CLEARANCE, top - spec.palm_clearance)
    points = points[np.abs(points[:, 2] - height) <= max(spec.finger_reach, spec.palm_clearance)]
    narrowest, widest = spec.grasp_width
    directions = start_yaw + ANGLES
    closing = np.stack([np.cos(directions), np.sin(directions)])  # [2, directions]
    flat = points[:, :2] - centre[:2]
    across, along = flat @ closing, flat @ np.stack([-closing[1], closing[0]])  # [points, directions]
    # A slab of the object lies between the fingers, one for each direction and offset: [directions, offsets].
    between = np.abs(along[..., None] - OFFSETS) <= spec.finger_half_width
    enough = between.sum(axis=0) >= FEWEST
    low = np.where(between, across[..., None], np.inf).min(axis=0)
    high = np.where(between, across[..., None], -np.inf).max(axis=0)
    width = np.where(enough, high - low, np.inf)
    misfit = 10.0 * (np.maximum(width - widest, 0.0) + np.maximum(narrowest - width, 0.0)) / widest
    turned = np.abs(directions - yaw)[:, None]
    cost = width / widest + 40.0 * np.abs(OFFSETS) + 0.12 * turned + misfit
    i, j = np.unravel_index(np.argmin(cost), cost.shape)
    if not np.isfinite(cost[i, j]):
        return Grasp(np.array([*centre[:2], height]), yaw)
    aside = np.array([-closing[1, i], closing[0, i]])
    xy = centre[:2] + 0.5 * (low[i, j] + high[i, j]) * closing[:, i] + OFFSETS[j] * aside
    return Grasp(np.array([*xy, height]), float(directions[i]))
