"""Statistics of the actions, of every other column and of the images of a dataset.

Shape letters: N frames, A = 7 action dimensions, D columns of any feature.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlvla_core.environment import ACTION_DIM
from rlvla_core.errors import RlvlaError

ACTION_MASK = (True,) * (ACTION_DIM - 1) + (False,)
"""Action dimensions that a policy normalises to [q01, q99]: all but the gripper command, which is +1 or -1 already."""

MIN_WIDTH = 1e-3
"""Least width of the interval [q01, q99] of a masked dimension, in metres or radians; narrower ones are widened.

They are widened about their middle. A dimension that never moved then encodes to the middle bin and decodes to its
constant (nothing divides by zero, and rounding noise is not blown up to 256 bins); what a policy may do with it stays
within half a millimetre or milliradian.
"""

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""The quantiles of each column, by LeRobot's names."""


def action_statistics(
    actions: npt.NDArray[np.float32], *, episodes: int, mask: Sequence[bool] = ACTION_MASK
) -> dict[str, Any]:
    """One dataset's entry of `norm_stats.json`, in the shape that OpenVLA's checkpoints use.

    actions: float32 [N, A] of all frames. episodes: how many episodes they are from. mask: which of the A dimensions a
    policy normalises. Returns {"action": {mean, std, min, max, q01, q99, mask}, "num_transitions", "num_trajectories"}.
    Quantiles are interpolated linearly, std is of the population (numpy's defaults, as OpenVLA).
    Raises RlvlaError for no actions or actions of another width than the mask.
    """
    if actions.ndim != 2 or actions.shape[1] != len(mask) or len(actions) == 0:
        raise RlvlaError(f"action statistics need [N, {len(mask)}] actions with N >= 1, got {list(actions.shape)}")
    wide = actions.astype(np.float64)
    q01, q99 = np.quantile(wide, [0.01, 0.99], axis=0)
    narrow = np.asarray(mask) & (q99 - q01 < MIN_WIDTH)
    middle = (q01 + q99) / 2
    q01, q99 = np.where(narrow, middle - MIN_WIDTH / 2, q01), np.where(narrow, middle + MIN_WIDTH / 2, q99)
    action = {
        "mean": wide.mean(axis=0).tolist(),
        "std": wide.std(axis=0).tolist(),
        "min": wide.min(axis=0).tolist(),
        "max": wide.max(axis=0).tolist(),
        "q01": q01.tolist(),
        "q99": q99.tolist(),
        "mask": [bool(masked) for masked in mask],
    }
    return {"action": action, "num_transitions": len(actions), "num_trajectories": episodes}


def column_statistics(values: npt.NDArray[Any]) -> dict[str, list[Any]]:
    """LeRobot's statistics of one numeric column ([N, D] or [N]): a list of D numbers each, and `count` [1]."""
    wide = values.astype(np.float64).reshape(len(values), -1)
    found = {"min": wide.min(axis=0), "max": wide.max(axis=0), "mean": wide.mean(axis=0), "std": wide.std(axis=0)}
    found |= dict(zip(QUANTILES, np.quantile(wide, list(QUANTILES.values()), axis=0), strict=True))
    return {name: row.tolist() for name, row in found.items()} | {"count": [len(values)]}


def image_statistics(images: npt.NDArray[np.uint8]) -> dict[str, list[Any]]:
    """LeRobot's statistics of images (uint8 [N, H, W, 3]) scaled to 0..1: [3, 1, 1] each, and `count` [1] = N."""
    counts = np.stack([np.bincount(images[..., channel].ravel(), minlength=256) for channel in range(3)])
    levels = np.arange(256) / 255.0
    mean = counts @ levels / counts.sum(axis=1)
    variance = counts @ levels**2 / counts.sum(axis=1) - mean**2
    present = counts > 0
    found = {
        "min": levels[present.argmax(axis=1)],
        "max": levels[255 - present[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(variance, 0.0)),
    }
    return {name: row.reshape(3, 1, 1).tolist() for name, row in found.items()} | {"count": [len(images)]}


def combine_image_statistics(parts: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Statistics of the union of disjoint sets of equally large images, from those of the sets.

    With weights w_i = count_i / Σ count: mean = Σ w_i mean_i and var = Σ w_i (std_i² + mean_i²) - mean².
    """
    rows = {name: np.array([part[name] for part in parts], np.float64) for name in ("min", "max", "mean", "std")}
    count = np.array([part["count"][0] for part in parts])
    weight = (count / count.sum()).reshape(-1, 1, 1, 1)
    mean = (weight * rows["mean"]).sum(axis=0)
    second = (weight * (rows["std"] ** 2 + rows["mean"] ** 2)).sum(axis=0)
    found = {
        "min": rows["min"].min(axis=0),
        "max": rows["max"].max(axis=0),
        "mean": mean,
        "std": np.sqrt(np.maximum(second - mean**2, 0.0)),
    }
    return {name: row.tolist() for name, row in found.items()} | {"count": [int(count.sum())]}
